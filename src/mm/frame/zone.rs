//! Zones: the parts of physical memory that requests distinguish, each with its own buddy lists, counters and watermarks.
//!
//! A zone starts with empty lists. Its memory comes to life a chunk of 1,024 frames at a time, in address order, when the
//! lists cannot serve a request: only then are descriptors written. So the cost of starting up does not depend on the amount
//! of RAM, and a frame is alive exactly if its index is below the length of the table, which is the bounds check that every
//! access makes anyway.

#![forbid(unsafe_code)]

use core::ops::Range;
use core::sync::atomic::Ordering;
use core::{fmt, mem};

use super::Block;
use super::buddy::{Bits, Buddy, Lists};
use super::descriptor::{
    ALLOCATED, CACHED, CHAINED, CHUNK_FRAMES, Descriptor, NOT_A_HEAD, State, Table, next_link,
    owned, owned_word, tag,
};
use super::singles::{Chain, Rest};
use crate::mm::address::{FrameRange, Pfn};

/// What a zone is for. A request falls back from its own kind to the kinds before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ZoneKind {
    /// Frames that ISA devices reach: below 16 MiB.
    Dma,
    /// Frames that 32-bit devices reach: below 4 GiB.
    Dma32,
    /// Ordinary, direct-mapped frames.
    Normal,
    /// Frames outside the direct map (the book's machine: above 896 MiB).
    HighMem,
}

impl fmt::Display for ZoneKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ZoneKind::Dma => "DMA",
            ZoneKind::Dma32 => "DMA32",
            ZoneKind::Normal => "NORMAL",
            ZoneKind::HighMem => "HIGHMEM",
        })
    }
}

/// The kinds of zones a machine has and where each ends (exclusive), in address order. The ends are multiples of 1,024 frames,
/// except that the last may be anything above the one before it.
pub type ZoneEnds = [(ZoneKind, Pfn)];

/// The zones of x86-64: 16 MiB, 4 GiB, and the rest.
pub const WIDE: [(ZoneKind, Pfn); 3] = [
    (ZoneKind::Dma, Pfn(16 << 8)),
    (ZoneKind::Dma32, Pfn(4 << 18)),
    (ZoneKind::Normal, Pfn(u64::MAX)),
];

/// The zones of the book's i386: 16 MiB, 896 MiB, and the rest.
pub const CLASSIC: [(ZoneKind, Pfn); 3] = [
    (ZoneKind::Dma, Pfn(16 << 8)),
    (ZoneKind::Normal, Pfn(896 << 8)),
    (ZoneKind::HighMem, Pfn(u64::MAX)),
];

/// Numbers of free frames at which a zone stops serving some requests, by the book's rule (chapter 2).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Watermarks {
    /// Below it a request that can wait reclaims first; one that cannot may go down to a quarter of it.
    pub min: u64,
    /// Below it the next zone is tried first.
    pub low: u64,
    /// Reclaim aims at it.
    pub high: u64,
}

impl Watermarks {
    /// The marks of a zone of `frames` usable frames: one in 128, at least 20, at most 255; twice and three times that.
    #[must_use]
    pub const fn for_zone(frames: u64) -> Watermarks {
        let min = match frames / 128 {
            0..20 => 20,
            min @ 20..=255 => min,
            _ => 255,
        };
        Watermarks {
            min,
            low: 2 * min,
            high: 3 * min,
        }
    }
}

/// One zone. Frames are named by their index in the zone's table.
pub struct Zone<'m, B> {
    pub(super) lists: Lists<'m>,
    pub(super) bits: Bits<'m>,
    pub(super) marks: Watermarks,
    /// Somebody had to go below the low mark since the zone was last above the high mark.
    pub(super) need_balance: bool,
    pub(super) kind: ZoneKind,
    /// Usable frames.
    pub(super) present: u64,
    /// The frames of the zone, from index 0 (the start of a chunk) to the end of the last usable range.
    span: FrameRange,
    /// The descriptors of the whole zone, alive or not.
    whole: Table<'m>,
    /// The usable ranges of the whole machine.
    ranges: &'m [FrameRange],
    buddy: core::marker::PhantomData<B>,
}

/// Chunks that a zone over `span` needs descriptors for.
pub(super) fn chunks_for(span: &FrameRange) -> usize {
    (span.end.0 - span.start.0).div_ceil(CHUNK_FRAMES as u64) as usize
}

/// The part of the address space that the usable frames of `ranges` within `limits` span, from the start of a chunk;
/// `None` if there are none.
pub(super) fn span(ranges: &[FrameRange], limits: FrameRange) -> Option<FrameRange> {
    let mut parts = parts(ranges, limits);
    let first = parts.next()?;
    let end = parts.next_back().map_or(first.end, |last| last.end);
    Some(Pfn(first.start.0 & !(CHUNK_FRAMES as u64 - 1))..end)
}

