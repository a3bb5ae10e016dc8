//! pagemark's library OS: it boots a bare x86-64 machine, owns every frame of its RAM and every page table, and hands one
//! machine to the application in `bench/`.
//!
//! By folder: [`mm`] is the memory system, in floors; `boot` is the loader's data; `cpu`, `firmware` and `console` are the hardware, and `smp` the other CPUs. `kernel` says what the memory system is made of on this machine, and
//! `machine` brings all of it up. `mm` is plain generic code that also runs on the host, where it is tested; the rest exists on the
//! bare machine only.
//!
//! `hosted` has what stands in for the machine in a Linux process (`cfg(hosted)`, set by `build.rs` on Linux on x86-64), under the
//! same paths: `machine`, `kernel`, `cpu::probe`, `console::log` and so on.
#![cfg_attr(not(any(test, hosted)), no_std)]

pub mod boot;
pub mod console;
pub mod cpu;
pub mod firmware;
#[cfg(hosted)]
pub mod hosted;
#[cfg(any(target_os = "none", hosted))]
pub mod kernel;
#[cfg(target_os = "none")]
pub mod machine;
#[cfg(hosted)]
pub use hosted::machine;
pub mod mm;
pub mod mmio;
#[cfg(target_os = "none")]
mod panic;
pub mod smp;

// What the fuzzers hold of the code names it as they do.
#[cfg(test)]
extern crate self as pagemark;
#[cfg(test)]
mod fuzz_seeds;
