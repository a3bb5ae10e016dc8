//! Cuts a contiguous mapping into pieces that each lie in one table and have leaves of one size.

use crate::mm::address::{PAGE_SIZE, PageSize, Pfn, VirtAddr, WORDS_PER_PAGE};

/// Leaves of one size behind one another in one table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Piece {
    pub(super) start: VirtAddr,
    pub(super) frame: Pfn,
    pub(super) size: PageSize,
    /// Number of leaves, 1 to 512.
    pub(super) leaves: usize,
}

/// The pieces, lowest address first.
#[derive(Clone, Debug)]
pub(super) struct Pieces {
    start: VirtAddr,
    frame: Pfn,
    left: u64,
    largest: PageSize,
}

impl Pieces {
    /// The pieces of `pages` pages from `start`, mapped to the frames from `frame` on.
    #[inline(always)]
    pub(super) const fn new(start: VirtAddr, frame: Pfn, pages: u64, largest: PageSize) -> Self {
        Pieces {
            start,
            frame,
            left: pages,
            largest,
        }
    }

    /// The largest leaf that may start here.
    #[inline(always)]
    fn size(&self) -> PageSize {
        let page = self.start.0 / PAGE_SIZE;
        [PageSize::Size1G, PageSize::Size2M]
            .into_iter()
            .find(|&size| {
                let frames = size.frames();
                size <= self.largest
                    && self.left >= frames
                    && (page | self.frame.0) & (frames - 1) == 0
            })
            .unwrap_or(PageSize::Size4K)
    }
}

impl Iterator for Pieces {
    type Item = Piece;

    #[inline(always)]
    fn next(&mut self) -> Option<Piece> {
        if self.left == 0 {
            return None;
        }
        let size = self.size();
        let frames = size.frames();
        // To the end of the table, where a larger leaf may begin.
        let index = (self.start.0 / size.bytes()) as usize % WORDS_PER_PAGE;
        let leaves = (self.left / frames).min((WORDS_PER_PAGE - index) as u64);
        let piece = Piece {
            start: self.start,
            frame: self.frame,
            size,
            leaves: leaves as usize,
        };
        let pages = leaves * frames;
        self.left -= pages;
        self.frame = self.frame.add(pages);
        self.start = VirtAddr(self.start.0.wrapping_add(pages * PAGE_SIZE));
        Some(piece)
    }
}
