//! Cases whose figure is known: they show what the clock counts and that the bracket takes itself off.

use core::arch::asm;
use core::mem::MaybeUninit;

use pagemark_bracket::chain::additions;
use pagemark_record::Class;

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

/// Additions of which each needs the sum before it: as many core cycles as they are, and as many instructions. A test on the host
/// measures the same ones by the same bracket.
struct Chain<const LENGTH: usize>;

impl<const LENGTH: usize> Case for Chain<LENGTH> {
    /// All of it is what the next operation waits for.
    fn operation(&mut self) {}

    fn link(&self) -> MaybeUninit<u64> {
        MaybeUninit::new(additions::<LENGTH>(core::ptr::from_ref(self) as u64))
    }

    fn class(&self) -> Class {
        Class::Latency
    }

    fn batch(&self) -> u32 {
        64
    }

    fn without_effect(&self) -> Option<&'static str> {
        Some("its instructions do nothing")
    }
}

macro_rules! chains {
    ($run:ident, $($length:literal)*) => {
        $($run.measure(concat!("control/chain=", $length), &mut Chain::<$length>);)*
    };
}

pub(super) fn run(run: &mut Run) {
    run.measure("control/empty", &mut Empty);
    run.measure("control/nops=1000", &mut Nops::<1000>);
    chains!(run, 1 9 48 200);
    run.in_tier(Tier::Full, |run| {
        chains!(run, 2 3 5 12 24 96);
        run.measure("control/nops=1", &mut Nops::<1>);
        run.measure("control/nops=10", &mut Nops::<10>);
        run.measure("control/nops=100", &mut Nops::<100>);
    });
}
