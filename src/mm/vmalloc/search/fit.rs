//! Addresses that were found for an area, but are not taken yet: whatever is wanting before they are, nothing has to be undone.

use super::AreaSearch;
use crate::mm::address::VirtAddr;

/// A range that a request fits into. It holds the search, so that this stays so.
#[derive(Debug)]
pub struct Fit<'s, S> {
    search: &'s mut S,
    found: Found,
}

/// A range as the search knows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Found {
    pub(super) start: VirtAddr,
    /// Guard page included.
    pub(super) bytes: u64,
    /// Where the search will enter it: the list by the slot of the area below, the tree by a place in a leaf, instant fit by the
    /// slot of the area above.
    pub(super) at: u64,
}

impl<'s, S: AreaSearch> Fit<'s, S> {
    #[inline]
    pub(super) const fn new(search: &'s mut S, found: Found) -> Self {
        Fit { search, found }
    }

    /// First address.
    #[must_use]
    #[inline]
    pub const fn start(&self) -> VirtAddr {
        self.found.start
    }

    /// Takes the range for an area that owns `contents`. Returns the number by which the search finds it at once.
    #[inline]
    pub fn occupy(self, contents: S::Contents) -> u32 {
        self.search.occupy(self.found, contents)
    }
}
