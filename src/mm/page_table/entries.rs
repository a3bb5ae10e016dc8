//! What is done to many entries of one table at once: one pass each, without a branch for an entry, and unrolled by hand, as
//! the compiler does not unroll loops over atomics: steps of 32, and what is left in steps of 16, 8, 4, 2 and 1, each taken or
//! not. A single entry, the most frequent case, is taken out of the loops.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::entry::{Flags, USED};
use crate::mm::address::Pfn;

/// Entries to a step of the unrolled loops.
const STEP: usize = 32;

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

/// Whether every entry is a large leaf, in a table that can have some.
#[inline(always)]
pub(super) fn all_large(entries: &[AtomicU64]) -> bool {
    let large = Flags::PRESENT.union(Flags::LARGE).bits();
    fold(entries, large, |all, word| all & word) == large
}

#[inline(always)]
fn fold<T: Copy>(entries: &[AtomicU64], start: T, join: impl Fn(T, u64) -> T) -> T {
    // A plain load, as it can be the operand of the instruction that joins it: half the instructions of an atomic one.
    //
    // SAFETY: whoever edits a table has it alone (`&mut PageTable`), and the CPU only reads entries that have A and D set. Of
    // those that a harvest took them from it may set them meanwhile: such an entry is read as it was or as it is.
    let load = |entry: &AtomicU64| unsafe { entry.as_ptr().read() };
    if let [entry] = entries {
        return join(start, load(entry));
    }
    let mut all = start;
    each(entries, |entry| all = join(all, load(entry)));
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

/// Writes a leaf for each of the frames, of which there are as many, side by side in memory.
#[inline(always)]
pub(super) fn fill_scattered(entries: &[AtomicU64], frames: &[Pfn], flags: u64) {
    let entries = &entries[..entries.len().min(frames.len())];
    let mut frame = frames.as_ptr();
    each(entries, |entry| {
        // SAFETY: there are as many frames as entries at least, and this is called once for each entry.
        let word = unsafe { frame.read() }.address().0 | flags;
        entry.store(word, Relaxed);
        frame = frame.wrapping_add(1);
    });
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
    match entries {
        [entry] => entry.store(entry.load(Relaxed) & frame | flags, Relaxed),
        _ => set_flags_of_many(entries, frame, flags),
    }
}

/// [`set_flags`] of more than one: long, and called from many places.
#[inline(never)]
fn set_flags_of_many(entries: &[AtomicU64], frame: u64, flags: u64) {
    if let Some(common) = common_flags(entries, frame)
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
    let rest = first::<16>(rest, &mut change);
    let rest = first::<8>(rest, &mut change);
    let rest = first::<4>(rest, &mut change);
    let rest = first::<2>(rest, &mut change);
    first::<1>(rest, &mut change);
}

/// Changes the first `N` entries, if there are so many, and returns the others.
#[inline(always)]
fn first<'t, const N: usize>(
    entries: &'t [AtomicU64],
    change: &mut impl FnMut(&AtomicU64),
) -> &'t [AtomicU64] {
    let Some((step, rest)) = entries.split_first_chunk::<N>() else {
        return entries;
    };
    for entry in step {
        change(entry);
    }
    rest
}
