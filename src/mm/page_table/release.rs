//! Taking tables out of the tree that map nothing any more.

use core::ops::RangeInclusive;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::entry::Entry;
use super::levels::{covered, index, leaf_size};
use super::pt::Live;
use super::{Last, PageTable, RangeError, Tables, entries};
use crate::mm::address::{PAGE_SIZE, PageSize, Pfn, VirtAddr};
use crate::mm::hardware::PhysicalMemory;
use crate::mm::tlb::PendingFlush;

/// What has been found so far.
struct Found {
    tables: Tables,
    /// The first byte that a table of them covered, and the last.
    covered: Option<(u64, u64)>,
}

impl<M: PhysicalMemory> PageTable<M> {
    /// Takes the tables out that map nothing and cover addresses of the `pages` pages from `start` alone. They wait for the
    /// flush, as the CPU may walk through them until then.
    ///
    /// A range with a whole entry of the root loses the table below it too: not where other roots share that.
    ///
    /// # Errors
    ///
    /// The range is no range of pages.
    pub fn release_tables(
        &mut self,
        start: VirtAddr,
        pages: u64,
    ) -> Result<PendingFlush<Tables>, RangeError> {
        // So it is as a rule where 2 MiB leaves were before.
        if pages < PageSize::Size1G.frames()
            && let Some(entries) = self.leaves_in_last_pd(start, pages)
            && !entries::any_present(entries)
        {
            let pending = PendingFlush::new(start, 0, PageSize::Size2M);
            return Ok(pending.guard(Tables::NONE));
        }
        self.levels.check_range(start, pages)?;
        let last = start.0 + (pages * PAGE_SIZE - 1);
        let mut found = Found {
            tables: Tables::NONE,
            covered: None,
        };
        self.remember_pd_of(start, pages);
        match self.range_in_last_pd(start, pages) {
            // Not all of the PD, which would be looked at, too.
            Some(range) if pages < PageSize::Size1G.frames() => {
                self.release_pts(range.whole(), start.0, &mut found);
            }
            _ => self.release_below(self.root, self.levels as u32, start.0, last, &mut found),
        }
        if found.tables.count() > 0 {
            self.last = Last::NONE;
        }
        let size = PageSize::Size2M;
        let pending = match found.covered {
            Some((first, last)) => {
                let pages = (last - first) / size.bytes() + 1;
                PendingFlush::new(VirtAddr(first), pages, size)
            }
            None => PendingFlush::new(start, 0, size),
        };
        Ok(pending.guard(found.tables))
    }

    /// Takes out the PTs that entries of a PD lead to, the first of which is the first that covers no address below `start`.
    #[cold]
    #[inline(never)]
    fn release_pts(&self, entries: &[AtomicU64], start: u64, found: &mut Found) {
        const SIZE: PageSize = PageSize::Size2M;
        let start = start.next_multiple_of(SIZE.bytes());
        for (number, entry) in (0..).zip(entries) {
            if let Entry::Table(pt) = Entry::of(entry.load(Relaxed), Some(SIZE))
                && self.is_empty(entry, pt, 1)
            {
                let first = start + number * SIZE.bytes();
                self.take_out(entry, pt, first..=first + (SIZE.bytes() - 1), found);
            }
        }
    }

    /// Takes out a table that maps nothing, which `entry` leads to and which covers these addresses.
    fn take_out(
        &self,
        entry: &AtomicU64,
        frame: Pfn,
        addresses: RangeInclusive<u64>,
        found: &mut Found,
    ) {
        entry.store(0, Relaxed);
        // SAFETY: the table has left the tree, which it belonged to (promised to `new`), and it is full of zeros.
        unsafe { found.tables.push(frame, &self.memory) };
        let covered = found.covered.map_or(*addresses.start(), |(first, _)| first);
        found.covered = Some((covered, *addresses.end()));
    }

    /// Takes out what lies below the table at `frame`, which covers both addresses.
    fn release_below(&self, frame: Pfn, level: u32, first: u64, last: u64, found: &mut Found) {
        let bytes = covered(level);
        let entries = index(VirtAddr(first), level)..=index(VirtAddr(last), level);
        for (number, entry) in self.table(frame)[entries].iter().enumerate() {
            if let Entry::Table(below) = Entry::of(entry.load(Relaxed), leaf_size(level)) {
                let start = (first & !(bytes - 1)) + number as u64 * bytes;
                // The last entry's end may be that of the address space.
                let end = start + (bytes - 1);
                if level > 2 {
                    self.release_below(below, level - 1, first.max(start), last.min(end), found);
                }
                // A table that covers other addresses, too, stays whatever is in it: it is not looked through.
                if start >= first && end <= last && self.is_empty(entry, below, level - 1) {
                    self.take_out(entry, below, start..=end, found);
                }
            }
        }
    }

    /// Whether the table at `frame`, which `entry` leads to, has no entries. Of a PT that has some the count says so; before one
    /// goes it is looked through, too, as nothing would be worse than one that goes too early.
    fn is_empty(&self, entry: &AtomicU64, frame: Pfn, level: u32) -> bool {
        (level > 1 || Live(entry).get() == 0) && !entries::any_present(self.table(frame))
    }
}
