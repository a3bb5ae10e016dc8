//! Cases whose figure is known: they show what the clock counts and that the bracket takes itself off.

use core::arch::asm;

use crate::harness::case::Case;
use crate::harness::run::{Run, Tier};

/// Nothing: the bracket's own cost is taken off, so 0 is left.
struct Empty;

impl Case for Empty {
    fn operation(&mut self) {}

    fn batch(&self) -> u32 {
        512
    }

    fn without_effect(&self) -> Option<&'static str> {
        Some("there is no operation")
    }
}

/// Instructions that do nothing: as many on a clock that counts instructions, and on silicon a fraction of that.
struct Nops<const COUNT: usize>;

impl<const COUNT: usize> Case for Nops<COUNT> {
    fn operation(&mut self) {
        // SAFETY: NOPs.
        unsafe {
            asm!(
                ".rept {count}",
                "nop",
                ".endr",
                count = const COUNT,
                options(nomem, nostack, preserves_flags)
            )
        };
    }

    fn batch(&self) -> u32 {
        32
    }

    fn without_effect(&self) -> Option<&'static str> {
        Some("its instructions do nothing")
    }
}

pub(super) fn run(run: &mut Run) {
    run.measure("control/empty", &mut Empty);
    run.measure("control/nops=1000", &mut Nops::<1000>);
    run.in_tier(Tier::Full, |run| {
        run.measure("control/nops=1", &mut Nops::<1>);
        run.measure("control/nops=10", &mut Nops::<10>);
        run.measure("control/nops=100", &mut Nops::<100>);
    });
}
