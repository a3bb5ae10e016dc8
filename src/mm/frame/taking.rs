//! Frames as they lie in the first zone: a request that takes large blocks and single frames alike, in one pass.
//!
//! Where the first zone has enough free frames for a request, the request cannot fail, as it takes blocks of any size. So its frames
//! can be put to use one by one while they are taken, as in page table entries.
//!
//! Blocks are taken largest first, and none is cut while there are smaller ones that serve, except for the last: what is missing is
//! the front of one block, if there is one as large, so that it lies side by side.

#![forbid(unsafe_code)]

use super::buddy::Buddy;
use super::descriptor::{Descriptor, NOT_A_HEAD, owned_word};
use super::list::link;
use super::zone::Zone;
use super::{BlockList, FrameAllocator, Gfp};
use crate::mm::address::{FrameRange, Pfn};

/// Frames that are being taken out of the first zone. Its owner takes as many as were asked for, in runs and as single frames, and then
/// the list of them.
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
            self.next_block()?;
        }
        let start = self.rest.start;
        let end = self.rest.end.min(start.add(most));
        self.rest.start = end;
        Some(start..end)
    }

    /// Takes all that is missing out of one block, or the next block, unless that is a single frame of many.
    #[inline(never)]
    fn next_block(&mut self) -> Option<()> {
        let wanted = self.missing.checked_ilog2()?;
        let lists = &self.zone.lists;
        if !self.missing.is_power_of_two()
            && wanted < B::LARGEST
            && let Some(found) = lists.smallest(wanted + 1, B::LARGEST)
        {
            return self.take_front(wanted + 1, found);
        }
        let wanted = wanted.min(B::LARGEST);
        let (order, found) = match lists.smallest(wanted, B::LARGEST) {
            Some(found) => (wanted, found),
            None => self.other_order(wanted)?,
        };
        let index = self.zone.take_from(order, found)?;
        let first = self.zone.pfn(index);
        let block = self.zone.lists.table.get(index)?;
        block.set(owned_word(order, Pfn(0)));
        self.append(first, block, first, 1, 1 << order);
        self.rest = first..first.add(1 << order);
        Some(())
    }

    /// Takes what is missing from the front of a block of `order`, which is cut from one of `found`, and gives back what is behind. The
    /// frames are blocks of their owner's, largest first, one for each bit of their number.
    fn take_front(&mut self, order: u32, found: u32) -> Option<()> {
        let index = self.zone.take_from(order, found)?;
        let frames = self.missing as usize;
        let table = self.zone.lists.table.run(index, 1 << order)?;
        let first = self.zone.pfn(index);
        let (mut block, mut left) = (0, frames);
        let last = loop {
            let order = left.ilog2();
            left -= 1 << order;
            if left == 0 {
                table[block].set(owned_word(order, Pfn(0)));
                break block;
            }
            let next = block + (1 << order);
            table[block].set(owned_word(order, first.add(next as u64)));
            block = next;
        };
        let mut behind = frames;
        while behind < table.len() {
            let order = behind.trailing_zeros();
            table[behind].set(NOT_A_HEAD);
            self.zone.give_piece(index + behind, order);
            behind += 1 << order;
        }
        let blocks = u64::from(frames.count_ones());
        self.append(
            first,
            &table[last],
            first.add(last as u64),
            blocks,
            frames as u64,
        );
        self.rest = first..first.add(frames as u64);
        Some(())
    }

    /// The order of the next block where no list has one of `wanted`: that, out of memory that comes to life, or the largest that there
    /// is. And the order of the block that it is cut from.
    #[cold]
    #[inline(never)]
    fn other_order(&mut self, wanted: u32) -> Option<(u32, u32)> {
        let zone = &mut *self.zone;
        while zone.grow() {
            if let Some(found) = zone.lists.smallest(wanted, B::LARGEST) {
                return Some((wanted, found));
            }
        }
        let largest = zone.lists.largest_below(wanted)?;
        (largest > 0).then_some((largest, largest))
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

    /// The frames that were taken.
    pub fn list(self) -> BlockList {
        debug_assert_eq!(self.missing, 0, "frames were asked for and not taken");
        self.list
    }
}
