//! The way down the tree: a cursor that goes through a range once, table by table.
//!
//! It keeps the tables on its path. To go on, it climbs to the lowest one that covers the next address too, so the upper levels
//! are read once for all that lies below them.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::entry::Entry;
use super::levels::{Levels, index, leaf_size, shift};
use super::pt::{Live, Pt};
use super::{ChangeError, Frames, MapError, PageTable, Table, entries};
use crate::mm::address::{PAGE_SIZE, PageSize, Pfn, VirtAddr, WORDS_PER_PAGE};
use crate::mm::hardware::PhysicalMemory;

/// A place in the tree.
#[derive(Debug)]
pub(super) struct Cursor<'t, M> {
    tree: &'t PageTable<M>,
    address: VirtAddr,
    /// The level of the lowest table on the path.
    level: u32,
    /// The tables from that level up, by level less one; `None` is a table that is not there.
    path: [Option<&'t Table>; Levels::MAX],
}

/// Where leaves of one size lie or will lie, in one table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slots<'t> {
    /// The entries, unless their table is not there.
    pub(super) entries: Option<&'t [AtomicU64]>,
    /// How many.
    pub(super) count: u64,
    /// What each maps.
    pub(super) size: PageSize,
    /// The entry that leads to them, if they are those of a PT that is there: it counts them.
    pub(super) parent: Option<&'t AtomicU64>,
}

impl Slots<'_> {
    /// Pages of 4 KiB that they cover.
    pub(super) const fn pages(&self) -> u64 {
        self.count * self.size.frames()
    }
}

impl<'t, M: PhysicalMemory> Cursor<'t, M> {
    /// At the root, on the way to `address`.
    pub(super) fn new(tree: &'t PageTable<M>, address: VirtAddr) -> Self {
        let level = tree.levels as u32;
        let mut path = [None; Levels::MAX];
        path[level as usize - 1] = Some(tree.table(tree.root));
        Cursor {
            tree,
            address,
            level,
            path,
        }
    }

    /// Climbs as far as it must to go down to `address`.
    pub(super) fn seek(&mut self, address: VirtAddr) {
        let differing = self.address.0 ^ address.0;
        while self.level < self.tree.levels as u32 && differing >> shift(self.level + 1) != 0 {
            self.level += 1;
        }
        self.address = address;
    }

