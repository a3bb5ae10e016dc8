//! What a responder is asked to drop.

use core::sync::atomic::Ordering::Relaxed;

use super::sync::{AtomicU64, const_unless_loom};
use crate::mm::address::{PageSize, VirtAddr};
use crate::mm::hardware::TlbInvalidate;

/// What is to be dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flush {
    /// A range, page by page.
    Pages {
        /// The first page.
        start: VirtAddr,
        /// How many.
        pages: u64,
        /// Of which size.
        size: PageSize,
    },
    /// What is not global in the context that a CPU has loaded.
    Context,
    /// Everything, global translations included.
    All,
    /// The same, on idle CPUs, too: tables have left the tree.
    Tables,
}

impl Flush {
    /// Drops it from the TLB of this CPU.
    #[inline]
    pub fn perform(self, local: &impl TlbInvalidate) {
        match self {
            Flush::Pages { start, pages, size } => local.flush_pages(start, pages, size),
            Flush::Context => local.flush_context(),
            Flush::All | Flush::Tables => local.flush_all(),
        }
    }
}

/// Where a [`Flush`] is left for others to read. Writing and reading it is no synchronisation: the CPU that asks others to read has
/// to release what it wrote here, and they to acquire it.
pub(super) struct Place {
    start: AtomicU64,
    /// Pages, and in the two lowest bits their size, from 1; [`Place::CONTEXT`] and [`Place::ALL`] for those, whose bits are no
    /// size.
    pages: AtomicU64,
}

impl Place {
    /// What a place says that nobody has written to, too; zeros take no bytes in the image's file.
    const ALL: u64 = 0;
    const CONTEXT: u64 = 1 << Self::SIZE_BITS;
    const SIZE_BITS: u32 = 2;
    const SIZES: [PageSize; 3] = [PageSize::Size4K, PageSize::Size2M, PageSize::Size1G];

    const_unless_loom! {
        pub(super) fn new() -> Self {
            Place {
                start: AtomicU64::new(0),
                pages: AtomicU64::new(Self::ALL),
            }
        }
    }

    #[inline]
    pub(super) fn write(&self, flush: Flush) {
        let pages = match flush {
            Flush::Pages { start, pages, size } => {
                self.start.store(start.0, Relaxed);
                pages << Self::SIZE_BITS | (size as u64 + 1)
            }
            Flush::Context => Self::CONTEXT,
            // What a responder has to do is the same.
            Flush::All | Flush::Tables => Self::ALL,
        };
        self.pages.store(pages, Relaxed);
    }

    #[inline]
    pub(super) fn read(&self) -> Flush {
        let word = self.pages.load(Relaxed);
        let size = (word & ((1 << Self::SIZE_BITS) - 1)) as usize;
        match Self::SIZES.get(size.wrapping_sub(1)) {
            Some(&size) => Flush::Pages {
                start: VirtAddr(self.start.load(Relaxed)),
                pages: word >> Self::SIZE_BITS,
                size,
            },
            None if word == Self::CONTEXT => Flush::Context,
            None => Flush::All,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_place_gives_back_what_was_left_in_it() {
        let place = Place::new();
        assert_eq!(place.read(), Flush::All);
        for size in Place::SIZES {
            let (start, pages) = (VirtAddr(0xffff_c900_0000_0000), 1 << 40);
            let flush = Flush::Pages { start, pages, size };
            place.write(flush);
            assert_eq!(place.read(), flush);
        }
        for flush in [Flush::Context, Flush::All] {
            place.write(flush);
            assert_eq!(place.read(), flush);
        }
    }
}
