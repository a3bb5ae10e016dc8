//! Harvest: which pages were used since the last time? The CPU sets A and D in the leaves; they are read and cleared.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

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
    /// As for [`unmap`](Self::unmap).
    pub fn harvest(
        &mut self,
        start: VirtAddr,
        pages: u64,
        mut visit: impl FnMut(VirtAddr, Usage),
    ) -> Result<PendingFlush, ChangeError> {
        self.levels.check_range(start, pages)?;
        let mut smallest = PageSize::Size1G;
        self.for_each_slots(start, pages, |_, slots| {
            smallest = smallest.min(slots.size);
            Ok(())
        })?;
        self.for_each_slots(start, pages, |mut address, slots| {
            for entry in slots.entries.unwrap_or(&[]) {
                visit(address, test_and_clear(entry, slots.size));
                address.0 = address.0.wrapping_add(slots.size.bytes());
            }
            Ok(())
        })?;
        Ok(PendingFlush::new(
            start,
            pages / smallest.frames(),
            smallest,
        ))
    }
}

/// The CPU may set either bit at any time: what it sets is seen here or stays for the next time, hence one atomic operation.
#[inline(always)]
fn test_and_clear(entry: &AtomicU64, size: PageSize) -> Usage {
    let mut flags = Flags::from_bits_retain(entry.load(Relaxed));
    if flags.bits() & USED != 0 {
        flags = Flags::from_bits_retain(entry.fetch_and(!USED, Relaxed));
    }
    Usage {
        size,
        accessed: flags.contains(Flags::ACCESSED),
        dirty: flags.contains(Flags::DIRTY),
    }
}
