//! What a search for free addresses has to do, whatever structure it searches.

use core::{error, fmt};

use crate::mm::address::VirtAddr;

/// A range of addresses that is taken, but has no owner yet: it has to be committed or cancelled.
#[must_use = "the addresses leak unless the place is committed or cancelled"]
#[derive(PartialEq, Eq, Debug)]
pub struct Place {
    /// First address.
    pub(super) start: VirtAddr,
    /// Where the search keeps it.
    pub(super) slot: u32,
}

/// The areas of the vmalloc region, and the gaps between them. `T` is what an area owns.
pub trait AreaSearch<T> {
    /// Takes the lowest free range of `pages` pages, guard page included.
    ///
    /// # Errors
    ///
    /// There is no such range, or no room to remember it.
    fn reserve(&mut self, pages: u64) -> Result<Place, SearchError>;

    /// Makes a place an area that owns `contents`.
    fn commit(&mut self, place: Place, contents: T);

    /// Takes the contents out of the area that starts at `start`; its addresses stay taken. `None` if no area starts there.
    fn take(&mut self, start: VirtAddr) -> Option<(Place, T)>;

    /// Gives a place's addresses back.
    fn cancel(&mut self, place: Place);

    /// Number of areas and places.
    fn live(&self) -> usize;
}

/// Why no range was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SearchError {
    /// No gap has so many pages.
    NoGap {
        /// Pages asked for, guard page included.
        pages: u64,
    },
    /// Every slot for an area is in use.
    NoSlot {
        /// How many there are.
        slots: usize,
    },
}

impl fmt::Display for SearchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SearchError::NoGap { pages } => {
                write!(f, "no free range of {pages} pages in the vmalloc region")
            }
            SearchError::NoSlot { slots } => write!(f, "all {slots} areas are in use"),
        }
    }
}

impl error::Error for SearchError {}
