//! Floor 3: physical page allocation: zones of frames, a buddy system in each, and what callers hold of it.
//!
//! ```text
//! boot           early, permanent allocations out of the memory map's ranges; hands the rest over
//! FrameAllocator the zones of a machine, made from its ranges (this file), and what it does:
//!   gfp          flags of a request
//!   request      zonelists, watermarks, the shrinker: allocating
//!   zeroed       allocating a block of zeros
//!   release      freeing, and telling bad frees apart
//!   list         many blocks at once, and lists of blocks
//!   taking       the frames of one request as they lie in the first zone
//!   statistics   free blocks by order, fragmentation
//!   validate     the walk over descriptors and lists that must agree with every counter
//! zone           one zone: its lists, counters, marks; memory comes to life chunk by chunk
//!   singles      many single frames at once, off their free list and back
//!   buddy        split and merge: state in the descriptor (today's), or a bit for each pair (the book's)
//!   descriptor   one word for each frame
//! block          what callers own: a block, a list of blocks
//! shared         the allocator behind the lock of all CPUs
//! tree           a zone that CPUs share without a lock
//! cache          single frames and blocks of some orders for one CPU, in front of either
//! whole_zone     what a zone behind a lock and one without have in common
//! ```
//!
//! The rules are those of Linux 2.4 as Gorman's "Understanding the Linux Virtual Memory Manager" has them (chapters 2
//! and 6), with the later ones beside them where they differ. All state is reached through `&mut`: CPUs share an allocator
//! behind a lock ([`SharedFrames`]), each with a cache of its own in front ([`FrameCache`]).
//!
//! A bad free (double, wrong order, foreign, reserved, misaligned) is always an error and never changes anything. Finding it
//! out costs one compare, as the descriptor of an allocated block is a constant.

mod block;
mod boot;
mod buddy;
mod cache;
mod descriptor;
mod error;
mod gfp;
mod list;
mod release;
mod request;
mod shared;
mod singles;
mod statistics;
mod sync;
mod taking;
mod tree;
mod validate;
mod whole_zone;
mod zeroed;
mod zone;

#[cfg(test)]
mod tests;

pub use block::{Block, BlockList};
pub use boot::{BootAllocator, BootError};
pub use buddy::{Buddy, InDescriptor, PairBitmap};
pub use cache::{
    Batched, CachePolicy, Cacheable, CachedZone, FrameCache, HotCold, Rule, Slot, Supply,
};
pub use descriptor::Descriptor;
pub use error::{AllocError, BulkError, FreeError, NewError};
pub use gfp::Gfp;
pub use request::{COSTLY_ORDER, SHRINK_ROUNDS};
pub use shared::{LockedFrames, SharedFrames};
pub use statistics::BuddyInfo;
pub use taking::Taking;
pub use tree::TreeFrames;
pub use validate::Inconsistency;
pub use whole_zone::WholeZone;
pub use zone::{CLASSIC, WIDE, Watermarks, Zone, ZoneEnds, ZoneKind};

use super::address::{FrameRange, Order, Pfn};
use buddy::Bits;
use descriptor::{CHUNK_FRAMES, MAX_SPAN, Table};
use sync::AtomicU64;

/// Zones of the direct map that an allocator has room for.
const DIRECT_ZONES: usize = 3;
/// Where the zone of high memory is; empty on most machines.
const HIGH_ZONE: usize = DIRECT_ZONES;

/// The memory that an allocator keeps its metadata in.
#[derive(Debug)]
pub struct Metadata<'m> {
    /// Descriptors; their content does not matter.
    pub descriptors: &'m mut [Descriptor],
    /// Words for the buddy back end; their content does not matter.
    pub words: &'m mut [AtomicU64],
}

/// How much [`Metadata`] it takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MetadataSize {
    /// Number of descriptors, 8 bytes each.
    pub descriptors: usize,
    /// Number of 64-bit words for the buddy back end.
    pub words: usize,
}

