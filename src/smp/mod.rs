//! The machine's other CPUs: how they are started, how they are given work, and how they are interrupted.
//!
//! ```text
//! start_up     INIT, start-up interrupts, and what becomes of a CPU that does not answer; free of hardware
//! trampoline   the code that a CPU starts in, and what it finds there
//! bring_up     all CPUs that the command line asks for, one after the other
//! job          what CPUs are given to do
//! work         what a started CPU does: waits in HLT, does what it is given, waits again
//! doorbell     the NMI by which CPUs call each other
//! tlbs         the TLBs of all CPUs, flushed by shootdowns
//! stop         all others stop, when one panics
//! ```
//!
//! A CPU that is started is *parked* at first: it waits in HLT, holds no translation that anybody counts on, and costs the boot
//! CPU nothing, so that what is measured on one CPU is the same with any number of them. [`work::Processors::online`] brings CPUs
//! online for a while: from then on they take part in shootdowns.
//!
//! Other CPUs may write to the log, whose lock orders them; the handler of the NMI may not.

#[cfg(target_os = "none")]
pub mod bring_up;
#[cfg(target_os = "none")]
pub mod doorbell;
#[cfg(any(target_os = "none", hosted))]
pub mod job;
pub mod start_up;
#[cfg(target_os = "none")]
pub mod stop;
#[cfg(target_os = "none")]
pub mod tlbs;
#[cfg(target_os = "none")]
mod trampoline;
#[cfg(target_os = "none")]
pub mod vector;
#[cfg(target_os = "none")]
pub mod work;
#[cfg(hosted)]
pub use crate::hosted::cpus as work;
