//! An operation of known latency: additions of which each needs the sum before it.
//!
//! An addition to a register takes one core cycle on every x86-64 CPU, and one instruction on a clock that counts those.

use core::arch::asm;
use core::mem::MaybeUninit;

/// The result of `N` additions, one after the other, to `start`.
#[inline(always)]
#[must_use]
pub fn additions<const N: usize>(start: u64) -> u64 {
    let mut sum = start;
    // SAFETY: additions to a register. The distance is one that no CPU folds into the operand of the next instruction.
    unsafe {
        asm!(
            ".rept {n}",
            "add {sum}, 0x12345",
            ".endr",
            n = const N,
            sum = inout(reg) sum,
            options(pure, nomem, nostack)
        );
    }
    sum
}

/// As a bracket calls it: the chain begins at the argument and ends in the result.
///
/// # Safety
///
/// None is needed: any pointer will do.
pub unsafe extern "C" fn operation<const N: usize>(state: *mut ()) -> MaybeUninit<u64> {
    MaybeUninit::new(additions::<N>(state as u64))
}
