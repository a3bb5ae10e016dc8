//! The default search: a tree of the areas that knows the gaps between them.
//!
//! The areas lie in the order of their addresses in the leaves of a B+ tree (Bayer and McCreight, 1972), each with the number of
//! free pages right below it; every node knows the largest of these below itself. So the lowest fit is found by one walk down, as
//! in Linux since 5.2, and an area by its address, too. Nodes are two cache lines: a walk is one line or two for each level, of
//! which there are five with 100,000 areas.
//!
//! - `node`: the areas of a leaf, or the nodes under a node
//! - `order`: areas by address, and one after the other
//! - `gaps`: the lowest gap, and what a change of one means further up
//! - `shape`: nodes are split and joined
//! - `sweep`: many places go back at once
//!
//! The gap above the highest area is not in the tree: where it starts is known. Areas that lie side by side, however many, cost as
//! much as the first: each goes to the end of the last leaf.

mod gaps;
mod node;
mod order;
mod shape;
mod sweep;
#[cfg(test)]
mod validate;

use core::mem::MaybeUninit;
use core::ops::Range;

pub use node::TreeNode;

use super::{AreaSearch, Found, Kept, Place, Places, SearchError, lowest_in, size_and_align};
use crate::mm::address::{PAGE_SHIFT, PAGE_SIZE, VirtAddr};
use crate::mm::slots::Slots;
use gaps::Goal;
use node::{Entry, LEAST, MANY, room_of};
use order::Spot;

/// Link to nothing.
const NONE: u32 = u32::MAX;

/// Room for one area.
#[derive(Debug)]
pub struct TreeSlot<T> {
    start: VirtAddr,
    /// First address behind the guard page.
    end: VirtAddr,
    /// Where it is in the tree.
    leaf: u32,
    /// Of an unused slot the next unused one; of a place on a list of places, the one before it there.
    chain: u32,
    /// Of a place on a list of places, the flush that it waits for; 0 of all others.
    flush: u32,
    contents: Option<T>,
}

/// The areas and gaps of the region.
#[derive(Debug)]
pub struct GapTree<'m, T> {
    slots: Slots<'m, TreeSlot<T>>,
    /// The pages of the largest gap below an area, or more where a room is not exact.
    largest: u64,
    unused: u32,
    /// The end of the highest area, or the start of the region.
    top: VirtAddr,
    region: Range<VirtAddr>,
    nodes: Slots<'m, TreeNode>,
    /// The highest leaf.
    last: u32,
    root: u32,
    /// Levels of nodes above the leaves.
    height: u32,
    unused_node: u32,
    taken: usize,
    capacity: usize,
    /// The flush that places wait for from now on; never 0.
    flush: u32,
}

impl<'m, T> GapTree<'m, T> {
    /// A region without areas, which can have as many as there are slots and [enough nodes](TreeNode::enough_for). Its bounds are
    /// page-aligned.
    pub fn new(
        region: Range<VirtAddr>,
        slots: &'m mut [MaybeUninit<TreeSlot<T>>],
        nodes: &'m mut [MaybeUninit<TreeNode>],
    ) -> Self {
        let capacity = slots.len().min(TreeNode::areas_of(nodes.len()));
        let mut nodes = Slots::new(nodes);
        // Without room for even this one, every request will find that there is no slot.
        let root = nodes.push(TreeNode::new(region.start, NONE));
        let root = root.unwrap_or(NONE);
        GapTree {
            slots: Slots::new(slots),
            largest: 0,
            unused: NONE,
            top: region.start,
            region,
            nodes,
            last: root,
            root,
            height: 0,
            unused_node: NONE,
            taken: 0,
            capacity,
            flush: 1,
        }
    }

    /// Makes one more slot unused, which there has not been before. Whether there was room for one.
    #[cold]
    #[inline(never)]
    fn add_slot(&mut self) -> bool {
        if self.slots.len() as usize >= self.capacity {
            return false;
        }
        let slot = self.slots.push(TreeSlot {
            start: VirtAddr(0),
            end: VirtAddr(0),
            leaf: NONE,
            chain: NONE,
            flush: 0,
            contents: None,
        });
        self.unused = slot.unwrap_or(NONE);
        slot.is_some()
    }

