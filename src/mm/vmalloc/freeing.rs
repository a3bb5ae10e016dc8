//! Freeing: when the flush that an area owes is done, and what waits for it.
//!
//! Addresses are never given out again before their flush, under any policy: they ride in the pending flush and come out of
//! it alone. The policies differ in what they do with the frames, and in how many areas share a flush:
//!
//! - [`Eager`]: clear, flush, then free the frames and the addresses (2.6.0; 2.4 freed the frames first).
//! - [`Lazy`]: clear, free the frames; the addresses wait with others for one flush (Linux since 2.6.28, its "lazy purge"), and go back
//!   a few with each area that is freed after it: no call waits for all of them.

use super::search::{AreaSearch, Place, Places};
use crate::mm::address::PAGE_SIZE;
use crate::mm::hardware::TlbInvalidate;
use crate::mm::tlb::{GatheredFlush, PendingFlush, Tlb};

/// Areas that are unmapped but whose addresses are not free: they wait for a flush, or it is done and they are about to go back.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Waiting {
    /// How many.
    pub areas: usize,
    /// Pages of those that wait for a flush, guard pages left out.
    pub pages: u64,
}

/// When the flush is done.
pub trait Freeing {
    /// Takes an unmapped area of `pages` pages: the frames come out, the addresses go back at once or later.
    fn retire<F, I: TlbInvalidate>(
        &mut self,
        unmapped: PendingFlush<(F, Place)>,
        pages: u64,
        areas: &mut impl AreaSearch,
        tlb: &Tlb<I>,
    ) -> F;

    /// Flushes for all areas that wait, and frees their addresses. Returns how many they were.
    fn purge<I: TlbInvalidate>(&mut self, areas: &mut impl AreaSearch, tlb: &Tlb<I>) -> Waiting;

    /// What waits.
    fn waiting(&self) -> Waiting;
}

/// A flush for each area, before anything of it is free.
#[derive(Clone, Copy, Default, Debug)]
pub struct Eager;

impl Freeing for Eager {
    #[inline(always)]
    fn retire<F, I: TlbInvalidate>(
        &mut self,
        unmapped: PendingFlush<(F, Place)>,
        _: u64,
        areas: &mut impl AreaSearch,
        tlb: &Tlb<I>,
    ) -> F {
        let (frames, place) = unmapped.flush(tlb);
        areas.cancel(place);
        frames
    }

    fn purge<I: TlbInvalidate>(&mut self, _: &mut impl AreaSearch, _: &Tlb<I>) -> Waiting {
        Waiting::default()
    }

    fn waiting(&self) -> Waiting {
        Waiting::default()
    }
}

/// One flush for many areas, once they have more than `max_pages` pages, or their addresses are needed.
#[derive(Debug)]
pub struct Lazy {
    /// The flush that those owe that wait for it.
    pending: Option<GatheredFlush<Places>>,
    /// Their pages.
    pages: u64,
    max_pages: u64,
    /// Those whose flush is done, and whose addresses are about to go back.
    flushed: Places,
    /// With more pages that wait there is something to do: `max_pages`, or 0 while some are about to go back.
    limit: u64,
}

/// Areas whose addresses go back with each area that is freed, at most.
const PORTION: usize = 64;

impl Lazy {
    /// Nothing waits; a purge is due when more than `max_pages` pages do.
    #[must_use]
    pub const fn new(max_pages: u64) -> Self {
        Lazy {
            pending: None,
            pages: 0,
            max_pages,
            flushed: Places::NONE,
            limit: max_pages,
        }
    }

    /// The pages above which a purge is due.
    #[must_use]
    pub const fn max_pages(&self) -> u64 {
        self.max_pages
    }

    /// Linux's limit: 32 MiB, times the bits of the number of CPUs, as the price of a flush grows with the CPUs
    /// (`lazy_max_pages` in mm/vmalloc.c).
    #[must_use]
    pub const fn default_max_pages(cpus: u32) -> u64 {
        let bits = u32::BITS - cpus.leading_zeros();
        bits as u64 * ((32 << 20) / PAGE_SIZE)
    }

    /// Flushes for those that wait.
    fn flush<I: TlbInvalidate>(&mut self, areas: &mut impl AreaSearch, tlb: &Tlb<I>) -> Places {
        match self.pending.take() {
            Some(pending) => {
                self.pages = 0;
                areas.next_flush();
                pending.flush(tlb)
            }
            None => Places::NONE,
        }
    }

    /// A flush if one is due, and the next addresses that go back after one. One after the other: should a flush be due while there
    /// are some left of the one before, only addresses wait longer.
    #[cold]
    #[inline(never)]
    fn go_on<I: TlbInvalidate>(&mut self, areas: &mut impl AreaSearch, tlb: &Tlb<I>) {
        if self.pages > self.max_pages && self.flushed.count() == 0 {
            self.flushed = self.flush(areas, tlb);
        }
        areas.cancel_some(&mut self.flushed, PORTION);
        self.limit = match self.flushed.count() {
            0 => self.max_pages,
            _ => 0,
        };
    }
}

impl Freeing for Lazy {
    #[inline(always)]
    fn retire<F, I: TlbInvalidate>(
        &mut self,
        unmapped: PendingFlush<(F, Place)>,
        pages: u64,
        areas: &mut impl AreaSearch,
        tlb: &Tlb<I>,
    ) -> F {
        let (frames, addresses) = unmapped.release_frames_before_flush();
        addresses.gather_into(&mut self.pending, areas);
        self.pages += pages;
        if self.pages > self.limit {
            self.go_on(areas, tlb);
        }
        frames
    }

    fn purge<I: TlbInvalidate>(&mut self, areas: &mut impl AreaSearch, tlb: &Tlb<I>) -> Waiting {
        let purged = self.waiting();
        if self.flushed.count() > 0 {
            areas.cancel_some(&mut self.flushed, usize::MAX);
        }
        let mut places = self.flush(areas, tlb);
        areas.cancel_some(&mut places, usize::MAX);
        self.limit = self.max_pages;
        purged
    }

    fn waiting(&self) -> Waiting {
        let pending = self.pending.as_ref();
        Waiting {
            areas: pending.map_or(0, |pending| pending.waiting().count()) + self.flushed.count(),
            pages: self.pages,
        }
    }
}