    fn table(&self, level: u32) -> Option<&'t Table> {
        self.path[level as usize - 1]
    }

    /// The entry for the address in the lowest table, if that is there.
    pub(super) fn entry(&self) -> Option<&'t AtomicU64> {
        Some(&self.table(self.level)?[index(self.address, self.level)])
    }

    /// The size of the leaves in the lowest table, if they may be some.
    pub(super) const fn leaf_size(&self) -> Option<PageSize> {
        leaf_size(self.level)
    }

    /// What that entry says; a table that is not there has only absent ones.
    pub(super) fn read(&self) -> Entry {
        let word = self.entry().map_or(0, |entry| entry.load(Relaxed));
        Entry::of(word, self.leaf_size())
    }

    pub(super) fn descend(&mut self, table: Option<Pfn>) {
        self.level -= 1;
        self.path[self.level as usize - 1] = table.map(|frame| self.tree.table(frame));
    }

    /// From the entry for the address on, as many as there are in the lowest table, but no more than `most`.
    fn slots(&self, most: u64, size: PageSize) -> Slots<'t> {
        let first = index(self.address, self.level);
        let count = most.min((WORDS_PER_PAGE - first) as u64);
        let parent = if self.level == 1 {
            self.table(2).map(|pd| &pd[index(self.address, 2)])
        } else {
            None
        };
        Slots {
            entries: self
                .table(self.level)
                .map(|table| &table[first..][..count as usize]),
            count,
            size,
            parent,
        }
    }

    /// The leaves that map `address` and what follows in one table, up to `pages` pages: all present, none reaching further.
    ///
    /// Once for all kinds of changes: a call a table is little beside what it does.
    #[inline(never)]
    pub(super) fn present(
        &mut self,
        address: VirtAddr,
        pages: u64,
    ) -> Result<Slots<'t>, ChangeError> {
        self.seek(address);
        let size = loop {
            match self.read() {
                Entry::Absent => return Err(ChangeError::NotMapped { address }),
                Entry::Table(frame) => self.descend(Some(frame)),
                Entry::Leaf(..) => break leaf_size(self.level).unwrap_or(PageSize::Size4K),
            }
        };
        if !address.is_aligned(size.bytes()) || pages < size.frames() {
            return Err(ChangeError::CutsLeaf { address, size });
        }
        let mut slots = self.slots(pages / size.frames(), size);
        let Some(entries) = slots.entries else {
            return Ok(slots);
        };
        match slots.parent {
            Some(parent) => {
                let live = Live(parent);
                if !(Pt { entries, live }).all_present() {
                    return Err(not_mapped(entries, address));
                }
            }
            None => {
                let is_leaf = |entry: &&AtomicU64| {
                    let entry = Entry::of(entry.load(Relaxed), Some(size));
                    matches!(entry, Entry::Leaf(..))
                };
                let leaves = entries.iter().take_while(is_leaf).count();
                slots.count = leaves as u64;
                slots.entries = Some(&entries[..leaves]);
            }
        }
        Ok(slots)
    }

    /// Where the first of these frames will be mapped from `address` on: absent entries in one table, for leaves as large as
    /// address, frames and `largest` allow where no table stands. `missing` is asked for each table that is not there, and
    /// gets the entry that should lead to it.
    pub(super) fn vacant(
        &mut self,
        address: VirtAddr,
        frames: &impl Frames,
        largest: PageSize,
        mut missing: impl FnMut(Option<&AtomicU64>) -> Option<Pfn>,
    ) -> Result<Slots<'t>, MapError> {
        self.seek(address);
        loop {
            if self.level == 1 {
                let slots = self.slots(frames.count(), PageSize::Size4K);
                return match slots.entries {
                    Some(entries) if entries::any_present(entries) => {
                        Err(already_mapped(entries, address))
                    }
                    _ => Ok(slots),
                };
            }
            match self.read() {
                Entry::Leaf(..) => return Err(MapError::AlreadyMapped { address }),
                Entry::Table(frame) => self.descend(Some(frame)),
                Entry::Absent => {
                    let size = leaf_size(self.level).filter(|&size| size <= largest);
                    if let Some(size) = size
                        && let leaves @ 1.. = large_leaves(address, frames, size)
                    {
                        return Ok(self.absent_slots(leaves, size));
                    }
                    let table = missing(self.entry());
                    self.descend(table);
                }
            }
        }
    }

    /// The absent entries from the address on, up to `most`; the first is.
    fn absent_slots(&self, most: u64, size: PageSize) -> Slots<'t> {
        let mut slots = self.slots(most, size);
        if let Some(entries) = slots.entries {
            let absent = |entry: &&AtomicU64| entry.load(Relaxed) == 0;
            let entries = &entries[..entries.iter().take_while(absent).count()];
            slots.count = entries.len() as u64;
            slots.entries = Some(entries);
        }
        slots
    }
}

/// How many leaves of a large size can map the first frames from `address` on.
pub(super) fn large_leaves(address: VirtAddr, frames: &impl Frames, size: PageSize) -> u64 {
    let (first, _) = frames.run(1);
    if (address.0 | first.address().0) & (size.bytes() - 1) != 0 {
        return 0;
    }
    let (_, run) = frames.run(size.frames());
    run / size.frames()
}

#[cold]
#[inline(never)]
pub(super) fn already_mapped(entries: &[AtomicU64], start: VirtAddr) -> MapError {
    let present = |entry: &AtomicU64| entry.load(Relaxed) != 0;
    let at = entries.iter().position(present).unwrap_or(0) as u64;
    MapError::AlreadyMapped {
        address: VirtAddr(start.0 + at * PAGE_SIZE),
    }
}

#[cold]
#[inline(never)]
pub(super) fn not_mapped(entries: &[AtomicU64], start: VirtAddr) -> ChangeError {
    let absent = |entry: &AtomicU64| entry.load(Relaxed) == 0;
    let at = entries.iter().position(absent).unwrap_or(0) as u64;
    ChangeError::NotMapped {
        address: VirtAddr(start.0 + at * PAGE_SIZE),
    }
}
