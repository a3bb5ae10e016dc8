//! The CPU: what it can do, its control registers, segments and exceptions, its clock, and its TLB instructions.
//!
//! Everything here exists on the bare machine only; the rules come from the Intel SDM, volume 3, and the AMD APM, volume 2.

pub mod address_space;
pub mod apic;
pub mod backtrace;
pub mod demand;
pub mod direct_map;
pub mod exception_frame;
pub mod exceptions;
pub mod features;
pub mod five_levels;
pub mod high_memory;
pub mod interrupt_sources;
pub mod invalidate;
pub mod pat;
pub mod pcid;
pub mod per_cpu;
pub mod probe;
pub mod reference_timers;
pub mod registers;
pub mod segments;
pub mod spurious;
pub mod stacks;
pub mod tsc;

/// Stops this CPU for good: interrupts off, then HLT, again after every NMI.
pub fn halt() -> ! {
    loop {
        // SAFETY: CLI and HLT touch no memory; nothing is left to run.
        unsafe { core::arch::asm!("cli", "hlt", options(nomem, nostack)) };
    }
}
