//! The tree of gaps: ordered by address, heaped by a random priority (a treap; Seidel and Aragon, 1996), which makes it as
//! deep as a random tree, about 2 ln n, whatever the order of the requests.
//!
//! Every node knows the largest gap in its subtree. A change of a gap is told upwards as far as it changes anything.

use super::{END, GapTree, NONE};

impl<T> GapTree<'_, T> {
    /// The area above the lowest gap of at least `bytes` bytes, and where the gap starts.
    #[inline(always)]
    pub(super) fn lowest_gap(&self, bytes: u64) -> Option<(u32, u64)> {
        let slots = self.slots.as_slice();
        let end = slots.first()?;
        let above = match slots[end.left as usize].largest < bytes {
            true => END,
            false => self.lowest_of(end.left, bytes),
        };
        let area = &slots[above as usize];
        (area.gap >= bytes).then_some((above, area.start.0 - area.gap))
    }

    /// The area above the lowest gap of at least `bytes` bytes, the one above the highest area left out.
    pub(super) fn lowest_in_tree(&self, bytes: u64) -> Option<u32> {
        self.lowest_below(self.slots.get(END)?.left, bytes)
    }

    /// The same in the subtree of `node`.
    #[inline(always)]
    fn lowest_below(&self, node: u32, bytes: u64) -> Option<u32> {
        // No subtree has 0 as its largest gap but the empty one.
        if self.slots[node].largest < bytes {
            return None;
        }
        Some(self.lowest_of(node, bytes))
    }

    /// The same in a subtree that has one.
    fn lowest_of(&self, mut node: u32, bytes: u64) -> u32 {
        loop {
            let area = &self.slots[node];
            if self.slots[area.left].largest >= bytes {
                node = area.left;
            } else if area.gap >= bytes {
                return node;
            } else {
                node = area.right;
            }
        }
    }

    /// The next gap of at least `bytes` bytes above the one of `node`.
    pub(super) fn next_gap(&self, mut node: u32, bytes: u64) -> Option<u32> {
        if let Some(found) = self.lowest_below(self.slots[node].right, bytes) {
            return Some(found);
        }
        loop {
            let parent = self.slots[node].parent;
            if parent == END {
                return None;
            }
            let area = &self.slots[parent];
            if area.left == node {
                if area.gap >= bytes {
                    return Some(parent);
                }
                if let Some(found) = self.lowest_below(area.right, bytes) {
                    return Some(found);
                }
            }
            node = parent;
        }
    }

    /// Puts the gap of `node` into the tree.
    pub(super) fn add_gap(&mut self, node: u32) {
        let priority = self.draw();
        let area = &mut self.slots[node];
        area.left = NONE;
        area.right = NONE;
        area.priority = priority;
        area.largest = area.gap;
        let (start, gap) = (area.start, area.gap);
        let (mut parent, mut next) = (END, self.slots[END].left);
        let mut left = true;
        while next != NONE {
            parent = next;
            let area = &mut self.slots[parent];
            area.largest = area.largest.max(gap);
            left = start < area.start;
            next = if left { area.left } else { area.right };
        }
        self.slots[node].parent = parent;
        let above = &mut self.slots[parent];
        if left {
            above.left = node;
        } else {
            above.right = node;
        }
        while parent != END && self.slots[parent].priority < priority {
            self.rotate_up(node, parent);
            parent = self.slots[node].parent;
        }
    }

    /// Takes the gap of `node` out of the tree.
    pub(super) fn remove_gap(&mut self, node: u32) {
        let child = loop {
            let area = &self.slots[node];
            let (left, right) = (area.left, area.right);
            if left == NONE {
                break right;
            }
            if right == NONE {
                break left;
            }
            let left_is_higher = self.slots[left].priority > self.slots[right].priority;
            self.rotate_up(if left_is_higher { left } else { right }, node);
        };
        let parent = self.slots[node].parent;
        self.replace_child(parent, node, child);
        self.slots[node].largest = 0;
        self.update_from(parent);
    }

    /// Puts the gap of `new`, which is the next above that of `old` once that is gone, in its place.
    pub(super) fn replace_gap(&mut self, old: u32, new: u32) {
        let area = &mut self.slots[old];
        area.largest = 0;
        let (left, right, parent, priority) = (area.left, area.right, area.parent, area.priority);
        let area = &mut self.slots[new];
        area.left = left;
        area.right = right;
        area.priority = priority;
        // Not what it will be, so that the update does not stop here.
        area.largest = 0;
        self.replace_child(parent, old, new);
        for child in [left, right] {
            if child != NONE {
                self.slots[child].parent = new;
            }
        }
        self.update_from(new);
    }

    /// The gap of `node`, which is in the tree, has become smaller, perhaps nothing.
    #[inline(always)]
    pub(super) fn gap_shrank(&mut self, node: u32) {
        self.update_from(node);
        if self.slots[node].gap == 0 {
            self.remove_gap(node);
        }
    }

    /// Computes the largest gaps from `node` up, until one is right already. What is not above `node` has to be right.
    #[inline]
    pub(super) fn update_from(&mut self, mut node: u32) {
        while node != END {
            let area = &self.slots[node];
            let largest = self.largest(node);
            if area.largest == largest {
                return;
            }
            let area = &mut self.slots[node];
            area.largest = largest;
            node = area.parent;
        }
    }

    #[inline(always)]
    fn largest(&self, node: u32) -> u64 {
        let area = &self.slots[node];
        let below = self.slots[area.left].largest;
        area.gap.max(below).max(self.slots[area.right].largest)
    }

    /// Makes `node`, a child of `parent`, its parent.
    fn rotate_up(&mut self, node: u32, parent: u32) {
        let (left, right) = (self.slots[node].left, self.slots[node].right);
        let upper = &mut self.slots[parent];
        let grandparent = upper.parent;
        upper.parent = node;
        let moved = if upper.left == node {
            upper.left = right;
            self.slots[node].right = parent;
            right
        } else {
            upper.right = left;
            self.slots[node].left = parent;
            left
        };
        if moved != NONE {
            self.slots[moved].parent = parent;
        }
        self.replace_child(grandparent, parent, node);
        self.slots[node].largest = self.slots[parent].largest;
        self.slots[parent].largest = self.largest(parent);
    }

    /// Makes `new` the child of `parent` that `old` was.
    #[inline(always)]
    fn replace_child(&mut self, parent: u32, old: u32, new: u32) {
        let upper = &mut self.slots[parent];
        if upper.left == old {
            upper.left = new;
        } else {
            upper.right = new;
        }
        if new != NONE {
            self.slots[new].parent = parent;
        }
    }

    /// A random priority (xorshift; Marsaglia, 2003). Whoever frees areas cannot know them, but if he reads our books.
    #[inline(always)]
    fn draw(&mut self) -> u32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        self.random
    }
}
