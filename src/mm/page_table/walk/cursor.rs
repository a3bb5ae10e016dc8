//! The cursor: it goes through a range once, table by table.
//!
//! It keeps the tables on its path. To go on, it climbs to the lowest one that covers the next address too, so the upper levels
//! are read once for all that lies below them. A range that one PD maps is walked from there, if that is the one that the owner
//! walked to last.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::mm::address::{PAGE_SIZE, PageSize, Pfn, VirtAddr, WORDS_PER_PAGE};
use crate::mm::hardware::PhysicalMemory;
use crate::mm::page_table::format::entries;
use crate::mm::page_table::format::entry::{self, Entry};
use crate::mm::page_table::format::levels::{Levels, covered, index, leaf_size, shift};
use crate::mm::page_table::format::pt::{PresentCount, Pt};
use crate::mm::page_table::{ChangeError, MapError, OwnedRange, PageTable, Table};

/// A place in the tree.
#[derive(Debug)]
pub(in crate::mm::page_table) struct Cursor<'t, M> {
    tree: &'t PageTable<M>,
    /// The PD that the range was found in last, if it was, and the first address that it maps: from here to the next PT is a step.
    pd: Option<&'t Table>,
    pd_start: u64,
    address: VirtAddr,
    /// The level of the lowest table on the path.
    level: u32,
    /// The tables from that level up, by level less one; `None` is a table that is not there.
    path: [Option<&'t Table>; Levels::MAX],
}

/// Where leaves of one size lie or will lie, in one table.
#[derive(Clone, Copy, Debug)]
pub(in crate::mm::page_table) struct Slots<'t> {
    /// The entries, unless their table is not there.
    pub(in crate::mm::page_table) entries: Option<&'t [AtomicU64]>,
    /// How many.
    pub(in crate::mm::page_table) count: u64,
    /// What each maps.
    pub(in crate::mm::page_table) size: PageSize,
    /// The entry that leads to them, if they are those of a PT that is there: it counts them.
    pub(in crate::mm::page_table) parent: Option<&'t AtomicU64>,
}

impl Slots<'_> {
    /// Pages of 4 KiB that they cover.
    pub(in crate::mm::page_table) const fn pages(&self) -> u64 {
        self.count * self.size.frames()
    }
}

/// How a PT's entries of a range that is to be changed are found to be present.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::mm::page_table) enum Look {
    /// By a look at each.
    AtEach,
    /// By the PT's count: it has as many as the range.
    AtCount,
    /// They were found before.
    Before,
}

impl<'t, M: PhysicalMemory> Cursor<'t, M> {
    /// At the root, on the way to `address`.
    pub(in crate::mm::page_table) fn new(tree: &'t PageTable<M>, address: VirtAddr) -> Self {
        Self::at(tree, address, tree.levels as u32, tree.table(tree.root))
    }

    /// At the lowest table that is at hand and maps all of a range, on the way to its start.
    pub(in crate::mm::page_table) fn over(
        owned: &'t OwnedRange<M>,
        start: VirtAddr,
        pages: u64,
    ) -> Self {
        let tree = &owned.tree;
        match owned.pd_of(start, pages) {
            Some(directory) => {
                let mut cursor = Self::at(tree, start, 2, directory);
                cursor.note_pd();
                cursor
            }
            None => Self::new(tree, start),
        }
    }

    /// Takes the steps that follow from the PD on the path, if there is one.
    fn note_pd(&mut self) {
        if self.level <= 2 {
            self.pd = self.path[1];
            self.pd_start = self.address.0 & !(covered(3) - 1);
        }
    }

    fn at(tree: &'t PageTable<M>, address: VirtAddr, level: u32, table: &'t Table) -> Self {
        let mut path = [None; Levels::MAX];
        path[level as usize - 1] = Some(table);
        Cursor {
            tree,
            pd: None,
            pd_start: 0,
            address,
            level,
            path,
        }
    }

    /// Climbs as far as it must to go down to `address`, which the table that it began at covers.
    pub(in crate::mm::page_table) fn seek(&mut self, address: VirtAddr) {
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
    pub(in crate::mm::page_table) fn entry(&self) -> Option<&'t AtomicU64> {
        Some(&self.table(self.level)?[index(self.address, self.level)])
    }

    /// The size of the leaves in the lowest table, if they may be some.
    pub(in crate::mm::page_table) const fn leaf_size(&self) -> Option<PageSize> {
        leaf_size(self.level)
    }

    /// What that entry says; a table that is not there has only absent ones.
    pub(in crate::mm::page_table) fn read(&self) -> Entry {
        let word = self.entry().map_or(0, |entry| entry.load(Relaxed));
        Entry::of(word, self.leaf_size())
    }