    /// Why a request goes nowhere.
    #[cold]
    #[inline(never)]
    fn refusal(&self, pages: u64, align: u64) -> SearchError {
        let align = align.max(PAGE_SIZE);
        match self.lowest_goal(pages, align).spot {
            Spot::NOWHERE => SearchError::NoGap { pages, align },
            _ => SearchError::NoSlot {
                slots: self.capacity,
            },
        }
    }

    /// Enters an area that lies elsewhere than right above all others, or for which there is no room in their leaf, and returns its
    /// leaf. Takes values, as what is referred to would have to be in memory for every caller of what is inlined around it.
    #[inline(never)]
    fn enter(&mut self, slot: u32, spot: Spot, start: VirtAddr, bytes: u64) -> u32 {
        match spot.is_above_all() {
            true => self.add_highest(slot, start, bytes),
            false => self.add_below(slot, spot, start, bytes),
        }
    }

    /// Enters an area above all others.
    fn add_highest(&mut self, slot: u32, start: VirtAddr, bytes: u64) -> u32 {
        let room = room_of((start.0 - self.top.0) >> PAGE_SHIFT);
        self.top = VirtAddr(start.0 + bytes);
        let entry = Entry::new(room, slot);
        if !self.nodes[self.last].push(entry) {
            self.add_last_leaf(start);
            self.nodes[self.last].push(entry);
        }
        if room > 0 {
            self.room_grew(self.last, room);
        }
        self.last
    }

    /// Enters an area into a gap between others.
    fn add_below(&mut self, slot: u32, mut spot: Spot, start: VirtAddr, bytes: u64) -> u32 {
        if self.nodes[spot.leaf()].is_full() {
            spot = self.split_leaf(spot);
        }
        let (leaf, at) = (spot.leaf(), spot.at());
        let above = self.nodes[leaf].entry(at);
        let end = start.0 + bytes;
        let rest = (self.slots[above.number()].start.0 - end) >> PAGE_SHIFT;
        let below = match above.room() {
            MANY => (start.0 - self.start_of_gap(leaf, at).0) >> PAGE_SHIFT,
            room => u64::from(room) - rest - (bytes >> PAGE_SHIFT),
        };
        let node = &mut self.nodes[leaf];
        // In this order, as a word that was just stored would hold up the wider loads that move it.
        node.insert(at, Entry::new(room_of(below), slot));
        node.set(at + 1, Entry::new(room_of(rest), above.number()));
        if at == 0 {
            self.reach_down_to(leaf, start);
        }
        self.room_shrank(leaf, above.room());
        leaf
    }

    /// Takes the highest area out, which the last leaf has.
    fn remove_highest(&mut self, start: VirtAddr, room: u32) {
        let leaf = self.last;
        self.top = match room {
            0 => start,
            MANY => self.start_of_gap(leaf, self.nodes[leaf].len() - 1),
            _ => VirtAddr(start.0 - (u64::from(room) << PAGE_SHIFT)),
        };
        let node = &mut self.nodes[leaf];
        node.pop();
        if node.len() == 0 {
            self.reach_down_to(leaf, self.top);
        }
        if room > 0 {
            self.room_shrank(leaf, room);
        }
    }

    /// Takes an area out.
    #[inline(never)]
    fn remove(&mut self, start: VirtAddr, slot: u32) {
        match self.nodes[self.last].highest() {
            Some(entry) if entry.number() == slot => self.remove_highest(start, entry.room()),
            _ => self.remove_below(slot),
        }
    }

    /// Takes an area out that is not at the end of the last leaf: its pages and the gap below it go to the area above.
    fn remove_below(&mut self, slot: u32) {
        let area = &self.slots[slot];
        let (leaf, start, pages) = (
            area.leaf,
            area.start,
            (area.end.0 - area.start.0) >> PAGE_SHIFT,
        );
        let node = &mut self.nodes[leaf];
        let at = node.place_of(slot);
        let room = node.entry(at).room();
        let grown = |above: Entry| {
            let pages = u64::from(room) + pages + u64::from(above.room());
            Entry::new(room_of(pages), above.number())
        };
        if at + 1 < node.len() {
            let above = grown(node.entry(at + 1));
            node.remove(at);
            node.set(at, above);
            self.room_grew(leaf, above.room());
        } else if let Some(next) = self.next_leaf(leaf)
            && let Some(&above) = self.nodes[next].entries().first()
        {
            let above = grown(above);
            self.nodes[next].set(0, above);
            self.nodes[leaf].pop();
            self.room_shrank(leaf, room);
            self.room_grew(next, above.room());
        } else {
            // The last leaf is empty: this is the highest area after all.
            self.drop_last_leaf();
            return self.remove_highest(start, room);
        }
        match self.nodes[leaf].len() {
            0 => self.drop_leaf(leaf),
            1..LEAST => self.even_out(leaf, 0),
            _ => {}
        }
    }
}

