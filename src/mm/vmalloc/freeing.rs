//! Freeing: when the flush that an area owes is done, and what waits for it.
//!
//! Addresses are never given out again before their flush, under any policy: they ride in the pending flush and come out of
//! it alone. The policies differ in what they do with the frames, and in how many areas share a flush:
//!
//! - [`Eager`]: clear, flush, then free the frames and the addresses (2.6.0; 2.4 freed the frames first).
//! - [`Lazy`]: clear, free the frames; the addresses wait with others for one flush (Linux since 2.6.28, its "lazy purge").

use super::search::{AreaSearch, Place, Places};
use crate::mm::address::PAGE_SIZE;
use crate::mm::hardware::TlbInvalidate;
use crate::mm::tlb::{GatheredFlush, PendingFlush, Tlb};

/// Areas that are unmapped but whose addresses are not free.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Waiting {
    /// How many.
    pub areas: usize,
    /// Their pages, guard pages left out.
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

    /// Flushes for all areas that wait, and frees their addresses. Tells how many that were.
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

/// One flush for many areas, once they have more than so many pages, or their addresses are wanted.
#[derive(Debug)]
pub struct Lazy {
    /// The flush that all of them owe.
    pending: Option<GatheredFlush<Places>>,
    pages: u64,
    max_pages: u64,
}

impl Lazy {
    /// Nothing waits; a purge is due when more than `max_pages` pages do.
    #[must_use]
    pub const fn new(max_pages: u64) -> Self {
        Lazy {
            pending: None,
            pages: 0,
            max_pages,
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

    #[cold]
    #[inline(never)]
    fn flush<I: TlbInvalidate>(&mut self, areas: &mut impl AreaSearch, tlb: &Tlb<I>) -> Waiting {
        let Some(pending) = self.pending.take() else {
            return Waiting::default();
        };
        let places = pending.flush(tlb);
        let purged = Waiting {
            areas: places.count(),
            pages: self.pages,
        };
        self.pages = 0;
        areas.cancel_all(places);
        purged
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
        if self.pages > self.max_pages {
            self.flush(areas, tlb);
        }
        frames
    }

    fn purge<I: TlbInvalidate>(&mut self, areas: &mut impl AreaSearch, tlb: &Tlb<I>) -> Waiting {
        self.flush(areas, tlb)
    }

    fn waiting(&self) -> Waiting {
        Waiting {
            areas: self
                .pending
                .as_ref()
                .map_or(0, |pending| pending.waiting().count()),
            pages: self.pages,
        }
    }
}
