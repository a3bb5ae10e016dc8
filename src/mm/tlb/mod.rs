//! Floor 4: what must be flushed, and when.
//!
//! A change of a page table that a TLB may still contradict yields a [`PendingFlush`]. It is a value that has to be used, and
//! what the change set free (frames, an address range) waits in it. Outside `mm` it comes out of [`PendingFlush::flush`] alone: giving a
//! frame back before the flush, as 2.4's vfree does, does not compile. Inside, three named methods give it out early, lazy vfree's
//! frames among it, as Linux does since 2.6.28. Nothing is flushed in `Drop`.
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
            self.flush_more(pages);
        }
    }

    /// Beyond the ceiling. Out of line, for the sake of the few pages that most flushes are for.
    #[inline(never)]
    fn flush_more(&self, pages: u64) {
        if pages < PendingFlush::EVERYTHING {
            self.invalidate.flush_all();
        } else {
            self.invalidate.flush_tables();
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
    use std::cell::{Cell, RefCell};
    use std::vec::Vec;

    /// Writes down what it is asked; `None` is a flush of everything.
    #[derive(Default)]
    struct Recorder(RefCell<Vec<Option<(u64, u64, PageSize)>>>, Cell<u32>);

    impl Recorder {
        /// All that it was asked since the last call.
        fn take(&self) -> Vec<Option<(u64, u64, PageSize)>> {
            self.0.take()
        }
    }

    impl TlbInvalidate for &Recorder {
        fn flush_pages(&self, start: VirtAddr, pages: u64, size: PageSize) {
            Recorder::flush_pages(self, start, pages, size);
        }

        fn flush_all(&self) {
            Recorder::flush_all(self);
        }
    }

    impl TlbInvalidate for Recorder {
        fn flush_pages(&self, start: VirtAddr, pages: u64, size: PageSize) {
            self.0.borrow_mut().push(Some((start.0, pages, size)));
        }

        fn flush_all(&self) {
            self.0.borrow_mut().push(None);
        }

        fn flush_tables(&self) {
            self.1.update(|flushes| flushes + 1);
        }
    }

    /// Sets of nothing.
    #[derive(Default)]
    struct Nothing;

    impl Gather<(), ()> for Nothing {
        fn gather(&mut self, (): (), (): &mut ()) {}
    }

    /// One flush for all of these, merged one after the other and gathered.
    fn together(pages: &[(u64, u64, PageSize)]) -> [Vec<Option<(u64, u64, PageSize)>>; 2] {
        let tlb = Tlb::new(Recorder::default(), 1 << 20);
        let one = |&(start, pages, size)| PendingFlush::new(VirtAddr(start), pages, size);
        let merged = pages.iter().map(one).reduce(PendingFlush::merge);
        merged.unwrap().flush(&tlb);
        let merged = tlb.invalidate().take();
        let mut gathered: Option<GatheredFlush<Nothing>> = None;
        for pages in pages {
            one(pages).gather_into(&mut gathered, &mut ());
        }
        let Nothing = gathered.unwrap().flush(&tlb);
        [merged, tlb.invalidate().take()]
    }

    #[test]
    fn a_flush_for_many_reaches_the_last_byte_of_the_address_space() {
        use PageSize::{Size1G, Size2M, Size4K};
        let top = u64::MAX - 0xfff;
        for (pages, expected) in [
            (&[(top, 1, Size4K)][..], (top, 1, Size4K)),
            (
                &[(top, 1, Size4K), (top - 0x1000, 1, Size4K)],
                (top - 0x1000, 2, Size4K),
            ),
            (
                &[(top - 0x4000, 1, Size4K), (top, 1, Size4K)],
                (top - 0x4000, 5, Size4K),
            ),
            (
                &[
                    (u64::MAX - 0x1f_ffff, 1, Size2M),
                    (top - 0x40_0000, 1, Size4K),
                ],
                (top - 0x40_0000, 0x401, Size4K),
            ),
            // Pages that touch, and the smaller size of two, whichever comes first.
            (
                &[(0x4000_0000, 1, Size1G), (0x8000_0000, 1, Size2M)],
                (0x4000_0000, 0x201, Size2M),
            ),
            (
                &[(0x20_0000, 1, Size2M), (0x40_0000, 1, Size2M)],
                (0x20_0000, 2, Size2M),
            ),
            // One inside the other.
            (
                &[(0x20_0000, 1, Size2M), (0x20_3000, 2, Size4K)],
                (0x20_0000, 512, Size4K),
            ),
            (
                &[(0x20_3000, 2, Size4K), (0x20_0000, 1, Size2M)],
                (0x20_0000, 512, Size4K),
            ),
        ] {
            assert_eq!(
                together(pages),
                [0; 2].map(|_| Vec::from([Some(expected)])),
                "{pages:x?}"
            );
        }
    }

    #[test]
    fn an_empty_range_stretches_no_other() {
        let tlb = Tlb::new(Recorder::default(), 33);
        let empty = || PendingFlush::new(VirtAddr(0), 0, PageSize::Size4K);
        let page = || PendingFlush::new(VirtAddr(0xffff_8000_0000_1000), 1, PageSize::Size4K);
        empty().merge(page()).flush(&tlb);
        page().merge(empty()).flush(&tlb);
        let expected = Some((0xffff_8000_0000_1000, 1, PageSize::Size4K));
        assert_eq!(tlb.invalidate().take(), [expected; 2]);
        empty().merge(empty()).flush(&tlb);
        assert!(
            tlb.invalidate()
                .take()
                .iter()
                .all(|asked| asked.is_some_and(|(_, pages, _)| pages == 0))
        );
    }

    /// Wherever the pages lie that share the flush, and whichever is asked for first.
    #[test]
    fn tables_that_left_the_tree_are_flushed_as_such_together_with_pages() {
        let tlb = Tlb::new(Recorder::default(), u64::MAX);
        let asked = || (tlb.invalidate().take(), tlb.invalidate().1.take());
        PendingFlush::everything().flush(&tlb);
        assert_eq!(asked(), (Vec::new(), 1));
        for start in [0, 0x1000, 0xffff_8000_0000_0000, u64::MAX - 0xfff] {
            let page = || PendingFlush::new(VirtAddr(start), 1, PageSize::Size4K);
            page().merge(PendingFlush::everything()).flush(&tlb);
            PendingFlush::everything().merge(page()).flush(&tlb);
            let mut gathered: Option<GatheredFlush<Nothing>> = None;
            page().gather_into(&mut gathered, &mut ());
            PendingFlush::everything().gather_into(&mut gathered, &mut ());
            let Nothing = gathered.unwrap().flush(&tlb);
            assert_eq!(asked(), (Vec::new(), 3), "{start:#x}");
        }
        // Leaves alone never owe that.
        PendingFlush::new(VirtAddr(0), 1 << 18, PageSize::Size4K)
            .flush(&Tlb::new(&tlb.invalidate, 33));
        assert_eq!(asked(), (Vec::from([None]), 0));
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