/// The usable frames within `limits`.
fn parts(
    ranges: &[FrameRange],
    Range { start, end }: FrameRange,
) -> impl DoubleEndedIterator<Item = FrameRange> {
    ranges
        .iter()
        .map(move |range| range.start.max(start)..range.end.min(end))
        .filter(|part| part.start < part.end)
}

impl<'m, B: Buddy> Zone<'m, B> {
    /// A zone without memory.
    #[must_use]
    pub fn empty() -> Self {
        Zone {
            lists: Lists::new(Table::EMPTY),
            bits: Bits::EMPTY,
            marks: Watermarks::default(),
            need_balance: false,
            kind: ZoneKind::Dma,
            present: 0,
            span: Pfn(0)..Pfn(0),
            whole: Table::EMPTY,
            ranges: &[],
            buddy: core::marker::PhantomData,
        }
    }

    /// A zone over the usable frames of `ranges` within `span`, which `table` describes.
    pub(super) fn new(
        kind: ZoneKind,
        span: FrameRange,
        ranges: &'m [FrameRange],
        table: Table<'m>,
        bits: Bits<'m>,
    ) -> Self {
        let present = parts(ranges, span.clone())
            .map(|part| part.end.0 - part.start.0)
            .sum();
        let marks = Watermarks::for_zone(present);
        let mut lists = Lists::new(Table::EMPTY);
        lists.above_low = present as i64 - marks.low as i64;
        Zone {
            lists,
            bits,
            marks,
            need_balance: false,
            kind,
            present,
            span,
            whole: table,
            ranges,
            buddy: core::marker::PhantomData,
        }
    }

    /// The frame number of an index.
    pub(super) fn pfn(&self, index: usize) -> Pfn {
        Pfn(self.span.start.0 + index as u64)
    }

    /// The block of `order` at an index.
    pub(super) fn block(&self, index: usize, order: u32) -> Block {
        Block::new(self.pfn(index), order)
    }

    /// The index of a frame, which is below the length of the live table if the frame is alive in this zone.
    pub(super) fn index(&self, pfn: Pfn) -> usize {
        pfn.0.wrapping_sub(self.span.start.0) as usize
    }

    /// Whether the frame lies in the zone's span.
    pub(super) fn spans(&self, pfn: Pfn) -> bool {
        self.span.contains(&pfn)
    }

    /// Whether the frame is usable memory of this zone.
    pub(super) fn usable(&self, pfn: Pfn) -> bool {
        self.spans(pfn) && self.ranges.iter().any(|range| range.contains(&pfn))
    }

    /// The highest usable frame of this zone below `end`.
    pub(super) fn last_below(&self, end: Pfn) -> Option<Pfn> {
        let limits = self.span.start..self.span.end.min(end);
        let last = parts(self.ranges, limits).next_back()?;
        Some(Pfn(last.end.0 - 1))
    }

    /// Whether all frames of `range` are usable memory of this zone.
    pub(super) fn whole_range_is_usable(&self, range: FrameRange) -> bool {
        let reached =
            self.ranges
                .iter()
                .fold(range.start, |reached, part| match part.contains(&reached) {
                    true => part.end,
                    false => reached,
                });
        self.spans(range.start) && range.end <= reached.min(self.span.end)
    }

    /// First frame that is not alive.
    fn frontier(&self) -> Pfn {
        self.pfn(self.lists.table.len())
    }

    /// The usable frames that are not alive.
    pub(super) fn dormant(&self) -> impl Iterator<Item = FrameRange> {
        parts(self.ranges, self.frontier()..self.span.end)
    }

    /// Free frames, those not yet alive included.
    pub(super) fn free(&self) -> u64 {
        (self.lists.above_low + self.marks.low as i64) as u64
    }

    /// Takes a block of `order` from the lists and marks it allocated. Watermarks are the caller's business.
    #[inline(always)]
    pub(super) fn take_alive(&mut self, order: u32) -> Option<usize> {
        let index = B::take(&mut self.lists, self.bits, order)?;
        self.lists.above_low -= 1 << order;
        Some(index)
    }

    /// [`take_alive`](Self::take_alive) out of the smallest order that has a block, `found`.
    #[inline]
    pub(super) fn take_from(&mut self, order: u32, found: u32) -> Option<usize> {
        let index = B::take_from(&mut self.lists, self.bits, order, found)?;
        self.lists.above_low -= 1 << order;
        Some(index)
    }