/// The allocator of physical frames. `B` is how buddies are told apart.
pub struct FrameAllocator<'m, B = InDescriptor> {
    /// The zones of the direct map that have memory, highest first, and then empty ones; last, high memory. So an ordinary
    /// request always starts at zone 0.
    zones: [Zone<'m, B>; DIRECT_ZONES + 1],
    /// The zones of the first one's kind below it, where one cannot span all of its memory; lowest first. Kept elsewhere, as the
    /// allocator is moved by value, and most machines have none.
    more: &'m mut [Zone<'m, B>],
    /// The first zone for requests that must have DMA frames, and for those that must have frames below 4 GiB.
    first_dma: usize,
    first_dma32: usize,
    clipped: u64,
}

/// Where each zone with memory lies, lowest first; several of a kind where one cannot span all of it. An `Err` if the ranges are not
/// sorted or the ends not aligned.
fn spans<'a>(
    ranges: &'a [FrameRange],
    zones: &'a ZoneEnds,
) -> Result<impl Iterator<Item = (ZoneKind, FrameRange)> + 'a, NewError> {
    let mut end = Pfn(0);
    for (range, next) in ranges.iter().enumerate() {
        if next.start < end || next.end < next.start {
            return Err(NewError::Unsorted { range });
        }
        end = next.end;
    }
    let mut start = Pfn(0);
    let mut last = None;
    for &(kind, end) in zones {
        if Some(kind) <= last {
            return Err(NewError::ZoneKind { kind });
        }
        if end <= start || !start.0.is_multiple_of(CHUNK_FRAMES as u64) {
            return Err(NewError::ZoneEnd { end });
        }
        (start, last) = (end, Some(kind));
    }
    let mut zones = zones.iter().copied();
    let mut zone = zones.next();
    let mut start = Pfn(0);
    Ok(core::iter::from_fn(move || {
        loop {
            let (kind, end) = zone?;
            let span = zone::span(ranges, start..end);
            if let Some(span) = &span
                && span.end.0 - span.start.0 > MAX_SPAN
            {
                // The rest is another zone of this kind, without what no range has of either.
                start = span.start.add(MAX_SPAN);
                return Some((kind, zone::span(ranges, span.start..start)?));
            }
            start = end;
            zone = zones.next();
            if let Some(span) = span {
                return Some((kind, span));
            }
        }
    }))
}

impl<'m, B: Buddy> FrameAllocator<'m, B> {
    /// The metadata that an allocator over `ranges` needs: 8 bytes a frame from the first usable frame of each zone to the
    /// last, and what the back end adds.
    pub fn metadata_size(
        ranges: &[FrameRange],
        zones: &ZoneEnds,
    ) -> Result<MetadataSize, NewError> {
        let chunks: usize = spans(ranges, zones)?
            .map(|(_, span)| zone::chunks_for(&span))
            .sum();
        Ok(MetadataSize {
            descriptors: chunks * CHUNK_FRAMES,
            words: chunks * B::WORDS_PER_CHUNK,
        })
    }

    /// Zones that an allocator over `ranges` has beyond one of each kind.
    pub fn more_zones(ranges: &[FrameRange], zones: &ZoneEnds) -> Result<usize, NewError> {
        let mut last = None;
        let same_again = |&(kind, _): &(ZoneKind, FrameRange)| last.replace(kind) == Some(kind);
        Ok(spans(ranges, zones)?.filter(same_again).count())
    }

    /// An allocator that owns the frames of `ranges`, which are sorted and disjoint, in the given zones.
    ///
    /// With less metadata than [`metadata_size`](Self::metadata_size) says, or more frames than the zones can have (1 TiB of
    /// addresses each), frames are left out: [`clipped`](Self::clipped) says how many.
    #[inline]
    pub fn new(
        ranges: &'m [FrameRange],
        zones: &ZoneEnds,
        metadata: Metadata<'m>,
    ) -> Result<Self, NewError> {
        Self::with_more_zones(ranges, zones, metadata, &mut [])
    }

