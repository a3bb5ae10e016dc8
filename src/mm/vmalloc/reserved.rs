//! Addresses that an area is being populated at.

use super::search::{AreaSearch, Place, SearchError};
use super::{Area, Contents};
use crate::mm::address::{PAGE_SIZE, VirtAddr};

/// A reserved range. Unless it is committed, its addresses go back when it is dropped: whatever is wanting half-way, nothing
/// stays taken.
pub(super) struct Reserved<'a, S: AreaSearch> {
    areas: &'a mut S,
    place: Option<Place>,
    start: VirtAddr,
}

impl<'a, S: AreaSearch<Contents = Contents>> Reserved<'a, S> {
    /// Reserves the lowest range that fits.
    #[inline(always)]
    pub(super) fn new(areas: &'a mut S, pages: u64, align: u64) -> Result<Self, SearchError> {
        let place = areas.reserve(pages, align)?;
        let start = place.start();
        let place = Some(place);
        Ok(Reserved {
            areas,
            place,
            start,
        })
    }

    /// First address.
    pub(super) const fn start(&self) -> VirtAddr {
        self.start
    }

    /// Makes it an area.
    #[inline(always)]
    pub(super) fn commit(mut self, contents: Contents) -> Area {
        let (start, bytes) = (self.start, contents.pages() * PAGE_SIZE);
        let mut slot = 0;
        if let Some(place) = self.place.take() {
            slot = place.slot();
            self.areas.commit(place, contents);
        }
        // There is nothing left to drop, and the compiler does not see it.
        core::mem::forget(self);
        Area { start, bytes, slot }
    }
}

impl<S: AreaSearch> Drop for Reserved<'_, S> {
    #[inline(always)]
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            self.areas.cancel(place);
        }
    }
}
