//! Harvest: which pages were used since the last time? The CPU sets A and D in the leaves; they are read and cleared.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::change::{Edit, Leaves};
use super::entry::{Flags, USED};
use super::{ChangeError, PageTable};
use crate::mm::address::{PageSize, VirtAddr};
use crate::mm::hardware::PhysicalMemory;
use crate::mm::tlb::PendingFlush;

/// What a leaf was used for since its bits were cleared. A new leaf counts as accessed and written to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Usage {
    /// The leaf's size.
    pub size: PageSize,
    /// A: it was accessed.
    pub accessed: bool,
    /// D: it was written to.
    pub dirty: bool,
}

impl<M: PhysicalMemory> PageTable<M> {
    /// Calls `visit` with every leaf of the `pages` pages from `start`, and clears A and D of each. After the flush, which the
    /// CPU needs to set them again, the next use shows.
    ///
    /// # Errors
    ///
    /// As for [`unmap_at`](Self::unmap_at).
    #[inline]
    pub fn harvest(
        &mut self,
        start: VirtAddr,
        pages: u64,
        mut visit: impl FnMut(VirtAddr, Usage),
    ) -> Result<PendingFlush, ChangeError> {
        self.change(start, pages, Harvest(&mut visit))
    }
}

struct Harvest<'v, V>(&'v mut V);

impl<V: FnMut(VirtAddr, Usage)> Edit for Harvest<'_, V> {
    #[inline(always)]
    fn edit(&mut self, leaves: Leaves<'_>) {
        let mut address = leaves.start;
        for entry in leaves.entries {
            (self.0)(address, test_and_clear(entry, leaves.size));
            address.0 = address.0.wrapping_add(leaves.size.bytes());
        }
    }
}

/// The CPU may set either bit at any time: what it sets is seen here or stays for the next time, hence an atomic exchange.
#[inline(always)]
fn test_and_clear(entry: &AtomicU64, size: PageSize) -> Usage {
    let mut word = entry.load(Relaxed);
    while word & USED != 0 {
        match entry.compare_exchange_weak(word, word & !USED, Relaxed, Relaxed) {
            Ok(_) => break,
            Err(now) => word = now,
        }
    }
    let flags = Flags::from_bits_retain(word);
    Usage {
        size,
        accessed: flags.contains(Flags::ACCESSED),
        dirty: flags.contains(Flags::DIRTY),
    }
}
