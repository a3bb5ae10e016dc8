//! What is done to many entries of one table at once: one pass each, without a branch for an entry, and unrolled by hand, as
//! the compiler does not unroll loops over atomics. A single entry, the most frequent case, is taken out of the loops.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::entry::{Flags, USED};
use crate::mm::address::Pfn;

/// Entries to a step of the unrolled loops.
const STEP: usize = 16;

/// Whether any entry holds anything.
#[inline(always)]
pub(super) fn any_present(entries: &[AtomicU64]) -> bool {
    fold(entries, 0, |all, word| all | word) != 0
}

/// Whether every entry is present.
#[inline(always)]
pub(super) fn all_present(entries: &[AtomicU64]) -> bool {
    fold(entries, u64::MAX, |all, word| all & word) & Flags::PRESENT.bits() != 0
}

#[inline(always)]
fn fold<T>(entries: &[AtomicU64], start: T, join: impl Fn(T, u64) -> T) -> T {
    // A plain load, as it can be the operand of the instruction that joins it: half the instructions of an atomic one.
    //
    // SAFETY: whoever edits a table has it alone (`&mut PageTable`), and the CPU only reads entries that have A and D set. Of
    // those that a harvest took them from it may set them meanwhile: such an entry is read as it was or as it is.
    let load = |entry: &AtomicU64| unsafe { entry.as_ptr().read() };
    if let [entry] = entries {
        return join(start, load(entry));
    }
    let mut all = start;
    let (steps, rest) = entries.as_chunks::<STEP>();
    for step in steps {
        for entry in step {
            all = join(all, load(entry));
        }
    }
    for entry in rest {
        all = join(all, load(entry));
    }
    all
}

/// Writes leaves behind one another, `bytes` bytes of physical memory apart.
#[inline(always)]
pub(super) fn fill(entries: &[AtomicU64], first: u64, bytes: u64) {
    let mut word = first;
    each(entries, |entry| {
        entry.store(word, Relaxed);
        word += bytes;
    });
}

/// Writes a leaf for each of the frames, of which there are as many.
#[inline(always)]
pub(super) fn fill_scattered(entries: &[AtomicU64], frames: &[Pfn], flags: u64) {
    let leaf = |frame: &Pfn| frame.address().0 | flags;
    if let ([entry], [frame]) = (entries, frames) {
        return entry.store(leaf(frame), Relaxed);
    }
    let (steps, rest) = entries.as_chunks::<STEP>();
    let (frame_steps, frame_rest) = frames.as_chunks::<STEP>();
    for (step, frames) in steps.iter().zip(frame_steps) {
        for (entry, frame) in step.iter().zip(frames) {
            entry.store(leaf(frame), Relaxed);
        }
    }
    for (entry, frame) in rest.iter().zip(frame_rest) {
        entry.store(leaf(frame), Relaxed);
    }
}

/// Makes every entry absent.
#[inline(always)]
pub(super) fn clear(entries: &[AtomicU64]) {
    each(entries, |entry| entry.store(0, Relaxed));
}

/// Gives every leaf these flags in place of its own; `frame` are the bits that stay.
///
/// As a rule all have the same flags, and then one exclusive or per entry does it. They include A and D, so the CPU writes
/// none of the entries by itself and no exchange is needed; nor is it for leaves that a harvest took A or D from, as they get
/// both.
#[inline(always)]
pub(super) fn set_flags(entries: &[AtomicU64], frame: u64, flags: u64) {
    if entries.len() > 1
        && let Some(common) = common_flags(entries, frame)
        && common & USED == USED
    {
        let difference = common ^ flags;
        return each(entries, |entry| {
            entry.store(entry.load(Relaxed) ^ difference, Relaxed);
        });
    }
    each(entries, |entry| {
        entry.store(entry.load(Relaxed) & frame | flags, Relaxed);
    });
}

/// The flags of all leaves, if they are the same; `frame` are the bits that may differ.
#[inline(always)]
pub(super) fn common_flags(entries: &[AtomicU64], frame: u64) -> Option<u64> {
    let start = (u64::MAX, 0);
    let (all, any) = fold(entries, start, |(all, any), word| (all & word, any | word));
    ((all ^ any) & !frame == 0).then_some(all & !frame)
}

#[inline(always)]
fn each(entries: &[AtomicU64], mut change: impl FnMut(&AtomicU64)) {
    if let [entry] = entries {
        return change(entry);
    }
    let (steps, rest) = entries.as_chunks::<STEP>();
    for step in steps {
        for entry in step {
            change(entry);
        }
    }
    for entry in rest {
        change(entry);
    }
}
