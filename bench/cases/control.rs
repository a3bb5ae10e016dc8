//! Cases whose figure is known: they show what the clock counts and that the bracket takes itself off.

use core::arch::asm;

use crate::harness::case::Case;
use crate::harness::run::Run;

/// Nothing: the bracket's own cost is taken off, so 0 is left.
struct Empty;

impl Case for Empty {
    fn operation(&mut self) {}
}

/// 1,000 instructions that do nothing: 1,000 on a clock that counts instructions, and on silicon a fraction of that.
struct Nops;

impl Case for Nops {
    fn operation(&mut self) {
        // SAFETY: NOPs.
        unsafe {
            asm!(
                ".rept 1000",
                "nop",
                ".endr",
                options(nomem, nostack, preserves_flags)
            )
        };
    }
}

pub(super) fn run(run: &mut Run) {
    run.measure("control/empty", &mut Empty);
    run.measure("control/nops=1000", &mut Nops);
}
