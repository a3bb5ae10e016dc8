//! Waits for other CPUs. Each has an end ([`Cpus::pause`]): a CPU that never answers must not hang the run without a word, and an
//! initiator cannot go on without the answer, as the CPU may still use the old translation. So it panics, and names that CPU.

use core::sync::atomic::Ordering::{Acquire, Relaxed};

use super::mask::members;
use super::{CpuId, Cpus, SharedMask};

/// Returns when these words have no CPU left.
///
/// # Panics
///
/// When a CPU does not answer.
#[inline]
pub(super) fn await_answers<C: Cpus>(cpus: &C, unanswered: &SharedMask, words: usize) {
    for word in 0..words {
        let left = unanswered.word(word);
        let mut wait = C::Wait::default();
        while left.load(Acquire) != 0 {
            if !cpus.pause(&mut wait) {
                no_answer(cpus.current(), members(word, left.load(Relaxed)).next());
            }
        }
    }
}

/// Panics, unless the last CPU has answered just now.
#[cold]
#[inline(never)]
fn no_answer(this: CpuId, silent: Option<CpuId>) {
    if let Some(silent) = silent {
        panic!("CPU {this} waits for CPU {silent} to answer a shootdown, and no answer comes");
    }
}

/// Panics: the lock is not released.
#[cold]
#[inline(never)]
pub(super) fn no_lock(this: CpuId, holder: u64) -> ! {
    panic!(
        "CPU {this} waits for the lock of the shootdown slot, which CPU {holder} does not release"
    );
}
