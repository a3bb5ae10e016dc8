//! Areas by their start address: linear hashing (Litwin, 1980).
//!
//! There are as many buckets as slots, and the head of each bucket lies in the slot of the same number. With each new slot
//! one bucket is split in two, so the table grows without ever being built anew, and memory that was not used yet needs no
//! preparation.

use super::{GapTree, NONE};
use crate::mm::address::{PAGE_SHIFT, VirtAddr};

/// 2^64 divided by the golden ratio: spreads numbers in a row evenly (Knuth, volume 3, 6.4).
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// The bits that a bucket's number is cut from.
#[inline(always)]
const fn hash(start: VirtAddr) -> u32 {
    ((start.0 >> PAGE_SHIFT).wrapping_mul(FACTOR) >> 32) as u32
}

impl<T> GapTree<'_, T> {
    /// The bucket of areas that start at `start`.
    #[inline(always)]
    fn bucket(&self, start: VirtAddr) -> u32 {
        let bucket = hash(start) & self.bucket_mask;
        if bucket < self.slots.len() {
            bucket
        } else {
            // It has not been split off yet.
            bucket & (self.bucket_mask >> 1)
        }
    }

    /// The area or place that starts at `start`.
    #[inline(always)]
    pub(super) fn slot_of(&self, start: VirtAddr) -> Option<u32> {
        let mut slot = self.slots.get(self.bucket(start))?.bucket;
        while slot != NONE {
            let area = &self.slots[slot];
            if area.start == start {
                return Some(slot);
            }
            slot = area.chain;
        }
        None
    }

    /// Enters an area.
    #[inline(always)]
    pub(super) fn enter(&mut self, slot: u32) {
        let bucket = self.bucket(self.slots[slot].start);
        let first = core::mem::replace(&mut self.slots[bucket].bucket, slot);
        self.slots[slot].chain = first;
    }

    /// Takes an area out.
    #[inline(always)]
    pub(super) fn leave(&mut self, slot: u32) {
        let area = &self.slots[slot];
        let (start, next) = (area.start, area.chain);
        let bucket = self.bucket(start);
        let first = &mut self.slots[bucket].bucket;
        if *first == slot {
            *first = next;
            return;
        }
        let mut before = *first;
        while self.slots[before].chain != slot {
            before = self.slots[before].chain;
        }
        self.slots[before].chain = next;
    }

    /// Makes the bucket `new`, the next that there was none of, out of the one that its areas have been in.
    pub(super) fn add_bucket(&mut self, new: u32) {
        if new > self.bucket_mask {
            self.bucket_mask = self.bucket_mask * 2 + 1;
        }
        let old = new & (self.bucket_mask >> 1);
        let mut slot = core::mem::replace(&mut self.slots[old].bucket, NONE);
        while slot != NONE {
            let area = &self.slots[slot];
            let bucket = hash(area.start) & self.bucket_mask;
            let next = area.chain;
            self.slots[slot].chain = core::mem::replace(&mut self.slots[bucket].bucket, slot);
            slot = next;
        }
    }
}
