//! The walk over the whole tree that must agree with every link and every sum.

use std::collections::BTreeSet;
use std::vec::Vec;

use super::node::{FANOUT, LEAST, most_of, room_of};
use super::{GapTree, NONE};
use crate::mm::address::{PAGE_SHIFT, VirtAddr};

/// What the walk has seen.
struct Walk {
    /// The end of the last area.
    end: VirtAddr,
    slots: BTreeSet<u32>,
    leaves: Vec<u32>,
    nodes: usize,
}

impl<T> GapTree<'_, T> {
    /// Recomputes everything from the areas, and panics at the first thing that does not agree.
    pub(in crate::mm::vmalloc) fn validate(&self) {
        let mut walk = Walk {
            end: self.region.start,
            slots: BTreeSet::new(),
            leaves: Vec::new(),
            nodes: 0,
        };
        let largest = self.validate_below(self.root, self.height, true, &mut walk);
        assert_eq!(self.largest, most_of(largest));
        assert_eq!(self.top, walk.end);
        assert_eq!(walk.leaves.last(), Some(&self.last));
        assert_eq!(walk.slots.len(), self.taken);
        let mut unused = self.unused;
        while unused != NONE {
            assert!(
                walk.slots.insert(unused),
                "slot {unused} is in use, or unused twice"
            );
            unused = self.slots[unused].chain;
        }
        assert_eq!(walk.slots.len(), self.slots.len() as usize);
        let mut unused = self.unused_node;
        while unused != NONE {
            walk.nodes += 1;
            unused = self.nodes[unused].parent;
        }
        assert_eq!(walk.nodes, self.nodes.len() as usize);
    }

    /// The largest room under a node that has `levels` levels below it.
    fn validate_below(&self, number: u32, levels: u32, rightmost: bool, walk: &mut Walk) -> u32 {
        walk.nodes += 1;
        let node = &self.nodes[number];
        let entries = node.entries();
        assert!(entries.len() <= FANOUT);
        if !rightmost {
            assert!(entries.len() >= LEAST, "{number} has {}", entries.len());
        }
        if number == self.root && levels > 0 {
            assert!(entries.len() > 1, "a root with a single node below it");
        }
        // Unless it is the leftmost, where nothing looks for it.
        assert!(walk.end <= node.first || walk.slots.is_empty());
        for (at, &entry) in entries.iter().enumerate() {
            let below = entry.number();
            if levels > 0 {
                assert_eq!(self.nodes[below].above(), (number, at));
                assert!(at == 0 || self.nodes[below].first >= walk.end);
                assert!(self.nodes[below].first >= node.first);
                let rightmost = rightmost && at + 1 == entries.len();
                let room = self.validate_below(below, levels - 1, rightmost, walk);
                assert_eq!(entry.room(), room, "room of node {below}");
                continue;
            }
            let area = &self.slots[below];
            assert!(walk.slots.insert(below), "slot {below} is there twice");
            assert_eq!(area.leaf, number);
            assert!(area.start >= node.first && area.start < area.end);
            let gap = area.start.0 - walk.end.0;
            assert_eq!(entry.room(), room_of(gap >> PAGE_SHIFT), "room of {below}");
            assert_eq!(self.find_slot(area.start), Some(below));
            walk.end = area.end;
        }
        if levels == 0 {
            walk.leaves.push(number);
        }
        node.room()
    }

    /// Levels of the tree.
    pub(in crate::mm::vmalloc) const fn depth(&self) -> u32 {
        self.height + 1
    }
}
