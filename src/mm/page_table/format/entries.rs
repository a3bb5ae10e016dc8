//! What is done to many entries of one table at once: one pass each, without a branch for an entry, and unrolled by hand, as
//! the compiler does not unroll loops over atomics: steps of 64, and what is left in steps of 32, 16, 8, 4, 2 and 1, each taken or
//! not, as the bits of the number of entries say. A single entry, the most frequent case, is taken out of the loops.
//!
//! The long loops stand once, in functions of their own: a call is little beside what they do, and they have all registers.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::entry::{Flags, USED};
use crate::mm::address::{PAGE_SIZE, Pfn};

/// Entries to a step of the unrolled loops.
const STEP: usize = 64;

/// Whether any entry holds anything.
#[inline]
pub(in crate::mm::page_table) fn any_present(entries: &[AtomicU64]) -> bool {
    match entries {
        [entry] => load(entry) != 0,
        _ => bits_of_any(entries) != 0,
    }
}

/// Whether every entry is present.
#[inline]
pub(in crate::mm::page_table) fn all_present(entries: &[AtomicU64]) -> bool {
    all_have(entries, Flags::PRESENT.bits())
}

/// Whether every entry is a large leaf, in a table that can have some.
#[inline]
pub(in crate::mm::page_table) fn all_large(entries: &[AtomicU64]) -> bool {
    all_have(entries, Flags::PRESENT.union(Flags::LARGE).bits())
}

#[inline]
fn all_have(entries: &[AtomicU64], bits: u64) -> bool {
    let all = match entries {
        [entry] => load(entry),
        _ => bits_of_all(entries),
    };
    all & bits == bits
}

/// The bits that any of many entries has.
#[inline(never)]
fn bits_of_any(entries: &[AtomicU64]) -> u64 {
    fold(entries, 0, |all, word| all | word)
}

/// The bits that all of many entries have.
#[inline(never)]
fn bits_of_all(entries: &[AtomicU64]) -> u64 {
    fold(entries, u64::MAX, |all, word| all & word)
}

/// A plain load, as it can be the operand of the instruction that joins it: half the instructions of an atomic one.
#[inline]
fn load(entry: &AtomicU64) -> u64 {
    // SAFETY: only the owner edits a table (`&mut PageTable`), and the CPU only reads entries that have A and D set. Of
    // those that a harvest took them from it may set them meanwhile: such an entry is read as it was or as it is.
    unsafe { entry.as_ptr().read() }
}

#[inline]
fn fold<T: Copy>(entries: &[AtomicU64], start: T, join: impl Fn(T, u64) -> T) -> T {
    let mut all = start;
    each(entries, |entry| all = join(all, load(entry)));
    all
}

/// Writes leaves behind one another, `bytes` bytes of physical memory apart.
#[inline]
pub(in crate::mm::page_table) fn fill(entries: &[AtomicU64], first: u64, bytes: u64) {
    match entries {
        [entry] => entry.store(first, Relaxed),
        _ if bytes == PAGE_SIZE => fill_many_pages(entries, first),
        _ => fill_many(entries, first, bytes),
    }
}

/// [`fill_many`], with a distance that is part of the instructions.
#[inline(never)]
fn fill_many_pages(entries: &[AtomicU64], first: u64) {
    fill_each(entries, first, PAGE_SIZE);
}

#[inline(never)]
fn fill_many(entries: &[AtomicU64], first: u64, bytes: u64) {
    fill_each(entries, first, bytes);
}

#[inline]
fn fill_each(entries: &[AtomicU64], first: u64, bytes: u64) {
    let mut word = first;
    each(entries, |entry| {
        entry.store(word, Relaxed);
        word += bytes;
    });
}

/// Writes a leaf for each of the frames, of which there are as many, side by side in memory.
#[inline]
pub(in crate::mm::page_table) fn fill_scattered(entries: &[AtomicU64], frames: &[Pfn], flags: u64) {
    let count = entries.len().min(frames.len());
    match (entries, frames) {
        ([entry], [frame]) => entry.store(frame.address().0 | flags, Relaxed),
        // SAFETY: there are `count` frames at least.
        _ => unsafe { fill_many_scattered(&entries[..count], frames.as_ptr(), flags) },
    }
}

/// [`fill_scattered`] of more than one.
///
/// # Safety
///
/// There are as many frames as entries at least.
#[inline(never)]
unsafe fn fill_many_scattered(entries: &[AtomicU64], frames: *const Pfn, flags: u64) {
    let (mut at, count) = (0, entries.len());
    let mut step = |size: usize, write: unsafe fn(*const AtomicU64, *const Pfn, u64)| {
        // SAFETY: `at + size` is at most `count`: whole steps, and then the bits of what is left, each once.
        let frames = unsafe { frames.add(at) };
        // SAFETY: as above.
        let entries = unsafe { entries.as_ptr().add(at) };
        // SAFETY: as above.
        unsafe { write(entries, frames, flags) };
        at += size;
    };
    for _ in 0..count / STEP {
        step(STEP, leaves::<STEP>);
    }
    macro_rules! rest {
        ($($size:literal)*) => {
            $(if count & $size != 0 {
                step($size, leaves::<$size>);
            })*
        };
    }
    rest!(32 16 8 4 2 1);
}

