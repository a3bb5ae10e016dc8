//! Floor 4: what must be flushed, and when.
//!
//! A change of a page table that a TLB may still contradict yields a [`PendingFlush`]. It is a value that has to be used, and
//! what the change set free (frames, an address range) rides in it and comes out of [`PendingFlush::flush`] alone: giving a
//! frame back before the flush, as 2.4's vfree does, does not compile. Nothing is flushed in `Drop`.
//!
//! How much to flush at once is the policy of [`Tlb`]: page by page up to a ceiling, everything above it. Linux's
//! `tlb_single_page_flush_ceiling` is 33 pages (arch/x86/mm/tlb.c).

//!
//! - `pending`: the flush that is owed
//! - `contexts`: which address spaces a CPU's TLB holds translations of, and which of those are stale
//! - `context_flush`: the flush that is owed in one of them
//! - `broadcast`: a range in the portions that INVLPGB takes

#![forbid(unsafe_code)]

mod broadcast;
mod context_flush;
mod contexts;
mod pending;

pub use broadcast::{Operands, Portion, portions};
pub use context_flush::ContextFlush;
pub use contexts::{CatchUp, Context, Contexts, Generations, Pcid, Switch};
pub use pending::{Gather, GatheredFlush, PendingFlush};

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
    ///
    /// No ceiling is so high that a flush of [everything](PendingFlush::everything) would go page by page.
    pub const fn new(invalidate: I, ceiling: u64) -> Self {
        const MOST: u64 = PendingFlush::EVERYTHING - 1;
        Tlb {
            invalidate,
            ceiling: if ceiling < MOST { ceiling } else { MOST },
        }
    }

    /// The ceiling, in pages.
    #[must_use]
    pub const fn ceiling(&self) -> u64 {
        self.ceiling
    }

    /// Page by page up to the ceiling, and everything beyond it.
    #[inline]
    fn flush(&self, start: VirtAddr, pages: u64, size: PageSize) {
        if pages <= self.ceiling {
            self.invalidate.flush_pages(start, pages, size);
        } else {
            self.invalidate.flush_all();
        }
    }

    /// The hardware, or what stands in for it.
    #[must_use]
    pub const fn invalidate(&self) -> &I {
        &self.invalidate
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
