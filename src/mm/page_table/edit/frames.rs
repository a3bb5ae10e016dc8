//! The frames behind a range of pages, in the order of the pages: contiguous, scattered, or in runs.

use core::sync::atomic::AtomicU64;

use crate::mm::address::{FrameRange, PageSize, Pfn, VirtAddr};
use crate::mm::page_table::Protection;
use crate::mm::page_table::format::entries;
use crate::mm::page_table::format::entry::leaf;

/// Frames that come one behind the other, each once.
pub trait Fill {
    /// Writes a 4 KiB leaf for each entry, and leaves those frames out from then on.
    fn fill(&mut self, entries: &[AtomicU64], protection: Protection);
}

/// Frames to be mapped one behind the other.
///
/// A mapping is looked at before it is made, so a value is gone through twice: `Clone` is cheap.
pub trait Frames: Clone + Fill {
    /// How many are left.
    fn count(&self) -> u64;

    /// The first frame, and how many from there are contiguous, but for those above `limit`.
    fn run(&self, limit: u64) -> (Pfn, u64);

    /// Leaves out the first `frames`, of those that are left.
    fn skip(&mut self, frames: u64);

    /// Takes the first run out of them, all that is known of it: its first frame, and how many it has.
    #[inline]
    fn take_run(&mut self) -> (Pfn, u64) {
        let run = self.run(u64::MAX);
        self.skip(run.1);
        run
    }

    /// Whether they are known to be blocks of at least `frames` frames, a power of two, aligned to that. `false` says nothing.
    fn are_blocks_of(&self, frames: u64) -> bool {
        let _ = frames;
        false
    }
}

/// Contiguous frames.
impl Frames for FrameRange {
    #[inline]
    fn count(&self) -> u64 {
        self.end.0.saturating_sub(self.start.0)
    }

    #[inline]
    fn run(&self, _: u64) -> (Pfn, u64) {
        (self.start, self.count())
    }

    #[inline]
    fn skip(&mut self, frames: u64) {
        self.start = self.start.add(frames);
    }

    #[inline]
    fn are_blocks_of(&self, frames: u64) -> bool {
        (self.start.0 | self.end.0) & (frames - 1) == 0
    }
}

impl Fill for FrameRange {
    #[inline]
    fn fill(&mut self, entries: &[AtomicU64], protection: Protection) {
        let size = PageSize::Size4K;
        entries::fill(entries, leaf(self.start, size, protection), size.bytes());
        self.skip(entries.len() as u64);
    }
}

/// Scattered frames.
impl Frames for &[Pfn] {
    #[inline]
    fn count(&self) -> u64 {
        self.len() as u64
    }

    fn run(&self, limit: u64) -> (Pfn, u64) {
        let Some(&first) = self.first() else {
            return (Pfn(0), 0);
        };
        let expected = (0..limit).map(|offset| first.add(offset));
        let run = self
            .iter()
            .zip(expected)
            .take_while(|(frame, expected)| **frame == *expected);
        (first, run.count() as u64)
    }

    #[inline]
    fn skip(&mut self, frames: u64) {
        *self = &self[frames as usize..];
    }
}

impl Fill for &[Pfn] {
    #[inline]
    fn fill(&mut self, entries: &[AtomicU64], protection: Protection) {
        let (now, later) = self.split_at(entries.len());
        let flags = leaf(Pfn(0), PageSize::Size4K, protection);
        entries::fill_scattered(entries, now, flags);
        *self = later;
    }
}

/// Runs of contiguous frames, (first frame, number of frames), as a list of blocks has them. None is empty.
#[derive(Clone, Debug)]
pub struct Runs<I> {
    rest: I,
    /// What is left of the run at the front, and of all.
    first: FrameRange,
    count: u64,
    /// The number of frames in the aligned blocks that each is made of.
    block: u64,
}

impl<I: Iterator<Item = (Pfn, u64)> + Clone> Runs<I> {
    /// The first `count` frames of the runs, which have that many at least.
    #[inline]
    pub fn new(runs: I, count: u64) -> Self {
        Self::of_blocks(runs, count, 1)
    }

    /// [`new`](Self::new), for runs each of which is known to be made of blocks of `block` frames, a power of two, aligned to
    /// that.
    #[inline]
    pub(in crate::mm) fn of_blocks(runs: I, count: u64, block: u64) -> Self {
        let mut frames = Runs {
            rest: runs,
            first: Pfn(0)..Pfn(0),
            count,
            block,
        };
        frames.next_run();
        frames
    }

    #[inline]
    fn next_run(&mut self) {
        match self.rest.next() {
            Some((frame, frames)) => self.first = frame..frame.add(frames),
            None => self.count = 0,
        }
    }

    /// Counts `frames` frames of the first run as gone.
    #[inline]
    fn advance(&mut self, frames: u64) {
        self.first.skip(frames);
        self.count -= frames;
        if self.first.count() == 0 && self.count > 0 {
            self.next_run();
        }
    }
}

impl<I: Iterator<Item = (Pfn, u64)> + Clone> Frames for Runs<I> {
    #[inline]
    fn count(&self) -> u64 {
        self.count
    }

    #[inline]
    fn run(&self, _: u64) -> (Pfn, u64) {
        (self.first.start, self.first.count().min(self.count))
    }

    #[inline]
    fn skip(&mut self, mut frames: u64) {
        while frames > 0 && self.count > 0 {
            let (_, run) = self.run(frames);
            let now = run.min(frames);
            self.advance(now);
            frames -= now;
        }
    }

    #[inline]
    fn take_run(&mut self) -> (Pfn, u64) {
        let run = self.run(u64::MAX);
        self.count -= run.1;
        if self.count > 0 {
            self.next_run();
        }
        run
    }

    #[inline]
    fn are_blocks_of(&self, frames: u64) -> bool {
        self.block >= frames && self.count & (frames - 1) == 0
    }
}

impl<I: Iterator<Item = (Pfn, u64)> + Clone> Fill for Runs<I> {
    #[inline]
    fn fill(&mut self, mut entries: &[AtomicU64], protection: Protection) {
        while !entries.is_empty() && self.count > 0 {
            let (frame, run) = self.run(u64::MAX);
            let (now, later) = entries.split_at(entries.len().min(run as usize));
            (frame..frame.add(run)).fill(now, protection);
            self.advance(now.len() as u64);
            entries = later;
        }
    }
}

/// How many leaves of a large size can map the first frames from `address` on.
pub(in crate::mm::page_table) fn large_leaves(
    address: VirtAddr,
    frames: &impl Frames,
    size: PageSize,
) -> u64 {
    let (first, _) = frames.run(1);
    if (address.0 | first.address().0) & (size.bytes() - 1) != 0 {
        return 0;
    }
    if frames.are_blocks_of(size.frames()) {
        return frames.count() / size.frames();
    }
    let (_, run) = frames.run(size.frames());
    run / size.frames()
}