    pub(in crate::mm::page_table) fn descend(&mut self, table: Option<Pfn>) {
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

    /// The entries from `address` on, up to `pages`, in their PT, if that is a step away.
    #[inline]
    fn step(&self, address: VirtAddr, pages: u64) -> Option<Slots<'t>> {
        let offset = address.0.wrapping_sub(self.pd_start);
        if offset >= covered(3) {
            return None;
        }
        let page = (offset / PAGE_SIZE) as usize;
        let parent = &self.pd?[page / WORDS_PER_PAGE];
        let pt = self.tree.table(entry::pt(parent.load(Relaxed))?);
        let first = page % WORDS_PER_PAGE;
        let count = pages.min((WORDS_PER_PAGE - first) as u64);
        Some(Slots {
            entries: Some(&pt[first..][..count as usize]),
            count,
            size: PageSize::Size4K,
            parent: Some(parent),
        })
    }

    /// The leaves that map `address` and what follows in one table, up to `pages` pages: all present, as far as `look` says, none
    /// reaching further.
    #[inline]
    pub(in crate::mm::page_table) fn present(
        &mut self,
        address: VirtAddr,
        pages: u64,
        look: Look,
    ) -> Result<Slots<'t>, ChangeError> {
        let slots = match self.step(address, pages) {
            Some(slots) => slots,
            None => self.leaves_from(address, pages)?,
        };
        if let (Some(entries), Some(parent)) = (slots.entries, slots.parent) {
            let live = PresentCount(parent);
            let present = match look {
                Look::AtEach => (Pt { entries, live }).all_present(),
                Look::AtCount => live.get() >= slots.count,
                Look::Before => true,
            };
            if !present {
                return Err(not_mapped(entries, address));
            }
        }
        Ok(slots)
    }

    /// [`present`](Self::present) of any table. Of a PT no entry but the first is looked at.
    #[cold]
    #[inline(never)]
    fn leaves_from(&mut self, address: VirtAddr, pages: u64) -> Result<Slots<'t>, ChangeError> {
        self.seek(address);
        let size = loop {
            match self.read() {
                Entry::Absent => return Err(ChangeError::NotMapped { address }),
                Entry::Table(frame) => self.descend(Some(frame)),
                Entry::Leaf(..) => break leaf_size(self.level).unwrap_or(PageSize::Size4K),
            }
        };
        self.note_pd();
        if !address.is_aligned(size.bytes()) || pages < size.frames() {
            return Err(ChangeError::CutsLeaf { address, size });
        }
        let mut slots = self.slots(pages / size.frames(), size);
        if let Some(entries) = slots.entries
            && size > PageSize::Size4K
            && !entries::all_large(entries)
        {
            let is_leaf = |entry: &&AtomicU64| {
                let entry = Entry::of(entry.load(Relaxed), Some(size));
                matches!(entry, Entry::Leaf(..))
            };
            let leaves = entries.iter().take_while(is_leaf).count();
            slots.count = leaves as u64;
            slots.entries = Some(&entries[..leaves]);
        }
        Ok(slots)
    }

    /// Where what follows from `address` on, up to `pages` pages, will be mapped: entries of one PT, or absent entries above, for
    /// leaves as large as `leaves` allows where no table stands; it is asked for how many leaves of a size there are frames from an
    /// address on. `missing` is asked for each table that is not there, and gets the entry that should lead to it.
    pub(in crate::mm::page_table) fn vacant(
        &mut self,
        address: VirtAddr,
        pages: u64,
        leaves: impl Fn(VirtAddr, PageSize) -> u64,
        mut missing: impl FnMut(Option<&AtomicU64>) -> Option<Pfn>,
    ) -> Result<Slots<'t>, MapError> {
        if let Some(slots) = self.step(address, pages) {
            return Ok(slots);
        }
        self.seek(address);
        loop {
            if self.level == 1 {
                self.note_pd();
                return Ok(self.slots(pages, PageSize::Size4K));
            }
            match self.read() {
                Entry::Leaf(..) => return Err(MapError::AlreadyMapped { address }),
                Entry::Table(frame) => self.descend(Some(frame)),
                Entry::Absent => {
                    if let Some(size) = self.leaf_size()
                        && let most @ 1.. = leaves(address, size)
                    {
                        return Ok(self.absent_slots(most, size));
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
            let entries = match entries::any_present(entries) {
                false => entries,
                true => &entries[..entries.iter().take_while(absent).count()],
            };
            slots.count = entries.len() as u64;
            slots.entries = Some(entries);
        }
        slots
    }
}

#[cold]
#[inline(never)]
pub(in crate::mm::page_table) fn already_mapped(
    entries: &[AtomicU64],
    start: VirtAddr,
) -> MapError {
    let present = |entry: &AtomicU64| entry.load(Relaxed) != 0;
    let at = entries.iter().position(present).unwrap_or(0) as u64;
    MapError::AlreadyMapped {
        address: VirtAddr(start.0 + at * PAGE_SIZE),
    }
}

#[cold]
#[inline(never)]
pub(in crate::mm::page_table) fn not_mapped(entries: &[AtomicU64], start: VirtAddr) -> ChangeError {
    let absent = |entry: &AtomicU64| entry.load(Relaxed) == 0;
    let at = entries.iter().position(absent).unwrap_or(0) as u64;
    ChangeError::NotMapped {
        address: VirtAddr(start.0 + at * PAGE_SIZE),
    }
}
