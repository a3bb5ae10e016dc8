//! A flush that is owed: a value that has to be used, and that what must wait for the flush rides in.

use super::Tlb;
use crate::mm::address::{PageSize, VirtAddr};
use crate::mm::hardware::TlbInvalidate;

/// What can take in more while it waits for a flush: a set of addresses, kept in `S`, say.
pub trait Gather<T, S>: Default {
    /// Adds `more`.
    fn gather(&mut self, more: T, store: &mut S);
}

/// A flush that is still owed, and what may only be used after it.
///
/// The value comes out of the flush,
///
/// ```
/// # use pagemark::mm::{hardware::TlbInvalidate, tlb::{PendingFlush, Tlb}};
/// fn reuse<I: TlbInvalidate>(pending: PendingFlush<u32>, tlb: &Tlb<I>) -> u32 {
///     pending.flush(tlb)
/// }
/// ```
///
/// cannot be had without it,
///
/// ```compile_fail,E0616
/// # use pagemark::mm::{hardware::TlbInvalidate, tlb::{PendingFlush, Tlb}};
/// fn reuse<I: TlbInvalidate>(pending: PendingFlush<u32>, tlb: &Tlb<I>) -> u32 {
///     pending.value // private
/// }
/// ```
///
/// and comes once:
///
/// ```compile_fail,E0382
/// # use pagemark::mm::{hardware::TlbInvalidate, tlb::{PendingFlush, Tlb}};
/// fn reuse<I: TlbInvalidate>(pending: PendingFlush<u32>, tlb: &Tlb<I>) -> u32 {
///     pending.flush(tlb) + pending.flush(tlb)
/// }
/// ```
///
/// Nor is a flush forgotten by mistake, where warnings are errors as they are here: this one is done,
///
/// ```
/// #![deny(unused_must_use)]
/// # use pagemark::mm::{hardware::{PhysicalMemory, TlbInvalidate}, page_table::{Mapping, OwnedRange}, tlb::Tlb};
/// fn unmap<M: PhysicalMemory, I: TlbInvalidate>(owned: &mut OwnedRange<M>, page: Mapping<()>, tlb: &Tlb<I>) {
///     owned.unmap_borrowed(page).unwrap().flush(tlb);
/// }
/// ```
///
/// and this one is not:
///
/// ```compile_fail
/// #![deny(unused_must_use)]
/// # use pagemark::mm::{hardware::{PhysicalMemory, TlbInvalidate}, page_table::{Mapping, OwnedRange}, tlb::Tlb};
/// fn unmap<M: PhysicalMemory, I: TlbInvalidate>(owned: &mut OwnedRange<M>, page: Mapping<()>, tlb: &Tlb<I>) {
///     owned.unmap_borrowed(page).unwrap();
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

    /// A flush of everything, whatever the ceiling, on idle CPUs, too ([`TlbInvalidate::flush_tables`]).
    ///
    /// A changed entry that led to a table owes it: what a CPU knows of such entries it knows under the PCID that it used them by,
    /// and flushes page by page reach the one in force alone (Intel SDM volume 3, 5.10.4.2). That no leaf in the table is present
    /// changes nothing.
    pub const fn everything() -> Self {
        PendingFlush::new(VirtAddr(0), Self::EVERYTHING, PageSize::Size1G)
    }

    /// More pages than any ceiling: of 1 GiB, more than five levels can map.
    pub(super) const EVERYTHING: u64 = 1 << 30;

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
    #[inline(always)]
    pub fn flush<I: TlbInvalidate>(self, tlb: &Tlb<I>) -> T {
        tlb.flush(self.start, self.pages, self.size);
        self.value
    }

    /// As [`flush`](Self::flush), of translations of the context in CR3 alone, none of them global. Page by page is only enough if
    /// nothing else is owed.
    pub(in crate::mm) fn flush_context<I: TlbInvalidate>(
        self,
        tlb: &Tlb<I>,
        page_by_page: bool,
    ) -> T {
        if page_by_page && self.pages <= tlb.ceiling {
            tlb.invalidate
                .flush_pages(self.start, self.pages, self.size);
        } else {
            tlb.invalidate.flush_context();
        }
        self.value
    }

    /// What waits, for who flushes for all of these addresses before they are used again.
    #[inline]
    pub(in crate::mm) fn leave_to_the_next_purge(self) -> T {
        self.value
    }

    /// What waits, for a context that no TLB of this CPU is used for: it flushes when it comes back.
    pub(in crate::mm) fn leave_to_the_next_switch(self) -> T {
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

    /// Adds what waits here to what waits in `others`, under one flush for all.
    #[inline(always)]
    pub fn gather_into<G: Gather<T, S>, S>(
        self,
        others: &mut Option<GatheredFlush<G>>,
        store: &mut S,
    ) {
        let last = self.last();
        let others = others.get_or_insert_with(|| GatheredFlush {
            start: self.start,
            last,
            size: self.size,
            value: G::default(),
        });
        others.start = others.start.min(self.start);
        others.last = others.last.max(last);
        others.size = others.size.min(self.size);
        others.value.gather(self.value, store);
    }

    #[inline]
    fn join<U, V>(self, other: PendingFlush<U>, join: impl FnOnce(T, U) -> V) -> PendingFlush<V> {
        // An empty range lies nowhere: it must not stretch the other.
        let (start, last) = match (self.pages, other.pages) {
            (0, _) => (other.start, other.last()),
            (_, 0) => (self.start, self.last()),
            _ => (self.start.min(other.start), self.last().max(other.last())),
        };
        let size = self.size.min(other.size);
        let pages = match self.pages | other.pages {
            0 => 0,
            _ => pages_between(start, last, size),
        };
        PendingFlush {
            start,
            pages,
            size,
            value: join(self.value, other.value),
        }
    }

    /// Makes `more` wait for this flush, too.
    #[inline]
    pub fn also<U>(self, more: U) -> PendingFlush<(T, U)> {
        PendingFlush {
            start: self.start,
            pages: self.pages,
            size: self.size,
            value: (self.value, more),
        }
    }

    /// The last byte of all pages; the one before the first, if there are none. The last page may be that of the address space.
    const fn last(&self) -> VirtAddr {
        let bytes = self.pages.wrapping_mul(self.size.bytes());
        VirtAddr(self.start.0.wrapping_add(bytes.wrapping_sub(1)))
    }
}