    /// As [`take_alive`](Self::take_alive), bringing memory to life as needed.
    pub(super) fn take(&mut self, order: u32) -> Option<usize> {
        loop {
            match self.take_alive(order) {
                None if self.grow() => {}
                index => return index,
            }
        }
    }

    /// Takes a run of at most `frames` frames that lie side by side, from the smallest block there is: what as many requests
    /// for single frames would come upon first.
    pub(super) fn take_run(&mut self, frames: u64) -> Option<Range<usize>> {
        let most = frames.checked_ilog2()?.min(B::LARGEST);
        let smallest = self.lists.smallest(0, most).unwrap_or(most);
        let index = self.take(smallest)?;
        Some(index..index + (1 << smallest))
    }

    /// Puts back the block of `order` at `index`. `false`, and nothing changed, if no such block is allocated.
    #[inline(never)]
    pub(super) fn give(&mut self, index: usize, order: u32) -> bool {
        let held = ALLOCATED | u64::from(order);
        B::give(&mut self.lists, self.bits, index, order, held)
    }

    /// Puts back a block that is nobody's, and whose descriptor says so.
    pub(super) fn give_piece(&mut self, index: usize, order: u32) -> bool {
        B::give(&mut self.lists, self.bits, index, order, NOT_A_HEAD)
    }

    /// Puts back frames that were in a cache.
    pub(super) fn give_cached(&mut self, frames: &[u32]) {
        let start = self.span.start;
        let mut frames = frames.iter().map(|&index| start.add(u64::from(index)));
        while self.give_frames(&mut frames, CACHED).is_some() {}
    }

    /// Puts back single frames whose descriptors are `held`, up to the first one that has another or lies elsewhere, which it returns.
    pub(super) fn give_frames(
        &mut self,
        frames: &mut impl Iterator<Item = Pfn>,
        held: u64,
    ) -> Option<Pfn> {
        let table = self.lists.table;
        let mut run = 0..0;
        let other = frames.find(|&pfn| {
            let index = self.index(pfn);
            match table.get(index) {
                Some(frame) if frame.word() == held => {
                    frame.set(NOT_A_HEAD);
                    self.give_later(&mut run, index..index + 1);
                    false
                }
                _ => true,
            }
        });
        self.give_run(run);
        other
    }

    /// Puts back a block that was in a cache.
    pub(super) fn give_cached_block(&mut self, index: usize, order: u32) {
        let cached = CACHED | u64::from(order);
        B::give(&mut self.lists, self.bits, index, order, cached);
    }

    /// Puts back frames that lie side by side and are in no block, as the largest blocks that fit.
    fn give_run(&mut self, run: Range<usize>) {
        match run.len() {
            1 => {
                B::give(&mut self.lists, self.bits, run.start, 0, NOT_A_HEAD);
            }
            _ => self.lists.add::<B>(self.bits, run.start, run.end),
        }
    }

    /// [`give_run`](Self::give_run) for the next of many: `run` is what has been put off, in the hope of more frames beside it.
    #[inline(always)]
    fn give_later(&mut self, run: &mut Range<usize>, next: Range<usize>) {
        if next.start == run.end {
            run.end = next.end;
        } else if next.end == run.start {
            run.start = next.start;
        } else {
            self.give_run(mem::replace(run, next));
        }
    }

    /// [`give`](Self::give) for what can be done in a few steps. `false`, and nothing changed, of anything else.
    #[inline(always)]
    pub(super) fn try_give(&mut self, index: usize, order: u32) -> bool {
        let held = ALLOCATED | u64::from(order);
        B::try_give(&mut self.lists, self.bits, index, order, held)
    }

    /// [`try_give`](Self::try_give) of a single frame that is its owner's list, all of it.
    #[inline]
    pub(super) fn try_give_only(&mut self, pfn: Pfn) -> bool {
        let (index, held) = (self.index(pfn), owned_word(0, Pfn(0)));
        B::try_give(&mut self.lists, self.bits, index, 0, held)
    }

    /// Takes single frames off their list: see [`Lists::take_singles`].
    #[inline]
    pub(super) fn take_singles<T>(
        &mut self,
        places: impl ExactSizeIterator<Item = T>,
        mut put: impl FnMut(T, Pfn),
    ) -> Option<Chain> {
        let start = self.span.start;
        let put = |place, index| put(place, start.add(index as u64));
        self.lists.take_singles::<B, _>(self.bits, places, put)
    }

    /// The order of the block at `index`, which is on its owner's list, and the first frame of the next block there.
    pub(super) fn on_list(&self, index: usize) -> Option<(u32, Pfn)> {
        let word = self.lists.table.get(index)?.word();
        match tag(word) {
            CHAINED => Some((0, self.pfn(next_link(word).wrapping_sub(1)))),
            _ => owned(word),
        }
    }

