//! Entries of one PT, and the count of all that are present in it.
//!
//! The entry of a PD that leads to a PT counts the present entries of that PT, in bits that the CPU ignores. So an empty PT is
//! known without a look at its 512 entries, and so is a full one.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::mm::address::WORDS_PER_PAGE;
use crate::mm::page_table::format::entries;
use crate::mm::page_table::{Fill, Protection};

/// Bits 61 to 52 of an entry that leads to a table (Intel SDM volume 3, table 5-19: 62 to 52 are ignored).
const SHIFT: u32 = 52;
const MASK: u64 = 0x3ff << SHIFT;

/// The count of present entries in a PT.
#[derive(Clone, Copy, Debug)]
pub(in crate::mm::page_table) struct PresentCount<'t>(pub(in crate::mm::page_table) &'t AtomicU64);

impl PresentCount<'_> {
    #[inline]
    pub(in crate::mm::page_table) fn get(self) -> u64 {
        Self::count(self.0.load(Relaxed))
    }

    /// The count in the word of the entry.
    #[inline]
    pub(in crate::mm::page_table) const fn count(word: u64) -> u64 {
        (word & MASK) >> SHIFT
    }

    /// Owners of other addresses of the PT count at the same time.
    #[inline]
    pub(in crate::mm::page_table) fn add(self, entries: u64) {
        self.0.fetch_add(entries << SHIFT, Relaxed);
    }

    /// See [`add`](Self::add).
    #[inline]
    pub(in crate::mm::page_table) fn sub(self, entries: u64) {
        self.0.fetch_sub(entries << SHIFT, Relaxed);
    }
}

/// Some entries of one PT.
#[derive(Clone, Copy, Debug)]
pub(in crate::mm::page_table) struct Pt<'t> {
    pub(in crate::mm::page_table) entries: &'t [AtomicU64],
    pub(in crate::mm::page_table) live: PresentCount<'t>,
}

impl Pt<'_> {
    #[inline]
    pub(in crate::mm::page_table) fn any_present(&self) -> bool {
        // A single entry is read faster than the count.
        match self.entries {
            [_] => entries::any_present(self.entries),
            _ => self.live.get() != 0 && entries::any_present(self.entries),
        }
    }

    #[inline]
    pub(in crate::mm::page_table) fn all_present(&self) -> bool {
        match self.entries {
            [_] => entries::all_present(self.entries),
            _ => self.live.get() == WORDS_PER_PAGE as u64 || entries::all_present(self.entries),
        }
    }

    /// Maps all of them, which are absent, to the next frames.
    #[inline]
    pub(in crate::mm::page_table) fn fill(&self, frames: &mut impl Fill, protection: Protection) {
        frames.fill(self.entries, protection);
        self.live.add(self.entries.len() as u64);
    }
}
