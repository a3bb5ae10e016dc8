//! The order of the areas: by address, from one to the next, and from one leaf to the next.

use super::{GapTree, NONE, TreeSlot};
use crate::mm::address::VirtAddr;

/// From this number on it is no leaf, but the gap above all areas.
const ABOVE_ALL: u32 = NONE - 1;

/// A place in a leaf, and the gap right below the area there. One word, so that it is returned in a register, and a start beside
/// it, too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Spot(u64);

impl Spot {
    /// Right above all areas.
    pub(super) const TOP: Spot = Spot::new(NONE, 0);

    /// Above all areas, but not right there.
    pub(super) const ABOVE: Spot = Spot::new(ABOVE_ALL, 0);

    /// No place at all.
    pub(super) const NOWHERE: Spot = Spot::new(ABOVE_ALL - 1, 0);

    #[inline]
    pub(super) const fn new(leaf: u32, at: usize) -> Self {
        Spot((at as u64) << 32 | leaf as u64)
    }

    #[inline]
    pub(super) const fn from_word(word: u64) -> Self {
        Spot(word)
    }

    #[inline]
    pub(super) const fn word(self) -> u64 {
        self.0
    }

    /// The leaf; means nothing for those above.
    #[inline]
    pub(super) const fn leaf(self) -> u32 {
        self.0 as u32
    }

    #[inline]
    pub(super) const fn at(self) -> usize {
        (self.0 >> 32) as usize
    }

    /// Whether it is above all areas.
    #[inline]
    pub(super) const fn is_above_all(self) -> bool {
        self.leaf() >= ABOVE_ALL
    }
}

impl<T> GapTree<'_, T> {
    /// The area or place that starts at `start`.
    pub(super) fn find_slot(&self, start: VirtAddr) -> Option<u32> {
        let mut node = self.root;
        for _ in 0..self.height {
            let entries = self.nodes[node].entries();
            let (first, others) = entries.split_first()?;
            let below = others
                .iter()
                .take_while(|entry| self.nodes[entry.number()].first <= start);
            node = below.last().unwrap_or(first).number();
        }
        let mut numbers = self
            .nodes
            .get(node)?
            .entries()
            .iter()
            .map(|entry| entry.number());
        numbers.find(|&slot| self.slots[slot].start == start)
    }

    /// The area at a spot.
    pub(super) fn at(&self, spot: Spot) -> Option<&TreeSlot<T>> {
        let entry = self.nodes.get(spot.leaf())?.entries().get(spot.at())?;
        self.slots.get(entry.number())
    }

    /// The spot of the lowest area, if there is one.
    pub(super) fn lowest(&self) -> Spot {
        Spot::new(self.first_leaf_of(self.root, self.height), 0)
    }

    /// The spot right above another one.
    pub(super) fn next(&self, spot: Spot) -> Option<Spot> {
        let (leaf, next) = (spot.leaf(), spot.at() + 1);
        if next < self.nodes[leaf].len() {
            return Some(Spot::new(leaf, next));
        }
        Some(Spot::new(self.next_leaf(leaf)?, 0))
    }

    /// The leaf right above another one.
    pub(super) fn next_leaf(&self, leaf: u32) -> Option<u32> {
        let (mut node, mut level) = (leaf, 0);
        while node != self.root {
            let (parent, at) = self.nodes[node].above();
            if let Some(right) = self.nodes[parent].entries().get(at + 1) {
                return Some(self.first_leaf_of(right.number(), level));
            }
            node = parent;
            level += 1;
        }
        None
    }

    /// The lowest leaf under a node that has `levels` levels below it.
    fn first_leaf_of(&self, mut node: u32, levels: u32) -> u32 {
        for _ in 0..levels {
            node = self.nodes[node].entry(0).number();
        }
        node
    }

    /// Where the gap right below the area at a spot starts, by the area below: for gaps of which the room does not say it.
    #[cold]
    #[inline(never)]
    pub(super) fn start_of_gap(&self, leaf: u32, at: usize) -> VirtAddr {
        let below = at.checked_sub(1).map(|at| Spot::new(leaf, at));
        if let Some(below) = below.and_then(|spot| self.at(spot)) {
            return below.end;
        }
        let (mut node, mut level) = (leaf, 0);
        while node != self.root {
            let (parent, at) = self.nodes[node].above();
            if let Some(at) = at.checked_sub(1) {
                let mut left = self.nodes[parent].entry(at).number();
                for _ in 0..level {
                    left = self.nodes[left]
                        .highest()
                        .map_or(left, |entry| entry.number());
                }
                let highest = self.nodes[left].highest();
                return highest.map_or(self.region.start, |entry| self.slots[entry.number()].end);
            }
            node = parent;
            level += 1;
        }
        self.region.start
    }

    /// Makes `start` the first address that may be in `node`, if it is below what was that.
    pub(super) fn reach_down_to(&mut self, mut node: u32, start: VirtAddr) {
        while self.nodes[node].first > start {
            self.nodes[node].first = start;
            let (parent, at) = self.nodes[node].above();
            if node == self.root || at > 0 {
                break;
            }
            node = parent;
        }
    }
}
