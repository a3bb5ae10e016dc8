//! Harvest: which pages were used since the last time? The CPU sets A and D in the leaves; they are read and cleared.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::change::{Edit, Leaves};
use crate::mm::address::{PageSize, VirtAddr};
use crate::mm::hardware::PhysicalMemory;
use crate::mm::page_table::format::entries;
use crate::mm::page_table::format::entry::{Flags, USED};
use crate::mm::page_table::{ChangeError, OwnedRange};
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

impl<M: PhysicalMemory> OwnedRange<M> {
    /// Calls `visit` with every leaf of the `pages` pages from `start`, and clears A and D of each. After the flush, which the
    /// CPU needs to set them again, the next use shows.
    ///
    /// # Errors
    ///
    /// As for [`unmap`](Self::unmap).
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
        let size = leaves.size;
        let mut address = leaves.start;
        let mut visit = |usage| {
            (self.0)(address, usage);
            address.0 = address.0.wrapping_add(size.bytes());
        };
        for some in leaves.entries.chunks(STEP) {
            // What has both bits gets none from the CPU meanwhile, so that a store takes nothing with it.
            if some.len() > 1 && entries::all_have_bits(some, USED) {
                entries::take_bits(some, USED);
                for _ in some {
                    visit(Usage {
                        size,
                        accessed: true,
                        dirty: true,
                    });
                }
            } else {
                for entry in some {
                    visit(test_and_clear(entry, size));
                }
            }
        }
    }
}

/// Leaves that are looked at together: a cache line of them is 8.
const STEP: usize = 64;

/// The CPU may set either bit at any time: what it sets until the exchange is seen here, and what it sets afterwards stays for the
/// next time. Nothing else of the entry changes meanwhile.
#[inline]
fn test_and_clear(entry: &AtomicU64, size: PageSize) -> Usage {
    let mut word = entry.load(Relaxed);
    if word & USED != 0 {
        word = entry.swap(word & !USED, Relaxed);
    }
    let flags = Flags::from_bits_retain(word);
    Usage {
        size,
        accessed: flags.contains(Flags::ACCESSED),
        dirty: flags.contains(Flags::DIRTY),
    }
}
