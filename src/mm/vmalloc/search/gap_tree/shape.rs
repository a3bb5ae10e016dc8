//! The shape of the tree: nodes that are split where one is full, and joined or evened out where one has few entries.
//!
//! Every node has [`LEAST`] entries or more, but for those on the way to the highest leaf, where areas are added one behind the
//! other: a leaf that is full there stays full, and the next one starts with a single area. The highest leaf may even be empty, so
//! that an area which is made and freed right where a leaf ends does not make and free a leaf each time.

use super::node::{Entry, FANOUT, LEAST, TreeNode};
use super::order::Spot;
use super::{GapTree, NONE};
use crate::mm::address::VirtAddr;

impl<T> GapTree<'_, T> {
    /// A node that nothing leads to. There is one, as there are enough for the areas that may be.
    fn new_node(&mut self, first: VirtAddr) -> u32 {
        let node = TreeNode::new(first, NONE);
        match self.unused_node {
            NONE => self.nodes.push(node).unwrap_or(NONE),
            number => {
                let unused = core::mem::replace(&mut self.nodes[number], node);
                self.unused_node = unused.parent;
                number
            }
        }
    }

    fn free_node(&mut self, number: u32) {
        self.nodes[number].parent = self.unused_node;
        self.unused_node = number;
    }

    /// Adds an empty leaf above all others, for an area at `start`.
    #[cold]
    #[inline(never)]
    pub(super) fn add_last_leaf(&mut self, start: VirtAddr) {
        let leaf = self.new_node(start);
        self.insert_after(self.last, leaf, 1, true);
        self.last = leaf;
    }

    /// Takes the highest leaf out, which is empty and not the only one.
    #[cold]
    #[inline(never)]
    pub(super) fn drop_last_leaf(&mut self) {
        let mut node = self.last;
        loop {
            let parent = self.nodes[node].parent;
            self.free_node(node);
            self.nodes[parent].pop();
            if self.nodes[parent].len() > 0 {
                break;
            }
            node = parent;
        }
        self.lower_root();
        self.last = self.root;
        for _ in 0..self.height {
            if let Some(entry) = self.nodes[self.last].highest() {
                self.last = entry.number();
            }
        }
    }

    /// Makes room in a leaf that is full, in front of the area at a spot. Returns where that is now.
    #[cold]
    #[inline(never)]
    pub(super) fn split_leaf(&mut self, spot: Spot) -> Spot {
        let right = self.split(spot.leaf(), 0);
        match spot.at().checked_sub(FANOUT / 2) {
            Some(at) => Spot::new(right, at),
            None => spot,
        }
    }

    /// Moves the upper half of a node's entries to a new one. `level` is 0 for a leaf.
    fn split(&mut self, left: u32, level: u32) -> u32 {
        let mut entries = [Entry::new(0, 0); FANOUT];
        entries.copy_from_slice(self.nodes[left].entries());
        let (lower, upper) = entries.split_at(FANOUT / 2);
        let right = self.new_node(self.first_of(upper[0], level));
        self.nodes[left].refill(lower);
        self.fill(right, upper, level);
        if left == self.last {
            self.last = right;
        }
        self.insert_after(left, right, level + 1, false);
        right
    }

    /// Gives `node` these entries, and updates their parent links.
    fn fill(&mut self, node: u32, entries: &[Entry], level: u32) {
        self.nodes[node].refill(entries);
        if level > 0 {
            return self.link(node, 0);
        }
        for entry in entries {
            self.slots[entry.number()].leaf = node;
        }
    }

    /// Updates the parent links of the nodes below `node`, from one place on.
    fn link(&mut self, node: u32, from: usize) {
        for at in from..self.nodes[node].len() {
            let below = self.nodes[node].entry(at).number();
            self.nodes[below].belongs_to(node, at);
        }
    }

    /// Where the first area of an entry starts.
    fn first_of(&self, entry: Entry, level: u32) -> VirtAddr {
        match level {
            0 => self.slots[entry.number()].start,
            _ => self.nodes[entry.number()].first,
        }
    }

    /// Enters a new node right of `left` at the level of their parent. With `append` it comes above all others, and a parent that
    /// is full stays so.
    fn insert_after(&mut self, left: u32, right: u32, level: u32, append: bool) {
        let entry = |tree: &Self, node: u32| Entry::new(tree.nodes[node].room(), node);
        if left == self.root {
            let root = self.new_node(self.nodes[left].first);
            let both = [entry(self, left), entry(self, right)];
            self.fill(root, &both, level);
            self.root = root;
            self.height += 1;
            return;
        }
        let parent = self.nodes[left].parent;
        if self.nodes[parent].is_full() {
            if append {
                let aunt = self.new_node(self.nodes[right].first);
                let only = entry(self, right);
                self.fill(aunt, &[only], level);
                return self.insert_after(parent, aunt, level + 1, true);
            }
            self.split(parent, level);
        }
        let (parent, at) = self.nodes[left].above();
        let (lower, upper) = (entry(self, left), entry(self, right));
        self.nodes[parent].set(at, lower);
        self.nodes[parent].insert(at + 1, upper);
        self.link(parent, at + 1);
    }

    /// Takes a leaf out that is empty, and not the highest.
    #[cold]
    #[inline(never)]
    pub(super) fn drop_leaf(&mut self, leaf: u32) {
        let (parent, at) = self.nodes[leaf].above();
        if leaf == self.root || self.nodes[parent].len() == 1 {
            return self.even_out(leaf, 0);
        }
        self.nodes[parent].remove(at);
        self.link(parent, at);
        self.free_node(leaf);
        self.even_out(parent, 1);
    }

    /// Looks after a node that has lost an entry, and has few: joins it with a neighbour, or evens both out.
    #[cold]
    #[inline(never)]
    pub(super) fn even_out(&mut self, node: u32, level: u32) {
        if node == self.root {
            return self.lower_root();
        }
        let (parent, at) = self.nodes[node].above();
        let siblings = self.nodes[parent].len();
        if self.nodes[node].len() >= LEAST || siblings == 1 {
            return;
        }
        let at = at.min(siblings - 2);
        let [left, right] = [at, at + 1].map(|at| self.nodes[parent].entry(at).number());
        let mut entries = [Entry::new(0, 0); 2 * FANOUT];
        let lower = self.nodes[left].len();
        let count = lower + self.nodes[right].len();
        entries[..lower].copy_from_slice(self.nodes[left].entries());
        entries[lower..count].copy_from_slice(self.nodes[right].entries());
        // So that the next area does not split it at once.
        if count <= FANOUT - 2 {
            self.fill(left, &entries[..count], level);
            self.nodes[parent].remove(at + 1);
            self.link(parent, at + 1);
            self.free_node(right);
            if self.last == right {
                self.last = left;
            }
        } else {
            let (lower, upper) = entries[..count].split_at(count / 2);
            self.fill(left, lower, level);
            self.fill(right, upper, level);
            self.nodes[right].first = self.first_of(upper[0], level);
            let room = self.nodes[right].room();
            self.nodes[parent].set(at + 1, Entry::new(room, right));
        }
        let room = self.nodes[left].room();
        self.nodes[parent].set(at, Entry::new(room, left));
        self.even_out(parent, level + 1);
    }

    /// Takes the root out as long as it has a single node below it.
    fn lower_root(&mut self) {
        while self.height > 0
            && let [only] = *self.nodes[self.root].entries()
        {
            self.free_node(self.root);
            self.root = only.number();
            self.nodes[self.root].parent = NONE;
            self.height -= 1;
        }
    }
}
