//! The CPU: what it can do, its control registers, segments and exceptions, its clock, and its TLB instructions.
//!
//! What executes privileged instructions exists on the bare machine only. What follows from the answers of CPUID and of model-specific
//! registers is plain code over [`access`], which the host tests with made-up answers. The rules come from the Intel SDM, volume 3, and
//! the AMD APM, volume 2.

pub mod access;
#[cfg(target_os = "none")]
pub mod address_space;
#[cfg(hosted)]
pub use crate::hosted::address_space;
#[cfg(target_os = "none")]
pub mod apic;
#[cfg(target_os = "none")]
pub mod backtrace;
pub mod counters;
#[cfg(target_os = "none")]
pub mod demand;
#[cfg(any(target_os = "none", hosted))]
pub mod direct_map;
pub mod errata;
#[cfg(target_os = "none")]
pub mod exception_frame;
#[cfg(target_os = "none")]
pub mod exceptions;
pub mod features;
#[cfg(target_os = "none")]
pub mod five_levels;
#[cfg(target_os = "none")]
pub mod high_memory;
pub mod hpet;
pub mod hypervisor;
pub mod interrupt_sources;
#[cfg(target_os = "none")]
pub mod invalidate;
#[cfg(hosted)]
pub use crate::hosted::invalidate;
pub mod lfence;
pub mod machine_check;
pub mod memory_types;
pub mod microcode;
pub mod page_fault;
#[cfg(target_os = "none")]
pub mod pat;
#[cfg(target_os = "none")]
pub mod pcid;
#[cfg(target_os = "none")]
pub mod per_cpu;
#[cfg(hosted)]
pub use crate::hosted::per_cpu;
#[cfg(target_os = "none")]
pub mod probe;
#[cfg(hosted)]
pub use crate::hosted::probe;
#[cfg(target_os = "none")]
pub mod reference_timers;
#[cfg(target_os = "none")]
pub mod registers;
#[cfg(target_os = "none")]
pub mod segments;
#[cfg(any(target_os = "none", hosted))]
pub mod spin;
#[cfg(target_os = "none")]
pub mod spurious;
#[cfg(target_os = "none")]
pub mod stacks;
pub mod stated_rate;
pub mod steady;
pub mod topology;
#[cfg(any(target_os = "none", hosted))]
pub mod tsc;
#[cfg(target_os = "none")]
pub mod user_mode;
pub mod watchdog;

/// Stops this CPU for good: interrupts off, then HLT, again after every NMI.
#[cfg(target_os = "none")]
pub fn halt() -> ! {
    loop {
        // SAFETY: CLI and HLT touch no memory; nothing is left to run.
        unsafe { core::arch::asm!("cli", "hlt", options(nomem, nostack)) };
    }
}