impl<T> AreaSearch for GapTree<'_, T> {
    type Contents = T;

    #[inline(always)]
    fn gap_for(&mut self, pages: u64, align: u64) -> Result<Found, SearchError> {
        let goal = if align > PAGE_SIZE || self.unused == NONE {
            self.lowest_with_slot(pages, align)
        } else if pages <= self.largest {
            self.lowest_between(pages)
        } else {
            self.at_top(pages)
        };
        let Goal { start, spot } = goal;
        if spot == Spot::NOWHERE {
            return Err(self.refusal(pages, align));
        }
        Ok(Found {
            start,
            bytes: pages << PAGE_SHIFT,
            at: spot.word(),
        })
    }

    #[inline(always)]
    fn occupy(&mut self, found: Found, contents: T) -> u32 {
        let slot = self.unused;
        let Found { start, bytes, at } = found;
        let (end, spot) = (VirtAddr(start.0 + bytes), Spot::from_word(at));
        let leaf = if spot == Spot::TOP && self.nodes[self.last].push(Entry::new(0, slot)) {
            self.top = end;
            self.last
        } else {
            self.enter(slot, spot, start, bytes)
        };
        let area = &mut self.slots[slot];
        area.start = start;
        area.end = end;
        area.leaf = leaf;
        area.flush = 0;
        area.contents = Some(contents);
        self.unused = area.chain;
        self.taken += 1;
        slot
    }

    #[inline]
    fn kept(&mut self, slot: u32) -> Option<Kept<'_, T>> {
        let area = self.slots.get_mut(slot)?;
        Some(Kept {
            start: area.start,
            contents: &mut area.contents,
            chain: &mut area.chain,
        })
    }

    fn slot_of(&self, start: VirtAddr) -> Option<u32> {
        self.find_slot(start)
    }

    #[inline]
    fn push(&mut self, places: &mut Places, place: Place) {
        let flush = self.flush;
        if let Some(area) = self.slots.get_mut(place.slot) {
            area.flush = flush;
            area.chain = places.last;
            places.last = place.slot;
            places.count += 1;
        }
    }

    fn next_flush(&mut self) {
        self.flush = self.flush.wrapping_add(1).max(1);
    }

    fn cancel_some(&mut self, places: &mut Places, most: usize) {
        let (before, mut budget) = (places.count, most);
        while budget > 0 && places.count > 0 {
            let slot = places.last;
            let Some(area) = self.slots.get_mut(slot) else {
                break;
            };
            let (start, leaf, end) = (area.start, area.leaf, area.end);
            places.last = core::mem::replace(&mut area.chain, self.unused);
            places.count -= 1;
            self.unused = slot;
            budget -= 1;
            if leaf == NONE {
                // Swept before.
            } else if self.nodes[self.last].pop_if(Entry::new(0, slot)) {
                self.top = start;
            } else if places.count == 0 || end == self.top {
                // There are no others, or it is the highest.
                self.remove(start, slot);
            } else {
                self.sweep(leaf);
                budget = budget.saturating_sub(sweep::COST);
            }
        }
        self.taken -= (before - places.count) as usize;
    }

    #[inline(always)]
    fn cancel(&mut self, place: Place) {
        let Place { start, slot } = place;
        self.slots[slot].chain = self.unused;
        self.unused = slot;
        self.taken -= 1;
        match self.nodes[self.last].pop_if(Entry::new(0, slot)) {
            true => self.top = start,
            false => self.remove(start, slot),
        }
    }

    fn get(&self, start: VirtAddr) -> Option<&T> {
        self.slots.get(self.slot_of(start)?)?.contents.as_ref()
    }

    fn areas(&self) -> impl Iterator<Item = (Range<VirtAddr>, &T)> {
        let first = (self.taken > 0).then(|| self.lowest());
        core::iter::successors(first, |&spot| self.next(spot))
            .filter_map(|spot| self.at(spot))
            .filter_map(|slot| Some((slot.start..slot.end, slot.contents.as_ref()?)))
    }

    fn region(&self) -> Range<VirtAddr> {
        self.region.clone()
    }

    fn taken(&self) -> usize {
        self.taken
    }
}