    /// Puts back blocks of an owner's list from `first` on, as far as they are this zone's and on a list: where the list goes on,
    /// and how many are left of it.
    pub(super) fn give_list(&mut self, mut first: Pfn, mut blocks: u64) -> (Pfn, u64) {
        let mut run = 0..0;
        let (table, zone_start) = (self.lists.table, self.span.start);
        while blocks > 0
            && let index = first.0.wrapping_sub(zone_start.0) as usize
            && let Some(block) = table.get(index)
        {
            let word = block.word();
            if tag(word) == CHAINED {
                self.give_run(mem::take(&mut run));
                let (rest, given) = self.lists.give_singles::<B>(self.bits, index);
                blocks = blocks.saturating_sub(given);
                first = match rest {
                    Rest::At(next) => zone_start.add(next as u64),
                    Rest::From(pfn) => pfn,
                };
                if given == 0 {
                    // It merges with its buddy.
                    block.set(NOT_A_HEAD);
                    B::give(&mut self.lists, self.bits, index, 0, NOT_A_HEAD);
                    first = zone_start.add(next_link(word) as u64 - 1);
                    blocks -= 1;
                }
                continue;
            }
            let Some((order, next)) = owned(word) else {
                break;
            };
            let mut end = index + (1 << order);
            block.set(NOT_A_HEAD);
            (first, blocks) = (next, blocks - 1);
            if order == 0 && next.0.wrapping_sub(zone_start.0) as usize == end {
                let frames = self.clear_neighbours(end, blocks);
                end += frames;
                first = zone_start.add(end as u64);
                blocks -= frames as u64;
            }
            self.give_later(&mut run, index..end);
        }
        self.give_run(run);
        (first, blocks)
    }

    /// Takes frames off their owner's list, from `index` on, that follow on each other there and in memory: how many there are but
    /// for the last, which says where the list goes on, at most `most`.
    fn clear_neighbours(&self, index: usize, most: u64) -> usize {
        const STEP: usize = 4;
        let rest = self.lists.table.from(index);
        let rest = &rest[..rest.len().min(most as usize)];
        let step = owned_word(0, Pfn(1)) - owned_word(0, Pfn(0));
        let mut word = owned_word(0, self.pfn(index + 1));
        let mut count = 0;
        let mut next = |frame: &Descriptor| {
            let follows = frame.word() == word;
            if follows {
                frame.set(NOT_A_HEAD);
                word += step;
                count += 1;
            }
            follows
        };
        let (steps, rest) = rest.as_chunks::<STEP>();
        let whole = steps.iter().all(|frames| frames.iter().all(&mut next));
        if whole {
            let _ = rest.iter().all(&mut next);
        }
        count
    }

    /// The block that the frame at `index` is part of: the index of its head, and its state. `None` for a frame that is not
    /// alive or not usable.
    pub(super) fn block_around(&self, index: usize) -> Option<(usize, State)> {
        // From the largest order down, the first head that claims so much: no larger block covers the frame, so each
        // candidate is the head of a block.
        (0..=B::LARGEST).rev().find_map(|order| {
            let head = index & !((1 << order) - 1);
            let state = self.lists.table.get(head)?.state();
            let claimed = match state {
                State::Allocated(order) | State::Free(order) | State::Cached(order) => {
                    u32::from(order)
                }
                State::NotAHead => return None,
            };
            (claimed == order).then_some((head, state))
        })
    }

    /// Brings the next chunk to life. `false` if all are.
    pub(super) fn grow(&mut self) -> bool {
        let chunk = self.lists.table.chunk_count();
        if chunk >= self.whole.chunk_count() {
            return false;
        }
        self.lists.table = self.whole.prefix(chunk + 1);
        if let Some(descriptors) = self.lists.table.chunk(chunk * CHUNK_FRAMES) {
            for descriptor in descriptors {
                descriptor.set(NOT_A_HEAD);
            }
        }
        for word in 0..B::WORDS_PER_CHUNK {
            if let Some(word) = self.bits.get(chunk * B::WORDS_PER_CHUNK + word) {
                word.store(0, Ordering::Relaxed);
            }
        }
        let start = self.pfn(chunk * CHUNK_FRAMES);
        let limits = start..start.add(CHUNK_FRAMES as u64).min(self.span.end);
        for part in parts(self.ranges, limits) {
            let (index, end) = (self.index(part.start), self.index(part.end));
            self.give_run(index..end);
            // They were counted as free all along.
            self.lists.above_low -= (end - index) as i64;
        }
        true
    }
}
