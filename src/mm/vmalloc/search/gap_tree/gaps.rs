//! The gaps: where the lowest one is that is large enough, and what is told upwards when one changes, as far as it changes anything.

use super::node::{Entry, MANY, room_of};
use super::order::Spot;
use super::{Found, GapTree, NONE, lowest_in};
use crate::mm::address::{PAGE_SHIFT, VirtAddr};

impl<T> GapTree<'_, T> {
    /// The lowest fit at any page, for fewer than [`MANY`] pages.
    #[inline(always)]
    pub(super) fn lowest_page(&self, pages: u64, bytes: u64) -> Option<Found> {
        let found = |start, (node, at)| Found {
            start,
            bytes,
            node,
            at,
            below: 0,
        };
        if pages <= u64::from(self.largest) {
            let spot = self.lowest_under(self.root, self.height, pages as u32)?;
            return Some(found(self.gap_at(spot), spot));
        }
        let fits = bytes <= self.region.end.0 - self.top.0;
        fits.then(|| found(self.top, (NONE, 0)))
    }

    /// The lowest fit for what the rooms alone do not tell: tries the gaps that have so many bytes, one after the other. One that
    /// has `align` bytes more fits in any case.
    #[cold]
    #[inline(never)]
    pub(super) fn lowest_aligned(&self, bytes: u64, align: u64) -> Option<Found> {
        let found = |start: u64, gap: VirtAddr, (node, at)| Found {
            start: VirtAddr(start),
            bytes,
            node,
            at,
            below: (start - gap.0) >> PAGE_SHIFT,
        };
        let room = room_of(bytes >> PAGE_SHIFT);
        let mut spot = match room <= self.largest {
            true => self.lowest_under(self.root, self.height, room),
            false => None,
        };
        while let Some(at) = spot {
            let (gap, above) = (self.gap_at(at), self.at(at)?.start);
            if let Some(start) = lowest_in(gap.0..above.0, bytes, align) {
                return Some(found(start, gap, at));
            }
            spot = self.next_gap(at, room);
        }
        let start = lowest_in(self.top.0..self.region.end.0, bytes, align)?;
        Some(found(start, self.top, (NONE, 0)))
    }

    /// The area above the lowest gap with room for so many pages under a node that has so many levels below it.
    #[inline(always)]
    fn lowest_under(&self, mut node: u32, levels: u32, room: u32) -> Option<Spot> {
        let nodes = self.nodes.as_slice();
        for _ in 0..levels {
            let inner = &nodes[node as usize];
            node = inner.entry(inner.first_with(room)?).number();
        }
        Some((node, nodes[node as usize].first_with(room)?))
    }

    /// The same above a spot.
    fn next_gap(&self, (leaf, at): Spot, room: u32) -> Option<Spot> {
        let (mut node, mut at, mut level) = (leaf, at, 0);
        loop {
            let others = &self.nodes[node].entries()[at + 1..];
            if let Some(more) = others.iter().position(|entry| entry.room() >= room) {
                let at = at + 1 + more;
                return match level {
                    0 => Some((node, at)),
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
    pub(super) fn gap_at(&self, (leaf, at): Spot) -> VirtAddr {
        let entry = self.nodes[leaf].entry(at);
        match entry.room() {
            MANY => self.start_of_gap((leaf, at)),
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
