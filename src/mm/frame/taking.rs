//! Frames as they lie in the first zone: a request that takes large blocks and single frames alike, in one pass.
//!
//! Where the first zone has enough free frames for a request, the request cannot fail, as it takes blocks of any size. So its frames
//! can be put to use one by one while they are taken, as in page table entries.

#![forbid(unsafe_code)]

use super::buddy::Buddy;
use super::descriptor::{Descriptor, owned_word};
use super::list::link;
use super::zone::Zone;
use super::{BlockList, FrameAllocator, Gfp};
use crate::mm::address::{FrameRange, Pfn};

/// Frames that are being taken out of the first zone: largest blocks first, and no block is cut while there are smaller ones that
/// serve. Its owner takes as many as were asked for, in runs and as single frames, and then the list of them.
#[must_use = "the frames leak unless their list is taken"]
pub struct Taking<'a, 'm, B> {
    zone: &'a mut Zone<'m, B>,
    list: BlockList,
    /// The descriptor of the list's last block.
    tail: Option<&'m Descriptor>,
    /// What is left of that block.
    rest: FrameRange,
    /// Frames that were asked for and are not on the list.
    missing: u64,
}

impl<'m, B: Buddy> FrameAllocator<'m, B> {
    /// Begins to take `frames` frames out of the first zone. `None` if the request may not have them all from there, or the zone would
    /// go below its low mark.
    pub fn take_as_it_lies(&mut self, gfp: Gfp, frames: u64) -> Option<Taking<'_, 'm, B>> {
        let zone = &mut self.zones[0];
        let spare = u64::try_from(zone.lists.above_low).ok()?;
        if gfp.intersects(Gfp::ZONE_MODIFIERS) || spare <= frames {
            return None;
        }
        Some(Taking {
            zone,
            list: BlockList::EMPTY,
            tail: None,
            rest: Pfn(0)..Pfn(0),
            missing: frames,
        })
    }
}

impl<'m, B: Buddy> Taking<'_, 'm, B> {
    /// The next frames, at most `most`, that lie side by side. `None` if there are only single frames left, or nothing is missing.
    #[inline]
    pub fn run(&mut self, most: u64) -> Option<FrameRange> {
        if self.rest.is_empty() {
            let order = self.next_order()?;
            let index = self.zone.take_alive(order)?;
            let first = self.zone.pfn(index);
            let block = self.zone.lists.table.get(index)?;
            block.set(owned_word(order, Pfn(0)));
            self.append(first, block, first, 1, 1 << order);
            self.rest = first..first.add(1 << order);
        }
        let start = self.rest.start;
        let end = self.rest.end.min(start.add(most));
        self.rest.start = end;
        Some(start..end)
    }

    /// The order of the next block; `None` if it is a single frame of many.
    fn next_order(&mut self) -> Option<u32> {
        let wanted = self.missing.checked_ilog2()?.min(B::LARGEST);
        let zone = &mut *self.zone;
        while zone.lists.smallest(wanted, B::LARGEST).is_none() {
            if !zone.grow() {
                return zone.lists.largest_below(wanted).filter(|&order| order > 0);
            }
        }
        Some(wanted)
    }

    /// Takes single frames, one for each of `places`, which are no more than are missing, until no more are free: how many that were.
    #[inline]
    pub fn singles<T>(
        &mut self,
        places: impl ExactSizeIterator<Item = T>,
        put: impl FnMut(T, Pfn),
    ) -> u64 {
        let Some(chain) = self.zone.take_singles(places, put) else {
            return 0;
        };
        let [first, last] = [chain.first, chain.last].map(|link| link - 1);
        if let Some(tail) = self.zone.lists.table.get(last) {
            let (first, last) = (self.zone.pfn(first), self.zone.pfn(last));
            self.append(first, tail, last, chain.frames, chain.frames);
        }
        chain.frames
    }

    /// Adds blocks that follow on each other from `first` to `last`.
    fn append(&mut self, first: Pfn, tail: &'m Descriptor, last: Pfn, blocks: u64, frames: u64) {
        match self.tail {
            Some(tail) => link(tail, first),
            None => self.list.first = first,
        }
        self.tail = Some(tail);
        self.list.last = last;
        self.list.blocks += blocks;
        self.list.frames += frames;
        self.missing -= frames;
    }

    /// Takes what is missing.
    pub fn all(mut self) -> BlockList {
        while self.missing > 0 {
            if self.run(0).is_none() && self.singles(0..self.missing as usize, |_, _| {}) == 0 {
                debug_assert!(false, "the zone has fewer frames than it counts");
                break;
            }
            self.rest.start = self.rest.end;
        }
        self.list
    }

    /// The frames that were taken.
    pub fn list(self) -> BlockList {
        debug_assert_eq!(self.missing, 0, "frames were asked for and not taken");
        self.list
    }
}
