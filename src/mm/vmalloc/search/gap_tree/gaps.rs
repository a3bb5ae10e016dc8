//! The gaps: finding the lowest one that is large enough, and updating the rooms of the nodes above when one changes, as far up as
//! they change.

use super::node::{Entry, MANY, most_of, room_of};
use super::order::Spot;
use super::{GapTree, NONE, lowest_in, size_and_align};
use crate::mm::address::{PAGE_SHIFT, PAGE_SIZE, VirtAddr};

/// Where a request goes. It is returned in registers.
#[derive(Clone, Copy)]
pub(super) struct Goal {
    pub(super) start: VirtAddr,
    pub(super) spot: Spot,
}

impl Goal {
    /// Nowhere.
    pub(super) const NONE: Goal = Goal {
        start: VirtAddr(0),
        spot: Spot::NOWHERE,
    };
}

impl<T> GapTree<'_, T> {
    /// Right above all areas, if `pages` pages are left there.
    #[inline(always)]
    pub(super) fn at_top(&self, pages: u64) -> Goal {
        let rest = (self.region.end.0 - self.top.0) >> PAGE_SHIFT;
        match pages <= rest {
            true => Goal {
                start: self.top,
                spot: Spot::TOP,
            },
            false => Goal::NONE,
        }
    }

    /// The start of the lowest gap with room for `pages` pages, which is no more than the largest one has.
    #[inline(never)]
    pub(super) fn lowest_between(&mut self, pages: u64) -> Goal {
        let room = room_of(pages);
        match self.lowest_under(self.root, self.height, room) {
            Some(spot) if room > 0 && room != MANY => Goal {
                start: self.gap_at(spot),
                spot,
            },
            _ => self.lowest_with_slot(pages, PAGE_SIZE),
        }
    }

    /// The lowest range of `pages` pages at a multiple of `align`. A gap that has `align` bytes more fits in any case; the others are
    /// tried one after the other.
    #[inline(always)]
    pub(super) fn lowest_goal(&self, pages: u64, align: u64) -> Goal {
        let Ok((bytes, align)) = size_and_align(pages, align) else {
            return Goal::NONE;
        };
        let room = room_of(pages);
        let mut next = match u64::from(room) <= self.largest {
            true => self.lowest_under(self.root, self.height, room),
            false => None,
        };
        while let Some(spot) = next {
            let above = self.at(spot).map_or(self.top, |area| area.start);
            if let Some(start) = lowest_in(self.gap_at(spot).0..above.0, bytes, align) {
                let start = VirtAddr(start);
                return Goal { start, spot };
            }
            next = self.next_gap(spot, room);
        }
        match lowest_in(self.top.0..self.region.end.0, bytes, align) {
            Some(start) if start == self.top.0 => self.at_top(pages),
            Some(start) => Goal {
                start: VirtAddr(start),
                spot: Spot::ABOVE,
            },
            None => Goal::NONE,
        }
    }

    /// The same, if there is a slot for an area.
    #[inline(never)]
    pub(super) fn lowest_with_slot(&mut self, pages: u64, align: u64) -> Goal {
        match self.unused != NONE || self.add_slot() {
            true => self.lowest_goal(pages, align),
            false => Goal::NONE,
        }
    }

    /// The area above the lowest gap with room for `room` pages under a node that has `levels` levels below it.
    #[inline]
    fn lowest_under(&self, mut node: u32, levels: u32, room: u32) -> Option<Spot> {
        let nodes = self.nodes.as_slice();
        for _ in 0..levels {
            let inner = &nodes[node as usize];
            node = inner.entry(inner.first_with(room)?).number();
        }
        Some(Spot::new(node, nodes[node as usize].first_with(room)?))
    }

    /// The same above a spot.
    fn next_gap(&self, spot: Spot, room: u32) -> Option<Spot> {
        let (mut node, mut at, mut level) = (spot.leaf(), spot.at(), 0);
        loop {
            let others = &self.nodes[node].entries()[at + 1..];
            if let Some(more) = others.iter().position(|entry| entry.room() >= room) {
                let at = at + 1 + more;
                return match level {
                    0 => Some(Spot::new(node, at)),
                    _ => self.lowest_under(self.nodes[node].entry(at).number(), level - 1, room),
                };
            }
            if node == self.root {
                return None;
            }
            (node, at) = self.nodes[node].above();
            level += 1;
        }
    }

    /// Where the gap right below the area at a spot starts.
    #[inline]
    pub(super) fn gap_at(&self, spot: Spot) -> VirtAddr {
        let (leaf, at) = (spot.leaf(), spot.at());
        let entry = self.nodes[leaf].entry(at);
        match entry.room() {
            MANY => self.start_of_gap(leaf, at),
            room => {
                let above = self.slots[entry.number()].start;
                VirtAddr(above.0 - (u64::from(room) << PAGE_SHIFT))
            }
        }
    }

    /// A gap in `node` has grown to `room`.
    #[inline]
    pub(super) fn room_grew(&mut self, mut node: u32, room: u32) {
        while node != self.root {
            let (parent, at) = self.nodes[node].above();
            let upper = &mut self.nodes[parent];
            if upper.entry(at).room() >= room {
                return;
            }
            upper.set(at, Entry::new(room, node));
            node = parent;
        }
        self.largest = self.largest.max(most_of(room));
    }

    /// A gap in `node` has shrunk from `old`.
    #[inline]
    pub(super) fn room_shrank(&mut self, mut node: u32, old: u32) {
        while node != self.root {
            let (parent, at) = self.nodes[node].above();
            if self.nodes[parent].entry(at).room() > old {
                return;
            }
            let room = self.nodes[node].room();
            if room == old {
                return;
            }
            self.nodes[parent].set(at, Entry::new(room, node));
            node = parent;
        }
        if self.largest == most_of(old) {
            self.largest = most_of(self.nodes[node].room());
        }
    }
}
