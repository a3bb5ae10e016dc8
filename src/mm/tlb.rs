//! Floor 4: what must be flushed, and when.
//!
//! A change of a page table that a TLB may still contradict yields a [`PendingFlush`]. It is a value that has to be used, and
//! what the change set free (frames, an address range) rides in it and comes out of [`PendingFlush::flush`] alone: giving a
//! frame back before the flush, as 2.4's vfree does, does not compile. Nothing is flushed in `Drop`.
//!
//! How much to flush at once is the policy of [`Tlb`]: page by page up to a ceiling, everything above it. Linux's
//! `tlb_single_page_flush_ceiling` is 33 pages (arch/x86/mm/tlb.c).

#![forbid(unsafe_code)]

use super::address::{PageSize, VirtAddr};
use super::hardware::TlbInvalidate;

/// The TLBs of the machine under a policy.
#[derive(Clone, Copy, Debug)]
pub struct Tlb<I> {
    invalidate: I,
    ceiling: u64,
}

impl<I: TlbInvalidate> Tlb<I> {
    /// Linux's ceiling, in pages.
    pub const DEFAULT_CEILING: u64 = 33;

    /// The TLBs behind `invalidate`; a range of more than `ceiling` pages is flushed by flushing everything.
    pub const fn new(invalidate: I, ceiling: u64) -> Self {
        Tlb {
            invalidate,
            ceiling,
        }
    }

    /// The ceiling, in pages.
    #[must_use]
    pub const fn ceiling(&self) -> u64 {
        self.ceiling
    }

    /// The hardware, or what stands in for it.
    #[must_use]
    pub const fn invalidate(&self) -> &I {
        &self.invalidate
    }
}

/// What can take in more while it waits for a flush: a set of addresses, kept in `B`, say.
pub trait Gather<T, B>: Default {
    /// Adds `more`.
    fn gather(&mut self, more: T, books: &mut B);
}

/// A flush that is still owed, and what may only be used after it.
///
/// The value cannot be had without the flush:
///
/// ```compile_fail,E0616
/// # use pagemark::mm::tlb::PendingFlush;
/// fn reuse(pending: PendingFlush<u32>) -> u32 {
///     pending.value // private: it comes out of `flush`
/// }
/// ```
///
/// nor can the flush be used twice:
///
/// ```compile_fail,E0382
/// # use pagemark::mm::{hardware::TlbInvalidate, tlb::{PendingFlush, Tlb}};
/// fn twice<I: TlbInvalidate>(pending: PendingFlush<u32>, tlb: &Tlb<I>) -> u32 {
///     pending.flush(tlb) + pending.flush(tlb)
/// }
/// ```
#[must_use = "TLBs may still hold the old translations"]
#[derive(PartialEq, Eq, Debug)]
pub struct PendingFlush<T = ()> {
    start: VirtAddr,
    /// Pages of `size` from `start`.
    pages: u64,
    size: PageSize,
    value: T,
}

impl PendingFlush<()> {
    /// A flush of `pages` pages of `size` from `start`.
    pub const fn new(start: VirtAddr, pages: u64, size: PageSize) -> Self {
        PendingFlush {
            start,
            pages,
            size,
            value: (),
        }
    }

    /// Makes `value` wait for this flush.
    #[inline]
    pub fn guard<T>(self, value: T) -> PendingFlush<T> {
        PendingFlush {
            start: self.start,
            pages: self.pages,
            size: self.size,
            value,
        }
    }
}

impl<T> PendingFlush<T> {
    /// Flushes, and gives out what waited for it.
    #[inline]
    pub fn flush<I: TlbInvalidate>(self, tlb: &Tlb<I>) -> T {
        if self.pages <= tlb.ceiling {
            tlb.invalidate
                .flush_pages(self.start, self.pages, self.size);
        } else {
            tlb.invalidate.flush_all();
        }
        self.value
    }

    /// One flush for both changes: the range from the lowest page of either to the highest, in pages of the smaller size.
    #[inline]
    pub fn merge(self, other: PendingFlush<()>) -> PendingFlush<T> {
        self.join(other, |value, ()| value)
    }