    /// As [`new`](Self::new), with room for further zones of the highest kind of the direct map:
    /// [`more_zones`](Self::more_zones) says how many there will be.
    pub fn with_more_zones(
        ranges: &'m [FrameRange],
        zones: &ZoneEnds,
        metadata: Metadata<'m>,
        more: &'m mut [Zone<'m, B>],
    ) -> Result<Self, NewError> {
        let mut used = 0;
        let mut allocator = FrameAllocator {
            zones: core::array::from_fn(|_| Zone::empty()),
            more: &mut [],
            first_dma: 0,
            first_dma32: 0,
            clipped: 0,
        };
        let Metadata {
            mut descriptors,
            mut words,
        } = metadata;
        for (kind, mut span) in spans(ranges, zones)? {
            let mut chunks = zone::chunks_for(&span).min(descriptors.len() / CHUNK_FRAMES);
            if let Some(limit) = words.len().checked_div(B::WORDS_PER_CHUNK) {
                chunks = chunks.min(limit);
            }
            span.end = span.end.min(span.start.add((chunks * CHUNK_FRAMES) as u64));
            let (of_zone, rest) = descriptors.split_at_mut(chunks * CHUNK_FRAMES);
            descriptors = rest;
            let (words_of_zone, rest) = words.split_at_mut(chunks * B::WORDS_PER_CHUNK);
            words = rest;
            let (table, bits) = (Table::new(of_zone), Bits::new(words_of_zone));
            let zone = Zone::new(kind, span, ranges, table, bits);
            if kind == ZoneKind::HighMem {
                if allocator.zones[HIGH_ZONE].present == 0 {
                    allocator.zones[HIGH_ZONE] = zone;
                }
                continue;
            }
            let first = &mut allocator.zones[0];
            if first.present == 0 || first.kind != kind {
                // In front of those that are there: highest first.
                allocator.zones[..DIRECT_ZONES].rotate_right(1);
                allocator.zones[0] = zone;
            } else if let Some(place) = more.get_mut(used) {
                *place = core::mem::replace(first, zone);
                used += 1;
            }
        }
        allocator.more = &mut more[..used];
        let frames: u64 = ranges.iter().map(|range| range.end.0 - range.start.0).sum();
        allocator.clipped = frames - allocator.present_frames();
        // The book's machine has no DMA32, but all of its NORMAL lies below 4 GiB.
        let below_4g = match zones.iter().any(|&(kind, _)| kind == ZoneKind::Dma32) {
            true => ZoneKind::Dma32,
            false => ZoneKind::Normal,
        };
        allocator.first_dma = allocator.first_zone(ZoneKind::Dma);
        allocator.first_dma32 = allocator.first_zone(below_4g);
        Ok(allocator)
    }

    /// All zones: one of each kind, and the others of the highest one.
    fn all(&self) -> impl Iterator<Item = &Zone<'m, B>> {
        self.zones.iter().chain(self.more.iter())
    }

    /// The first zone of the direct map of the given kind or one that it falls back to.
    fn first_zone(&self, kind: ZoneKind) -> usize {
        let zones = &self.zones[..DIRECT_ZONES];
        let found = zones
            .iter()
            .position(|zone| zone.kind <= kind && zone.present > 0);
        found.unwrap_or(DIRECT_ZONES)
    }

    /// Usable frames that the allocator could not take on for want of metadata or capacity.
    #[must_use]
    pub fn clipped(&self) -> u64 {
        self.clipped
    }

    /// The largest order that the back end has.
    #[must_use]
    pub fn largest_order(&self) -> Order {
        Order::new(B::LARGEST as u8).unwrap_or(Order::MAX)
    }

    /// Brings all memory to life at once, so that the lists hold every free block. Costs a write for each frame.
    pub fn bring_to_life(&mut self) {
        for zone in self.zones.iter_mut().chain(self.more.iter_mut()) {
            while zone.grow() {}
        }
    }
}
