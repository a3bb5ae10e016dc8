//! The gaps: where the lowest one is that is large enough, and what is told upwards when one changes, as far as it changes anything.

use super::node::{Entry, MANY, room_of};
use super::order::Spot;
use super::{GapTree, lowest_in};
use crate::mm::address::{PAGE_SHIFT, VirtAddr};

impl<T> GapTree<'_, T> {
    /// Above the lowest gap with room for so many pages, fewer than [`MANY`]; the spot without a leaf is that above all areas.
    #[inline(always)]
    pub(super) fn lowest_page(&self, pages: u64) -> Option<Spot> {
        if pages <= u64::from(self.largest) {
            return self.lowest_under(self.root, self.height, pages as u32);
        }
        let rest = (self.region.end.0 - self.top.0) >> PAGE_SHIFT;
        (pages <= rest).then_some(Spot::TOP)
    }

    /// The same for what the rooms alone do not tell: tries the gaps that have so many bytes, one after the other. One that has
    /// `align` bytes more fits in any case.
    #[cold]
    #[inline(never)]
    pub(super) fn lowest_aligned(&self, bytes: u64, align: u64) -> Option<Spot> {
        let room = room_of(bytes >> PAGE_SHIFT);
        let mut next = match room <= self.largest {
            true => self.lowest_under(self.root, self.height, room),
            false => None,
        };
        while let Some(spot) = next {
            let (gap, above) = (self.gap_at(spot), self.at(spot)?.start);
            if lowest_in(gap.0..above.0, bytes, align).is_some() {
                return next;
            }
            next = self.next_gap(spot, room);
        }
        let fit = lowest_in(self.top.0..self.region.end.0, bytes, align);
        fit.map(|_| Spot::TOP)
    }

    /// The area above the lowest gap with room for so many pages under a node that has so many levels below it.
    #[inline(always)]
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
        let (mut node, mut at, mut level) = (spot.leaf, spot.at as usize, 0);
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
    #[inline(always)]
    pub(super) fn gap_at(&self, Spot { leaf, at }: Spot) -> VirtAddr {
        let entry = self.nodes[leaf].entry(at as usize);
        match entry.room() {
            MANY => self.start_of_gap(leaf, at as usize),
            room => {
                let above = self.slots[entry.number()].start;
                VirtAddr(above.0 - (u64::from(room) << PAGE_SHIFT))
            }
        }
    }

    /// A gap in `node` has grown to `room`.
    #[inline(always)]
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
        self.largest = self.largest.max(room);
    }

    /// A gap in `node` has shrunk from `old`.
    #[inline(always)]
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
        if self.largest == old {
            self.largest = self.nodes[node].room();
        }
    }
}