/// Pages of `size` from `start` up to the one with the byte `last`, which is not below `start`.
const fn pages_between(start: VirtAddr, last: VirtAddr, size: PageSize) -> u64 {
    (last.0.wrapping_sub(start.0) >> size.bytes().trailing_zeros()) + 1
}

/// A flush that many changes owe together: what each of them set free waits in `G`.
///
/// It knows the last byte of all pages, not their number, so that one more change is but three comparisons.
#[must_use = "TLBs may still hold the old translations"]
#[derive(PartialEq, Eq, Debug)]
pub struct GatheredFlush<G> {
    start: VirtAddr,
    last: VirtAddr,
    /// The smallest of all pages.
    size: PageSize,
    value: G,
}

impl<G> GatheredFlush<G> {
    /// Flushes, and gives out what waited for it.
    pub fn flush<I: TlbInvalidate>(self, tlb: &Tlb<I>) -> G {
        PendingFlush {
            start: self.start,
            pages: pages_between(self.start, self.last, self.size),
            size: self.size,
            value: self.value,
        }
        .flush(tlb)
    }

    /// What waits: to look at, not to take.
    #[must_use]
    pub const fn waiting(&self) -> &G {
        &self.value
    }
}

impl<F, A> PendingFlush<(F, A)> {
    /// Gives out the frames and lets the addresses go on waiting: what Linux does knowingly since 2.6.28, for vmalloc alone.
    ///
    /// Until the flush, the frames can still be reached through the old addresses, by a user of an area after it was
    /// freed. Nobody else can, as the addresses are not given out again before it.
    #[inline]
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
