//! The two seams between the memory system and the machine: physical memory as bytes, and TLB invalidation.
//!
//! On the machine the first is the direct map and the second the CPU's instructions; on the host `model` has an arena of
//! bytes and a TLB that keeps every translation until it is told to drop it. Both are type parameters, resolved at compile
//! time.

use core::sync::atomic::{AtomicU64, Ordering};

use super::address::{PageSize, Pfn, VirtAddr, WORDS_PER_PAGE};

/// Physical memory, frame by frame, as 512 words that may change under the reader (the CPU sets accessed and dirty bits in
/// page tables by itself), hence atomics.
///
/// # Safety
///
/// For every frame that the implementor covers, `words` gives that frame's own storage, at an address that stays the same
/// for as long as the implementor lives.
pub unsafe trait PhysicalMemory {
    /// The words of `frame`.
    ///
    /// # Safety
    ///
    /// `frame` lies in covered memory, and the caller owns it or shares it under its owner's rules: no one else treats it as
    /// plain (non-atomic) memory while the reference lives.
    unsafe fn words(&self, frame: Pfn) -> &[AtomicU64; WORDS_PER_PAGE];

    /// Fills `frame` with zeros.
    ///
    /// # Safety
    ///
    /// As for [`PhysicalMemory::words`]; and the caller alone owns the frame.
    unsafe fn zero(&self, frame: Pfn) {
        // SAFETY: the caller's promise is the same.
        for word in unsafe { self.words(frame) } {
            word.store(0, Ordering::Relaxed);
        }
    }
}

// SAFETY: a shared reference covers what its target covers, and cannot outlive it.
unsafe impl<M: PhysicalMemory> PhysicalMemory for &M {
    #[inline(always)]
    unsafe fn words(&self, frame: Pfn) -> &[AtomicU64; WORDS_PER_PAGE] {
        // SAFETY: the caller's promise is the same.
        unsafe { M::words(self, frame) }
    }

    #[inline(always)]
    unsafe fn zero(&self, frame: Pfn) {
        // SAFETY: the caller's promise is the same.
        unsafe { M::zero(self, frame) }
    }
}

/// Dropping translations from every TLB that may hold them. When a method returns, no CPU uses the old translation any more.
///
/// The caller has changed the page table before; the implementor does no more than what it is asked.
pub trait TlbInvalidate {
    /// Drops the translations, global ones included, of `pages` pages of size `size` from `start` upwards, page by page.
    fn flush_pages(&self, start: VirtAddr, pages: u64, size: PageSize);

    /// Drops every translation, global ones included.
    fn flush_all(&self);
}