/// Writes leaves for `N` frames that lie anywhere: three instructions each, as a multiplication with a constant is the one
/// instruction that takes a frame number from memory and leaves an address in a register.
///
/// # Safety
///
/// There are `N` entries and `N` frames.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline]
unsafe fn leaves<const N: usize>(entries: *const AtomicU64, frames: *const Pfn, flags: u64) {
    // SAFETY: reads `N` frame numbers and writes `N` entries, which are there. Each entry is one aligned store of 8 bytes, which
    // the CPU makes at once (Intel SDM, volume 3, 10.1.1), as the store of an `AtomicU64` is.
    unsafe {
        core::arch::asm!(
            ".set .Lat, 0",
            ".rept {count}",
            "imul {word}, qword ptr [{frames} + .Lat], {page}",
            "or {word}, {flags}",
            "mov qword ptr [{entries} + .Lat], {word}",
            ".set .Lat, .Lat + 8",
            ".endr",
            count = const N,
            page = const PAGE_SIZE,
            word = out(reg) _,
            frames = in(reg) frames,
            flags = in(reg) flags,
            entries = in(reg) entries,
            options(nostack),
        );
    }
}

/// The same for machines without such an instruction.
///
/// # Safety
///
/// There are `N` entries and `N` frames.
#[cfg(not(all(target_arch = "x86_64", not(miri))))]
#[inline]
unsafe fn leaves<const N: usize>(entries: *const AtomicU64, frames: *const Pfn, flags: u64) {
    for at in 0..N {
        // SAFETY: the caller's promise.
        let (entry, frame) = unsafe { (&*entries.add(at), frames.add(at).read()) };
        entry.store(frame.address().0 | flags, Relaxed);
    }
}

/// The bits in which any entry differs from a sequence that starts at `first` and goes on by `step`.
#[inline(never)]
pub(in crate::mm::page_table) fn difference_from(
    entries: &[AtomicU64],
    first: u64,
    step: u64,
) -> u64 {
    let (mut all, mut expected) = (0, first);
    let mut look = |entry| {
        all |= load(entry) ^ expected;
        expected += step;
    };
    // Not by `each`: with a body of this size that takes 8 KiB.
    let (eights, rest) = entries.as_chunks::<8>();
    for eight in eights {
        eight.iter().for_each(&mut look);
    }
    rest.iter().for_each(look);
    all
}

/// Takes bits out of every entry, all of which have them: the CPU, which may set them, has nothing to add.
#[inline]
pub(in crate::mm::page_table) fn take_bits(entries: &[AtomicU64], bits: u64) {
    each(entries, |entry| {
        entry.store(entry.load(Relaxed) & !bits, Relaxed)
    });
}

/// Whether every entry has all of `bits`.
#[inline]
pub(in crate::mm::page_table) fn all_have_bits(entries: &[AtomicU64], bits: u64) -> bool {
    all_have(entries, bits)
}

/// Makes every entry absent.
#[inline]
pub(in crate::mm::page_table) fn clear(entries: &[AtomicU64]) {
    match entries {
        [entry] => entry.store(0, Relaxed),
        _ => clear_many(entries),
    }
}

/// [`clear`], for what is more than one as a rule.
#[inline(never)]
pub(in crate::mm::page_table) fn clear_many(entries: &[AtomicU64]) {
    each(entries, |entry| entry.store(0, Relaxed));
}

/// Gives every leaf these flags in place of its own; `frame` are the bits that stay.
///
/// As a rule all have the same flags, and then one exclusive or per entry does it. They include A and D, so the CPU writes
/// none of the entries by itself and no exchange is needed; nor is it for leaves that a harvest took A or D from, as they get
/// both.
#[inline]
pub(in crate::mm::page_table) fn set_flags(entries: &[AtomicU64], frame: u64, flags: u64) {
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
#[inline]
pub(in crate::mm::page_table) fn common_flags(entries: &[AtomicU64], frame: u64) -> Option<u64> {
    // Twice through them: each pass is one instruction an entry, and one for both would be three.
    let (all, any) = (bits_of_all(entries), bits_of_any(entries));
    ((all ^ any) & !frame == 0).then_some(all & !frame)
}

/// Calls `change` with each.
#[inline]
fn each(entries: &[AtomicU64], mut change: impl FnMut(&AtomicU64)) {
    let mut rest = entries;
    while rest.len() >= STEP {
        // In two halves, as the compiler does not unroll longer loops.
        //
        // SAFETY: just looked at.
        rest = unsafe { leading::<{ STEP / 2 }>(rest, &mut change) };
        // SAFETY: as above.
        rest = unsafe { leading::<{ STEP / 2 }>(rest, &mut change) };
    }
    let count = rest.len();
    let rest = first::<32>(rest, count, &mut change);
    let rest = first::<16>(rest, count, &mut change);
    let rest = first::<8>(rest, count, &mut change);
    // As a rule there are blocks of frames behind them, and nothing is left.
    if count.is_multiple_of(8) {
        return;
    }
    let rest = first::<4>(rest, count, &mut change);
    let rest = first::<2>(rest, count, &mut change);
    first::<1>(rest, count, &mut change);
}

/// Changes the first `N` entries, if `count` has the bit `N`, and returns the others.
#[inline]
fn first<'t, const N: usize>(
    entries: &'t [AtomicU64],
    count: usize,
    change: &mut impl FnMut(&AtomicU64),
) -> &'t [AtomicU64] {
    debug_assert_eq!(entries.len(), count % (2 * N));
    if count & N == 0 {
        return entries;
    }
    // SAFETY: of `count` entries those are left that the bit `N` and the bits below it count.
    unsafe { leading::<N>(entries, change) }
}

/// Changes the first `N` entries, and returns the others.
///
/// # Safety
///
/// There are as many.
#[inline]
unsafe fn leading<'t, const N: usize>(
    entries: &'t [AtomicU64],
    change: &mut impl FnMut(&AtomicU64),
) -> &'t [AtomicU64] {
    // SAFETY: the caller's promise.
    let (step, rest) = unsafe { entries.split_at_unchecked(N) };
    step.iter().for_each(change);
    rest
}
