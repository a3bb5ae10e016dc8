//! Area search: which addresses of the vmalloc region are taken, and where the next area goes.
//!
//! - [`FirstFit`], the book's list, and [`GapTree`], the default, a tree of the areas and the gaps, give a request the lowest range
//!   that it fits into: the same requests get the same addresses from both, at another cost.
//! - [`InstantFit`] gives it one that is hardly larger than it has to be, wherever that is, in constant time.
//!
//! Each refuses only what fits nowhere, and keeps its metadata in [`Slots`](crate::mm::slots::Slots) that the caller hands in, one
//! for each area.

mod first_fit;
mod fit;
mod gap_tree;
mod instant_fit;
mod owned;

#[cfg(test)]
mod tests;

use core::ops::Range;
use core::{error, fmt};

pub use first_fit::{FirstFit, ListSlot};
pub use fit::{Fit, Found};
pub use gap_tree::{GapTree, TreeNode, TreeSlot};
pub use instant_fit::{InstantFit, TagSlot};
pub use owned::Owned;

use crate::mm::address::{PAGE_SIZE, VirtAddr};
use crate::mm::tlb::Gather;

/// A range of addresses that is taken, but is no area any more: it has to be cancelled, or made an area again.
#[must_use = "the addresses leak unless the place is cancelled"]
#[derive(PartialEq, Eq, Debug)]
pub struct Place {
    start: VirtAddr,
    /// Where the search keeps it.
    slot: u32,
}

impl Place {
    /// First address.
    #[must_use]
    #[inline]
    pub const fn start(&self) -> VirtAddr {
        self.start
    }

    /// The number by which the search finds it at once.
    #[must_use]
    #[inline]
    pub const fn slot(&self) -> u32 {
        self.slot
    }
}

/// Places that are chained through the search's own metadata, so that a list of any length is these two words.
#[must_use = "the addresses leak unless the places are cancelled"]
#[derive(PartialEq, Eq, Default, Debug)]
pub struct Places {
    /// Slot of the last one added; means nothing while `count` is 0.
    last: u32,
    count: u32,
}

impl Places {
    /// No places.
    pub const NONE: Places = Places { last: 0, count: 0 };

    /// Number of places.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count as usize
    }
}

/// Adds a place to those that wait for the same flush.
impl<S: AreaSearch> Gather<Place, S> for Places {
    #[inline]
    fn gather(&mut self, more: Place, metadata: &mut S) {
        metadata.push(self, more);
    }
}

/// What every search keeps of an area or place, in whatever order it keeps them.
#[derive(Debug)]
pub struct Kept<'s, T> {
    /// First address.
    start: VirtAddr,
    /// What an area owns; nothing if it is a place.
    contents: &'s mut Option<T>,
    /// Of a place on a list of places, the slot of the one before it there.
    chain: &'s mut u32,
}

/// The areas of the vmalloc region, and the gaps between them.
pub trait AreaSearch {
    /// What an area owns.
    type Contents;

    /// A free range of `pages` pages, guard page included, that starts at a multiple of `align`, which is a power of two: the
    /// lowest one, if the search is by address. (Anything below a page counts as a page.) Nothing is taken yet.
    ///
    /// # Errors
    ///
    /// There is no such range, or no room to remember it.
    #[inline(always)]
    fn find(&mut self, pages: u64, align: u64) -> Result<Fit<'_, Self>, SearchError>
    where
        Self: Sized,
    {
        let found = self.gap_for(pages, align)?;
        Ok(Fit::new(self, found))
    }

    /// [`find`](Self::find), without the borrow: [`occupy`](Self::occupy) can take the range until the next call of another method.
    ///
    /// # Errors
    ///
    /// As for `find`.
    fn gap_for(&mut self, pages: u64, align: u64) -> Result<Found, SearchError>;

    /// Makes a range that was found just now an area that owns `contents`. Returns its slot.
    fn occupy(&mut self, found: Found, contents: Self::Contents) -> u32;

    /// What is kept of the area or place of a slot, if there is such a slot.
    fn kept(&mut self, slot: u32) -> Option<Kept<'_, Self::Contents>>;

    /// Makes a place the area again that it was.
    #[inline]
    fn put_back(&mut self, place: Place, contents: Self::Contents) {
        if let Some(kept) = self.kept(place.slot) {
            *kept.contents = Some(contents);
        }
    }

    /// The slot of the area or place that starts at `start`.
    fn slot_of(&self, start: VirtAddr) -> Option<u32>;

    /// The area of a slot, if it starts at `start`; a caller that remembers the slot needs no search.
    #[inline(always)]
    fn area_at(&mut self, start: VirtAddr, slot: u32) -> Option<Owned<'_, Self::Contents>> {
        let kept = self.kept(slot)?;
        (kept.start == start).then_some(Owned::new(start, slot, kept.contents))
    }

    /// Gives a place's addresses back.
    fn cancel(&mut self, place: Place);

    /// Adds a place to a list.
    #[inline]
    fn push(&mut self, places: &mut Places, place: Place) {
        if let Some(kept) = self.kept(place.slot) {
            *kept.chain = places.last;
            places.last = place.slot;
            places.count += 1;
        }
    }

    /// The flush that all places wait for that are on a list is done: those that come onto one from now on wait for the next.
    fn next_flush(&mut self) {}

    /// Gives the addresses of up to `most` places of a list back, whose flush is done; of fewer where one takes longer than others.
    fn cancel_some(&mut self, places: &mut Places, most: usize) {
        for _ in 0..most.min(places.count()) {
            let slot = places.last;
            let Some(Kept { start, chain, .. }) = self.kept(slot) else {
                return;
            };
            places.last = *chain;
            places.count -= 1;
            self.cancel(Place { start, slot });
        }
    }

    /// Whether an area or a place starts at `start`.
    fn is_taken(&self, start: VirtAddr) -> bool {
        self.slot_of(start).is_some()
    }

    /// The contents of the area that starts at `start`.
    fn get(&self, start: VirtAddr) -> Option<&Self::Contents>;

    /// Every area with its addresses, guard page included, lowest first; places, which have no contents, are left out.
    fn areas(&self) -> impl Iterator<Item = (Range<VirtAddr>, &Self::Contents)>;

    /// The whole region.
    fn region(&self) -> Range<VirtAddr>;

    /// Number of areas and places.
    fn taken(&self) -> usize;
}

/// Why no range was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SearchError {
    /// No gap has enough pages.
    NoGap {
        /// Pages asked for, guard page included.
        pages: u64,
        /// Alignment asked for, in bytes.
        align: u64,
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
            SearchError::NoGap { pages, align } => write!(
                f,
                "no free range of {pages} pages at a multiple of {align:#x} in the vmalloc region"
            ),
            SearchError::NoSlot { slots } => write!(f, "all {slots} areas are in use"),
        }
    }
}

impl error::Error for SearchError {}

/// The lowest range of `bytes` bytes at a multiple of `align` in a gap.
#[inline]
fn lowest_in(gap: Range<u64>, bytes: u64, align: u64) -> Option<u64> {
    let start = gap.start.checked_add(align - 1)? & !(align - 1);
    (start.checked_add(bytes)? <= gap.end).then_some(start)
}

/// The bytes and the alignment of a request.
#[inline]
fn size_and_align(pages: u64, align: u64) -> Result<(u64, u64), SearchError> {
    let align = align.max(PAGE_SIZE);
    match pages.checked_mul(PAGE_SIZE) {
        Some(bytes) if pages > 0 => Ok((bytes, align)),
        _ => Err(SearchError::NoGap { pages, align }),
    }
}
