//! Many places at once: where one goes back whose flush is done, the others in its leaf go with it.
//!
//! Areas that were freed together mostly lie together, in whatever order they were freed. A leaf is gone through once for all of its
//! places, and the rooms above it are updated once. What is swept so is no longer in the tree; its slot is free when its turn comes on the
//! list of places.

use super::node::{Entry, FANOUT, LEAST, MANY};
use super::{GapTree, NONE};
use crate::mm::address::PAGE_SHIFT;

/// What a sweep counts for, in places that were swept before.
pub(super) const COST: usize = 8;

impl<T> GapTree<'_, T> {
    /// Takes all places out of a leaf whose flush is done: their pages and the gaps below them go to the area above.
    #[inline(never)]
    pub(super) fn sweep(&mut self, leaf: u32) {
        let (entries, before) = self.nodes[leaf].all();
        let mut kept = [Entry::NONE; FANOUT];
        let (mut count, mut largest, mut below) = (0, 0, 0);
        let mut last = None;
        for (at, entry) in entries.into_iter().enumerate().take(before) {
            let slot = entry.number();
            let Some(area) = self.slots.get_mut(slot) else {
                break;
            };
            let mut room = u64::from(entry.room()) + below;
            // Of a place that waits for the next flush it is that one's number, and of an area 0.
            if area.flush != 0 && area.flush != self.flush {
                area.leaf = NONE;
                if at + 1 < before {
                    below = room + ((area.end.0 - area.start.0) >> PAGE_SHIFT);
                    continue;
                }
                last = Some((slot, area.start));
            }
            room = room.min(u64::from(MANY));
            kept[count % FANOUT] = Entry::new(room as u32, slot);
            largest = largest.max(room as u32);
            (count, below) = (count + 1, 0);
        }
        if count < before {
            self.nodes[leaf].refill(&kept[..count]);
            self.room_grew(leaf, largest);
        }
        // What is at the end has the area above it in another leaf, or none.
        if let Some((slot, start)) = last {
            self.slots[slot].leaf = leaf;
            self.remove(start, slot);
            self.slots[slot].leaf = NONE;
        } else if count < LEAST && count < before {
            self.even_out(leaf, 0);
        }
    }
}
