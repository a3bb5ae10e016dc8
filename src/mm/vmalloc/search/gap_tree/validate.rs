//! The walk over all slots that must agree with every link and every sum.

use std::collections::BTreeSet;
use std::vec::Vec;

use super::{END, GapTree, NONE};

impl<T> GapTree<'_, T> {
    /// Recomputes everything from the ring of areas, and panics at the first thing that does not agree.
    pub(in crate::mm::vmalloc) fn validate(&self) {
        let mut areas = Vec::new();
        let (mut previous, mut end) = (END, self.region.start);
        loop {
            let next = self.slots[previous].next;
            let area = &self.slots[next];
            assert_eq!(area.previous, previous);
            assert_eq!(area.start.0 - area.gap, end.0, "gap of {next}");
            if next == END {
                break;
            }
            assert!(area.end > area.start);
            assert_eq!(self.slot_of(area.start), Some(next));
            areas.push(next);
            (previous, end) = (next, area.end);
        }
        assert_eq!(areas.len(), self.taken);
        let mut in_tree = Vec::new();
        assert_eq!(self.slots[END].largest, 0);
        self.validate_below(self.slots[END].left, END, &mut in_tree);
        let gaps: Vec<u32> = areas
            .iter()
            .copied()
            .filter(|&area| self.slots[area].gap > 0)
            .collect();
        assert_eq!(
            in_tree, gaps,
            "the tree has the gaps in the order of addresses"
        );
        let mut unused = BTreeSet::new();
        let mut slot = self.unused;
        while slot != NONE {
            assert!(unused.insert(slot), "slot {slot} is unused twice");
            assert_eq!(self.slots[slot].largest, 0);
            slot = self.slots[slot].chain;
        }
        assert_eq!(unused.len() + areas.len() + 1, self.slots.len() as usize);
    }

    /// The largest gap of a subtree, whose nodes go into `nodes`, lowest first.
    fn validate_below(&self, node: u32, parent: u32, nodes: &mut Vec<u32>) -> u64 {
        if node == NONE {
            return 0;
        }
        let area = &self.slots[node];
        assert_eq!(area.parent, parent);
        assert!(parent == END || self.slots[parent].priority >= area.priority);
        let left = self.validate_below(area.left, node, nodes);
        nodes.push(node);
        let right = self.validate_below(area.right, node, nodes);
        let largest = area.gap.max(left).max(right);
        assert_eq!(area.largest, largest, "largest of {node}");
        largest
    }

    /// Levels of the tree of gaps.
    pub(in crate::mm::vmalloc) fn depth(&self) -> usize {
        self.depth_below(self.slots[END].left)
    }

    fn depth_below(&self, node: u32) -> usize {
        match node {
            NONE => 0,
            node => {
                let area = &self.slots[node];
                1 + self
                    .depth_below(area.left)
                    .max(self.depth_below(area.right))
            }
        }
    }
}
