//! The book's search: a list of areas in the order of their addresses, walked from its start to the first gap that is wide
//! enough (`get_vm_area` of 2.4). Every operation costs a step for each area below.
//!
//! 2.4 tests for the end of the region inside the loop only, so that its first request of all can be larger than the region.
//! Here the last gap is a gap like any other.

use core::ops::Range;

use super::area::{AreaSearch, Place, SearchError};
use crate::mm::address::{PAGE_SIZE, VirtAddr};

/// Link to no slot.
const NONE: u32 = u32::MAX;

/// Room for one area.
#[derive(Debug)]
pub struct Slot<T> {
    start: VirtAddr,
    /// First address behind the guard page.
    end: VirtAddr,
    /// The area with the next higher address; of an unused slot the next unused one.
    next: u32,
    contents: Option<T>,
}

impl<T> Slot<T> {
    /// A slot that holds nothing.
    pub const UNUSED: Slot<T> = Slot {
        start: VirtAddr(0),
        end: VirtAddr(0),
        next: NONE,
        contents: None,
    };
}

/// The list of areas.
#[derive(Debug)]
pub struct FirstFit<'m, T> {
    region: Range<VirtAddr>,
    slots: &'m mut [Slot<T>],
    first: u32,
    unused: u32,
    live: usize,
}

impl<'m, T> FirstFit<'m, T> {
    /// A region without areas, which can have as many as there are slots. Its bounds are page-aligned.
    pub fn new(region: Range<VirtAddr>, slots: &'m mut [Slot<T>]) -> Self {
        let count = slots.len() as u32;
        for (index, slot) in (1..).zip(slots.iter_mut()) {
            *slot = Slot {
                next: if index < count { index } else { NONE },
                ..Slot::UNUSED
            };
        }
        let unused = if count > 0 { 0 } else { NONE };
        FirstFit {
            region,
            slots,
            first: NONE,
            unused,
            live: 0,
        }
    }

    fn slot(&self, index: u32) -> Option<&Slot<T>> {
        self.slots.get(index as usize)
    }

    /// Makes `next` follow the slot `index`, or come first if that is none.
    fn link(&mut self, index: u32, next: u32) {
        match self.slots.get_mut(index as usize) {
            Some(slot) => slot.next = next,
            None => self.first = next,
        }
    }

    /// The slot before `index` on the list; none if it is the first.
    fn before(&self, index: u32) -> u32 {
        let (mut previous, mut current) = (NONE, self.first);
        while current != index
            && let Some(slot) = self.slot(current)
        {
            previous = current;
            current = slot.next;
        }
        previous
    }
}

impl<T> AreaSearch<T> for FirstFit<'_, T> {
    fn reserve(&mut self, pages: u64) -> Result<Place, SearchError> {
        let no_gap = SearchError::NoGap { pages };
        let bytes = pages.checked_mul(PAGE_SIZE).ok_or(no_gap)?;
        let (mut previous, mut next) = (NONE, self.first);
        let mut start = self.region.start;
        loop {
            let area = self.slot(next);
            let gap_end = area.map_or(self.region.end, |area| area.start);
            if gap_end.0 - start.0 >= bytes {
                break;
            }
            let area = area.ok_or(no_gap)?;
            start = area.end;
            previous = next;
            next = area.next;
        }
        let slot = self.unused;
        let slots = self.slots.len();
        let unused = self
            .slots
            .get_mut(slot as usize)
            .ok_or(SearchError::NoSlot { slots })?;
        self.unused = unused.next;
        *unused = Slot {
            start,
            end: VirtAddr(start.0 + bytes),
            next,
            contents: None,
        };
        self.link(previous, slot);
        self.live += 1;
        Ok(Place { start, slot })
    }

    fn commit(&mut self, place: Place, contents: T) {
        if let Some(slot) = self.slots.get_mut(place.slot as usize) {
            slot.contents = Some(contents);
        }
    }

    fn take(&mut self, start: VirtAddr) -> Option<(Place, T)> {
        let mut slot = self.first;
        while let Some(area) = self.slots.get_mut(slot as usize) {
            if area.start == start {
                return Some((Place { start, slot }, area.contents.take()?));
            }
            slot = area.next;
        }
        None
    }

    fn cancel(&mut self, place: Place) {
        let Some(slot) = self.slot(place.slot) else {
            return;
        };
        let next = slot.next;
        self.link(self.before(place.slot), next);
        let unused = self.unused;
        if let Some(slot) = self.slots.get_mut(place.slot as usize) {
            *slot = Slot {
                next: unused,
                ..Slot::UNUSED
            };
        }
        self.unused = place.slot;
        self.live -= 1;
    }

    fn live(&self) -> usize {
        self.live
    }
}