    /// What waits: to look at, not to take.
    #[must_use]
    pub const fn waiting(&self) -> &T {
        &self.value
    }

    /// Adds what waits here to what waits in `others`, if there are any, under one flush for all.
    #[inline(always)]
    pub fn gather_into<G: Gather<T, B>, B>(
        self,
        others: Option<PendingFlush<G>>,
        books: &mut B,
    ) -> PendingFlush<G> {
        match others {
            Some(others) => others.join(self, |mut gathered, more| {
                gathered.gather(more, books);
                gathered
            }),
            None => {
                let mut gathered = G::default();
                gathered.gather(self.value, books);
                PendingFlush {
                    start: self.start,
                    pages: self.pages,
                    size: self.size,
                    value: gathered,
                }
            }
        }
    }

    #[inline(always)]
    fn join<U, V>(self, other: PendingFlush<U>, join: impl FnOnce(T, U) -> V) -> PendingFlush<V> {
        let size = self.size.min(other.size);
        let start = self.start.min(other.start);
        let end = self.end().max(other.end());
        PendingFlush {
            start,
            pages: (end - start.0) >> size.bytes().trailing_zeros(),
            size,
            value: join(self.value, other.value),
        }
    }

    /// Makes `more` wait for this flush, too.
    #[inline(always)]
    pub fn also<U>(self, more: U) -> PendingFlush<(T, U)> {
        PendingFlush {
            start: self.start,
            pages: self.pages,
            size: self.size,
            value: (self.value, more),
        }
    }

    const fn end(&self) -> u64 {
        self.start.0 + self.pages * self.size.bytes()
    }
}

impl<F, A> PendingFlush<(F, A)> {
    /// Gives out the frames and lets the addresses go on waiting: what Linux does knowingly since 2.6.28, for vmalloc alone.
    ///
    /// Until the flush, the frames can still be reached through the old addresses, by whoever uses an area after it was
    /// freed. Nobody else can, as the addresses are not given out again before it.
    #[inline(always)]
    pub(in crate::mm) fn release_frames_before_flush(self) -> (F, PendingFlush<A>) {
        let (frames, addresses) = self.value;
        let pending = PendingFlush {
            start: self.start,
            pages: self.pages,
            size: self.size,
            value: addresses,
        };
        (frames, pending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::vec::Vec;

    /// Writes down what it is asked; `None` is a flush of everything.
    #[derive(Default)]
    struct Recorder(RefCell<Vec<Option<(u64, u64, PageSize)>>>);

    impl TlbInvalidate for Recorder {
        fn flush_pages(&self, start: VirtAddr, pages: u64, size: PageSize) {
            self.0.borrow_mut().push(Some((start.0, pages, size)));
        }

        fn flush_all(&self) {
            self.0.borrow_mut().push(None);
        }
    }

    #[test]
    fn the_ceiling_is_the_last_page_by_page_flush() {
        let tlb = Tlb::new(Recorder::default(), 33);
        assert_eq!(
            PendingFlush::new(VirtAddr(0x1000), 33, PageSize::Size4K)
                .guard(7)
                .flush(&tlb),
            7
        );
        PendingFlush::new(VirtAddr(0x1000), 34, PageSize::Size4K).flush(&tlb);
        PendingFlush::new(VirtAddr(0x4000_0000), 2, PageSize::Size2M).flush(&tlb);
        assert_eq!(
            *tlb.invalidate().0.borrow(),
            [
                Some((0x1000, 33, PageSize::Size4K)),
                None,
                Some((0x4000_0000, 2, PageSize::Size2M))
            ]
        );
    }

    #[test]
    fn a_merged_flush_covers_both() {
        let tlb = Tlb::new(Recorder::default(), 1 << 20);
        let large = PendingFlush::new(VirtAddr(0x20_0000), 1, PageSize::Size2M).guard('x');
        assert_eq!(
            large
                .merge(PendingFlush::new(VirtAddr(0x1000), 2, PageSize::Size4K))
                .flush(&tlb),
            'x'
        );
        assert_eq!(
            *tlb.invalidate().0.borrow(),
            [Some((0x1000, 0x3ff, PageSize::Size4K))]
        );
    }
}
