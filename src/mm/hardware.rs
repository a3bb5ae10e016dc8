//! Floor 0: two of the three seams between the memory system and the machine: physical memory as bytes, and TLB invalidation. The
//! third, the other CPUs, is [`Cpus`](super::shootdown::Cpus).
//!
//! On the machine the first is the direct map and the second the CPU's instructions; on the host `model` has an arena of
//! bytes and a TLB that keeps every translation until it is flushed. Both are type parameters, resolved at compile
//! time.

use core::sync::atomic::{AtomicU64, Ordering};

use super::address::{PageSize, Pfn, VirtAddr, WORDS_PER_PAGE};

/// The words of one frame. They may change under the reader (the CPU sets accessed and dirty bits in page tables by itself),
/// hence atomics.
pub type FrameWords = [AtomicU64; WORDS_PER_PAGE];

/// Physical memory, frame by frame. Most frames, page tables among them, are covered: they have an address that stays. Where
/// there is high memory, its frames have none, and are reached only for the time of a call.
///
/// # Safety
///
/// For every frame that the implementor covers, `words` gives that frame's own storage, at an address that stays the same
/// for as long as the implementor lives; `with_words` gives the own storage of any frame of RAM.
pub unsafe trait PhysicalMemory {
    /// The words of `frame`.
    ///
    /// # Safety
    ///
    /// `frame` lies in covered memory, and the caller owns it or shares it under its owner's rules: no one else treats it as
    /// plain (non-atomic) memory while the reference lives.
    unsafe fn words(&self, frame: Pfn) -> &FrameWords;

    /// Calls `work` with the words of `frame`, covered or not (2.4's `kmap_atomic`). `work` does not do so again.
    ///
    /// # Safety
    ///
    /// `frame` is RAM, and the caller owns it or shares it as for [`PhysicalMemory::words`].
    #[inline]
    unsafe fn with_words<R>(&self, frame: Pfn, work: impl FnOnce(&FrameWords) -> R) -> R {
        // SAFETY: where nothing else is implemented, all RAM is covered; the rest is the caller's promise.
        work(unsafe { self.words(frame) })
    }

    /// Fills `frame` with zeros.
    ///
    /// # Safety
    ///
    /// As for [`PhysicalMemory::with_words`]; and the caller alone owns the frame.
    unsafe fn zero(&self, frame: Pfn) {
        let clear = |words: &FrameWords| {
            for word in words {
                word.store(0, Ordering::Relaxed);
            }
        };
        // SAFETY: the caller's promise is the same.
        unsafe { self.with_words(frame, clear) }
    }
}

// SAFETY: a shared reference covers what its target covers, and cannot outlive it.
unsafe impl<M: PhysicalMemory> PhysicalMemory for &M {
    #[inline]
    unsafe fn words(&self, frame: Pfn) -> &FrameWords {
        // SAFETY: the caller's promise is the same.
        unsafe { M::words(self, frame) }
    }

    #[inline]
    unsafe fn with_words<R>(&self, frame: Pfn, work: impl FnOnce(&FrameWords) -> R) -> R {
        // SAFETY: the caller's promise is the same.
        unsafe { M::with_words(self, frame, work) }
    }

    #[inline]
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

    /// As [`flush_all`](Self::flush_all), for tables that left the tree: CPUs that are idle and use no translation that changes
    /// drop what they know, too. They may walk tables ahead of what they execute, and these become something else.
    #[inline]
    fn flush_tables(&self) {
        self.flush_all();
    }

    /// Drops every translation of the context in each CPU's CR3 that is not global; more where that is all there is.
    #[inline]
    fn flush_context(&self) {
        self.flush_all();
    }

    /// Whether there are TLBs of other CPUs that these flushes reach, too.
    #[inline]
    fn reaches_others(&self) -> bool {
        false
    }
}

/// For checks, which are not timed: one piece of code for every kind of TLB.
impl TlbInvalidate for &(dyn TlbInvalidate + Sync) {
    fn flush_pages(&self, start: VirtAddr, pages: u64, size: PageSize) {
        (**self).flush_pages(start, pages, size);
    }

    fn flush_all(&self) {
        (**self).flush_all();
    }

    fn flush_tables(&self) {
        (**self).flush_tables();
    }

    fn flush_context(&self) {
        (**self).flush_context();
    }

    fn reaches_others(&self) -> bool {
        (**self).reaches_others()
    }
}
