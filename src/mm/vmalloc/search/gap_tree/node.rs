//! A node: a short run of areas, or of nodes, in the order of their addresses, each with the room that goes with it.
//!
//! Room and number share a word, the room in front. So the first entry with enough room is found by one comparison each, and an
//! entry moves as one word. Two cache lines make a node.

use crate::mm::address::VirtAddr;

/// Entries of a node, at most.
pub(super) const FANOUT: usize = 14;

/// Entries of a node, at least, if it has neighbours to take some from.
pub(super) const LEAST: usize = 5;

/// The room that means this number of pages or more.
pub(super) const MANY: u32 = u32::MAX;

/// An area, or a node further down, and its room: in a leaf the free pages right below the area, further up the largest room of
/// the node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Entry(u64);

impl Entry {
    pub(super) const NONE: Entry = Entry(0);

    #[inline]
    pub(super) const fn new(room: u32, number: u32) -> Self {
        Entry((room as u64) << 32 | number as u64)
    }

    /// In pages, up to [`MANY`].
    #[inline]
    pub(super) const fn room(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Of the area's slot, or of the node.
    #[inline]
    pub(super) const fn number(self) -> u32 {
        self.0 as u32
    }
}

/// Nodes on the way to the highest leaf, and those that a split adds before anything is joined.
const SPARE: usize = 16;

/// Room for a node of the tree.
#[repr(align(64))]
#[derive(Debug)]
pub struct TreeNode {
    /// No area in here starts below, and those of the nodes to the left all do.
    pub(super) first: VirtAddr,
    /// The node above; of an unused node the next unused one.
    pub(super) parent: u32,
    /// The place of its entry there.
    place: u16,
    len: u16,
    /// Those from `len` on are none.
    entries: [Entry; FANOUT],
}

impl TreeNode {
    /// Nodes that are enough for `areas` areas: a leaf for every `LEAST` areas, a node for every `LEAST` nodes, and some more.
    #[must_use]
    pub const fn enough_for(areas: usize) -> usize {
        areas.div_ceil(LEAST - 1) + SPARE
    }

    /// Areas that `nodes` nodes are enough for.
    pub(super) const fn areas_of(nodes: usize) -> usize {
        nodes.saturating_sub(SPARE).saturating_mul(LEAST - 1)
    }

    pub(super) const fn new(first: VirtAddr, parent: u32) -> Self {
        TreeNode {
            first,
            parent,
            place: 0,
            len: 0,
            entries: [Entry::NONE; FANOUT],
        }
    }

    /// The node above, and the place of its entry there.
    #[inline]
    pub(super) const fn above(&self) -> (u32, usize) {
        (self.parent, self.place as usize)
    }

    /// Says where it is: at this place of that node.
    pub(super) const fn belongs_to(&mut self, parent: u32, place: usize) {
        self.parent = parent;
        self.place = place as u16;
    }

    #[inline]
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries[..self.len()]
    }

    #[inline]
    pub(super) const fn len(&self) -> usize {
        self.len as usize
    }

    #[inline]
    pub(super) const fn is_full(&self) -> bool {
        self.len() == FANOUT
    }

    /// The entry of this place.
    #[inline]
    pub(super) const fn entry(&self, at: usize) -> Entry {
        self.entries[at]
    }

    #[inline]
    pub(super) const fn set(&mut self, at: usize, entry: Entry) {
        self.entries[at] = entry;
    }

    /// The last entry.
    #[inline]
    pub(super) fn highest(&self) -> Option<Entry> {
        self.entries.get(self.len().wrapping_sub(1)).copied()
    }

    /// The place of the first entry with room for `pages` pages, at least one.
    #[inline]
    pub(super) fn first_with(&self, pages: u32) -> Option<usize> {
        let least = Entry::new(pages, 0).0;
        self.entries.iter().position(|entry| entry.0 >= least)
    }

    /// The place of an area that is there.
    #[inline]
    pub(super) fn place_of(&self, number: u32) -> usize {
        let mut at = 0;
        while at + 1 < FANOUT && self.entries[at].number() != number {
            at += 1;
        }
        at
    }

    /// The largest room.
    #[inline]
    pub(super) fn room(&self) -> u32 {
        let larger = |largest: u64, entry: &Entry| largest.max(entry.0);
        Entry(self.entries.iter().fold(0, larger)).room()
    }

    /// Adds an entry behind all others, if the node is not full.
    #[inline]
    pub(super) fn push(&mut self, entry: Entry) -> bool {
        let len = self.len();
        let Some(place) = self.entries.get_mut(len) else {
            return false;
        };
        *place = entry;
        self.len += 1;
        true
    }

    /// Takes the last entry out.
    #[inline]
    pub(super) fn pop(&mut self) {
        self.len -= 1;
        self.entries[self.len()] = Entry::NONE;
    }

    /// Takes the last entry out, if it is this one.
    #[inline]
    pub(super) fn pop_if(&mut self, entry: Entry) -> bool {
        let at = self.len().wrapping_sub(1);
        match self.entries.get_mut(at) {
            Some(last) if *last == entry => {
                *last = Entry::NONE;
                self.len = at as u16;
                true
            }
            _ => false,
        }
    }

    /// Adds an entry in front of the one at `at`, to a node that is not full.
    #[inline]
    pub(super) fn insert(&mut self, at: usize, entry: Entry) {
        self.entries.copy_within(at..FANOUT - 1, at + 1);
        self.entries[at] = entry;
        self.len += 1;
    }

    /// Takes an entry out.
    #[inline]
    pub(super) fn remove(&mut self, at: usize) {
        self.entries.copy_within(at + 1.., at);
        self.entries[FANOUT - 1] = Entry::NONE;
        self.len -= 1;
    }

    /// A copy of all entries, and how many there are.
    pub(super) const fn all(&self) -> ([Entry; FANOUT], usize) {
        (self.entries, self.len())
    }

    /// Has these entries and no others from now on.
    pub(super) fn refill(&mut self, entries: &[Entry]) {
        self.entries = [Entry::NONE; FANOUT];
        self.entries[..entries.len()].copy_from_slice(entries);
        self.len = entries.len() as u16;
    }
}

/// Pages as a room.
#[inline]
pub(super) const fn room_of(pages: u64) -> u32 {
    if pages < MANY as u64 {
        pages as u32
    } else {
        MANY
    }
}

/// Pages that a gap of this room has at most.
#[inline]
pub(super) const fn most_of(room: u32) -> u64 {
    match room {
        MANY => u64::MAX,
        pages => pages as u64,
    }
}
