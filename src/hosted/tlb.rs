//! The TLB seam of a process. A flush is counted, checked and logged; there is no TLB that it could reach, as no table of the suite is in
//! CR3. The log is what a software TLB goes by, through which proofs look at memory: it keeps every translation that it has used, and
//! every way to a table (the paging-structure caches, Intel SDM volume 3, 5.10.3), until the log says that it was flushed. So a proof notices a flush that is missing, as it does on the machine.
//!
//! What a flush costs here is what the seam around the instruction costs.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::walk::{Access, Table, Translation, walker};
use crate::cpu::features::Features;
use crate::cpu::page_fault::PageFaultError;
use crate::mm::address::{PAGE_SIZE, PageSize, Pfn, VirtAddr};
use crate::mm::hardware::TlbInvalidate;
use crate::mm::left_out;

/// Flushes that are remembered. What is more than that between two accesses of a proof counts as a flush of everything.
const LOGGED: usize = 1024;

/// One flush: the first address, and the bytes from there; 0 bytes for everything.
struct Flush {
    start: AtomicU64,
    bytes: AtomicU64,
}

/// Flushes so far, and the last of them.
struct FlushLog {
    count: AtomicU64,
    flushes: [Flush; LOGGED],
}

static LOG: FlushLog = FlushLog {
    count: AtomicU64::new(0),
    flushes: [const {
        Flush {
            start: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }; LOGGED],
};

impl FlushLog {
    /// Several CPUs may lose each other's entries: the caller that lets them run empties the software TLB afterwards.
    #[inline(always)]
    fn add(&self, start: u64, bytes: u64) {
        let count = self.count.load(Relaxed);
        let flush = &self.flushes[count as usize % LOGGED];
        flush.start.store(start, Relaxed);
        flush.bytes.store(bytes, Relaxed);
        self.count.store(count + 1, Relaxed);
    }
}

/// Flushes so far.
#[must_use]
pub fn flushes() -> u64 {
    LOG.count.load(Relaxed)
}

/// The TLBs of a process's machine.
#[derive(Clone, Copy, Debug)]
pub struct ProcessTlb;

impl ProcessTlb {
    /// They are the same on every CPU.
    #[must_use]
    pub const fn new(_: &Features) -> Self {
        ProcessTlb
    }
}

impl TlbInvalidate for ProcessTlb {
    #[inline]
    fn flush_pages(&self, start: VirtAddr, pages: u64, size: PageSize) {
        if left_out::skips_this_flush() {
            return;
        }
        assert!(
            start.0.is_multiple_of(size.bytes()),
            "a flush of {pages} pages of {size:?} from {start} on"
        );
        // Tables that left the tree are flushed with no page of their own; no bytes mean everything.
        LOG.add(start.0, (pages * size.bytes()).max(1));
    }

    #[inline]
    fn flush_all(&self) {
        if !left_out::skips_this_flush() {
            LOG.add(0, 0);
        }
    }
}

/// What is cached, and how far the log has been followed.
struct SoftwareTlb {
    /// Translations, by page.
    pages: BTreeMap<u64, Translation>,
    /// Tables, by level and first address that they cover.
    ways: BTreeMap<(u32, u64), Pfn>,
    followed: u64,
}

static TLB: Mutex<SoftwareTlb> = Mutex::new(SoftwareTlb {
    pages: BTreeMap::new(),
    ways: BTreeMap::new(),
    followed: 0,
});

impl SoftwareTlb {
    fn follow(&mut self) {
        let count = flushes();
        if count - self.followed > LOGGED as u64 {
            self.clear();
            self.followed = count;
        }
        for number in self.followed..count {
            let flush = &LOG.flushes[number as usize % LOGGED];
            let (start, bytes) = (flush.start.load(Relaxed), flush.bytes.load(Relaxed));
            match bytes {
                0 => self.clear(),
                _ => self.drop_range(start, start + (bytes - 1)),
            }
        }
        self.followed = count;
    }

    fn clear(&mut self) {
        self.pages.clear();
        self.ways.clear();
    }

    /// Drops the translations of these addresses, and the ways that lead to one of them: the least that a flush page by page drops.
    fn drop_range(&mut self, start: u64, last: u64) {
        let pages = start / PAGE_SIZE..=last / PAGE_SIZE;
        while let Some((&page, _)) = self.pages.range(pages.clone()).next() {
            self.pages.remove(&page);
        }
        self.ways.retain(|&(level, first), _| {
            first > last || first + (Table::covered(level) - 1) < start
        });
    }

    /// Walks for an access, from the deepest table that a way leads to.
    fn walk(&mut self, address: VirtAddr, access: Access) -> Result<Translation, PageFaultError> {
        let place = |level| (level, address.0 & !(Table::covered(level) - 1));
        let deepest = (1..4).find_map(|level| {
            let &frame = self.ways.get(&place(level))?;
            Some(Table { level, frame })
        });
        let ways = &mut self.ways;
        walker().walk_from(deepest, address, access, |table| {
            ways.insert(place(table.level), table.frame);
        })
    }
}

/// The translation that an access to `address` uses: one that is cached, whatever the tables hold by now, or that of a walk.
///
/// # Errors
///
/// The error code of the page fault.
pub fn translate(address: VirtAddr, access: Access) -> Result<Translation, PageFaultError> {
    let mut tlb = TLB.lock().unwrap_or_else(|error| error.into_inner());
    tlb.follow();
    let page = address.0 / PAGE_SIZE;
    if let Some(&cached) = tlb.pages.get(&page)
        && cached.allows(access)
    {
        return Ok(cached);
    }
    let walked = tlb.walk(address, access);
    match walked {
        Ok(translation) => {
            tlb.pages.insert(page, translation);
        }
        // A fault drops what is cached of the page (Intel SDM volume 3, 5.10.4.1).
        Err(_) => tlb.drop_range(page * PAGE_SIZE, page * PAGE_SIZE + (PAGE_SIZE - 1)),
    }
    walked
}

/// Empties the software TLB.
pub fn flush_everything() {
    let mut tlb = TLB.lock().unwrap_or_else(|error| error.into_inner());
    tlb.clear();
    tlb.followed = flushes();
}
