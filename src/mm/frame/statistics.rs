//! Counts of free blocks, and fragmentation.
//!
//! No counter by order is kept on the hot paths: as in Linux 2.6's `/proc/buddyinfo`, the lists are walked when somebody asks.
//! Memory that has not come to life yet is counted as the blocks it will become.

#![forbid(unsafe_code)]

use super::buddy::Buddy;
use super::zone::{Watermarks, Zone, ZoneKind};
use super::{FrameAllocator, HIGH_ZONE};
use crate::mm::address::{FrameRange, Order, Pfn};

/// Orders that a count has room for: 0 to [`Order::MAX`].
pub(super) const ORDERS: usize = Order::MAX.get() as usize + 1;

/// What one zone holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BuddyInfo {
    /// The zone.
    pub kind: ZoneKind,
    /// Usable frames.
    pub present: u64,
    /// Free frames.
    pub free: u64,
    /// The marks.
    pub marks: Watermarks,
    /// A request found the zone below its low mark, and it has not come above its high mark since: what wakes kswapd.
    pub need_balance: bool,
    /// Free blocks of each order.
    pub blocks: [u64; ORDERS],
}

impl BuddyInfo {
    /// Free blocks that could serve a request of `order`, counted in blocks of that order.
    fn suitable(&self, order: Order) -> u64 {
        let order = usize::from(order.get());
        (order..ORDERS)
            .map(|larger| self.blocks[larger] << (larger - order))
            .sum()
    }

    /// Why a request of `order` would fail, in thousandths: towards 0 for lack of memory, towards 1000 because of
    /// fragmentation (Linux's "external fragmentation index"). `None` if it would not fail for want of a block.
    #[must_use]
    pub fn fragmentation_index(&self, order: Order) -> Option<u64> {
        if self.suitable(order) > 0 {
            return None;
        }
        let blocks: u64 = self.blocks.iter().sum();
        let wanted = 1000 + self.free * 1000 / order.frames();
        Some(1000 - wanted.checked_div(blocks).unwrap_or(1000).min(1000))
    }
}

impl<'m, B: Buddy> FrameAllocator<'m, B> {
    /// Free frames of all zones.
    #[doc(alias = "nr_free_pages")]
    #[must_use]
    pub fn free_frames(&self) -> u64 {
        self.all().map(|zone| zone.free()).sum()
    }

    /// Usable frames of all zones, free or not.
    #[must_use]
    pub fn present_frames(&self) -> u64 {
        self.all().map(|zone| zone.present).sum()
    }

    /// Whether there are frames outside the direct map.
    #[must_use]
    #[inline]
    pub const fn has_high_memory(&self) -> bool {
        self.zones[HIGH_ZONE].present > 0
    }

    /// The zone that has this frame; `None` if the allocator does not.
    #[must_use]
    pub fn zone_of(&self, pfn: Pfn) -> Option<ZoneKind> {
        let zone = self.all().find(|zone| zone.usable(pfn))?;
        Some(zone.kind)
    }

    /// The highest frame below `end` that the allocator has, free or not.
    #[must_use]
    pub fn last_below(&self, end: Pfn) -> Option<Pfn> {
        let last = |zone: &Zone<'_, B>| zone.last_below(end);
        self.all().filter_map(last).max()
    }

    /// Counts of each zone, lowest first. Walks the free lists.
    #[doc(alias = "show_free_areas")]
    pub fn buddy_info(&self) -> impl Iterator<Item = BuddyInfo> {
        let (direct, high) = self.zones.split_at(HIGH_ZONE);
        let (first, lower) = direct.split_at(1);
        let lower = lower.iter().rev().chain(self.more.iter());
        let zones = lower.chain(first).chain(high);
        zones.filter(|zone| zone.present > 0).map(Zone::info)
    }
}

impl<'m, B: Buddy> Zone<'m, B> {
    // Once: the chain of zones calls it in six places.
    #[inline(never)]
    fn info(&self) -> BuddyInfo {
        let mut blocks = [0; ORDERS];
        for order in 0..=B::LARGEST {
            blocks[order as usize] = self.lists.blocks(order).count() as u64;
        }
        for range in self.dormant() {
            count_blocks(&mut blocks, B::LARGEST, range);
        }
        BuddyInfo {
            kind: self.kind,
            present: self.present,
            free: self.free(),
            marks: self.marks,
            need_balance: self.need_balance && self.free() <= self.marks.high,
            blocks,
        }
    }
}

/// Adds the blocks that `range` will become to `blocks`.
fn count_blocks(blocks: &mut [u64; ORDERS], largest: u32, range: FrameRange) {
    let (mut start, end) = (range.start.0, range.end.0);
    while start < end {
        let order = start
            .trailing_zeros()
            .min((end - start).ilog2())
            .min(largest);
        // All largest blocks at once: there are as many as the machine has memory.
        let count = match order == largest {
            true => (end - start) >> largest,
            false => 1,
        };
        blocks[order as usize] += count;
        start += count << order;
    }
}
