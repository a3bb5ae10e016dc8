//! Taking tables out of the tree that map nothing any more.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::mm::address::{PAGE_SIZE, PageSize, Pfn, VirtAddr, WORDS_PER_PAGE};
use crate::mm::hardware::PhysicalMemory;
use crate::mm::page_table::format::entries;
use crate::mm::page_table::format::entry::Entry;
use crate::mm::page_table::format::levels::{covered, index, leaf_size};
use crate::mm::page_table::format::pt::PresentCount;
use crate::mm::page_table::walk::directory::Directory;
use crate::mm::page_table::{NotEmpty, OwnedRange, RangeError, Table, Tables};
use crate::mm::tlb::PendingFlush;

/// The promise that tables which a root leads to may leave it.
#[derive(Clone, Copy, Debug)]
pub struct NoOtherRoot(());

impl NoOtherRoot {
    /// Makes the promise, for the tables of the call that it is handed to.
    ///
    /// # Safety
    ///
    /// No other root leads to these tables; or none that does is in use before the flush, and none has the entry after it.
    #[must_use]
    pub const unsafe fn promise() -> Self {
        NoOtherRoot(())
    }
}

impl<M: PhysicalMemory> OwnedRange<M> {
    /// Takes the tables out that map nothing and cover addresses of the `pages` pages from `start` alone. They wait for a flush
    /// of everything, as CPUs may walk through them until then, in whatever context; where there are none, nothing is flushed.
    ///
    /// Tables that the root leads to stay, as other roots may share them.
    ///
    /// # Errors
    ///
    /// The range is no range of pages.
    pub fn release_tables(
        &mut self,
        start: VirtAddr,
        pages: u64,
    ) -> Result<PendingFlush<Tables>, RangeError> {
        self.release(start, pages, self.levels as u32 - 1)
    }

    /// The same, with the tables that the root leads to where the range has all of an entry of the root.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn release_tables_of_root(
        &mut self,
        start: VirtAddr,
        pages: u64,
        _: NoOtherRoot,
    ) -> Result<PendingFlush<Tables>, RangeError> {
        self.release(start, pages, self.levels as u32)
    }

    /// Takes out tables that entries of tables of the level `highest` and below lead to.
    fn release(
        &mut self,
        start: VirtAddr,
        pages: u64,
        highest: u32,
    ) -> Result<PendingFlush<Tables>, RangeError> {
        self.go_to_pd(start, pages)?;
        let last = start.0 + (pages * PAGE_SIZE - 1);
        let mut found = Tables::NONE;
        match self.pd_of(start, pages) {
            // Not all of the PD, which would be looked at, too.
            Some(pd) if pages < PageSize::Size1G.frames() => {
                self.release_pts(whole(pd, start, pages), &mut found);
            }
            _ => {
                let (root, level) = (self.root, self.levels as u32);
                self.release_below(root, level, highest, start.0, last, &mut found);
                // A PD may have been among them.
                self.directory = Directory::NONE;
            }
        }
        Ok(owed_for(start, found))
    }

    /// The root, full of zeros, of a tree that has no other table left.
    ///
    /// # Errors
    ///
    /// The root has an entry. The tree leaks.
    ///
    /// # Safety
    ///
    /// No CPU walks from the root.
    pub unsafe fn into_root(self) -> Result<Tables, NotEmpty> {
        let entries = self.table(self.root);
        if let Some(at) = entries.iter().position(|entry| entry.load(Relaxed) != 0) {
            let address = at as u64 * covered(self.levels as u32);
            let address = self.levels.sign_extend(address);
            return Err(NotEmpty { address });
        }
        let mut tables = Tables::NONE;
        // SAFETY: the root is this value's (promised to `new`), no CPU's, and full of zeros.
        unsafe { tables.push(self.root, &self.memory) };
        Ok(tables)
    }

    /// Takes out the PTs that entries of a PD lead to.
    fn release_pts(&self, entries: &[AtomicU64], found: &mut Tables) {
        for entry in entries {
            if let Entry::Table(pt) = Entry::of(entry.load(Relaxed), Some(PageSize::Size2M))
                && self.is_empty(entry, pt, 1)
            {
                self.take_out(entry, pt, found);
            }
        }
    }

    /// Takes out a table that maps nothing, which `entry` leads to.
    fn take_out(&self, entry: &AtomicU64, frame: Pfn, found: &mut Tables) {
        entry.store(0, Relaxed);
        // SAFETY: the table has left the tree, which it belonged to (promised to `new`), and it is full of zeros.
        unsafe { found.push(frame, &self.memory) };
    }

    /// Takes out what lies below the table at `frame`, which covers both addresses.
    fn release_below(
        &self,
        frame: Pfn,
        level: u32,
        highest: u32,
        first: u64,
        last: u64,
        found: &mut Tables,
    ) {
        let bytes = covered(level);
        let entries = index(VirtAddr(first), level)..=index(VirtAddr(last), level);
        for (number, entry) in self.table(frame)[entries].iter().enumerate() {
            if let Entry::Table(below) = Entry::of(entry.load(Relaxed), leaf_size(level)) {
                let start = (first & !(bytes - 1)) + number as u64 * bytes;
                // The last entry's end may be that of the address space.
                let end = start + (bytes - 1);
                if level > 2 {
                    let (first, last) = (first.max(start), last.min(end));
                    self.release_below(below, level - 1, highest, first, last, found);
                }
                // A table that covers other addresses, too, stays whatever is in it: it is not looked through.
                if level <= highest
                    && start >= first
                    && end <= last
                    && self.is_empty(entry, below, level - 1)
                {
                    self.take_out(entry, below, found);
                }
            }
        }
    }

    /// Whether the table at `frame`, which `entry` leads to, has no entries. Of a PT that has some the count says so; before one
    /// goes it is looked through, too, as nothing would be worse than one that goes too early.
    fn is_empty(&self, entry: &AtomicU64, frame: Pfn, level: u32) -> bool {
        (level > 1 || PresentCount(entry).get() == 0) && !entries::any_present(self.table(frame))
    }
}

/// The entries of a PD that cover pages of a range alone.
fn whole(pd: &Table, start: VirtAddr, pages: u64) -> &[AtomicU64] {
    let first = index(start, 2) * WORDS_PER_PAGE + index(start, 1);
    let end = (first + pages as usize) / WORDS_PER_PAGE;
    pd.get(first.div_ceil(WORDS_PER_PAGE)..end).unwrap_or(&[])
}

/// What tables wait for that were taken out from `start` on.
#[inline]
fn owed_for(start: VirtAddr, tables: Tables) -> PendingFlush<Tables> {
    let pending = match tables.count() {
        0 => PendingFlush::new(start, 0, PageSize::Size2M),
        _ => PendingFlush::everything(),
    };
    pending.guard(tables)
}
