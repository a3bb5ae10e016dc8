//! The book's search: a list of areas in the order of their addresses, walked from its start to the first gap that is wide
//! enough (`get_vm_area` of 2.4). Every operation costs a step for each area below.
//!
//! 2.4 tests for the end of the region inside the loop only, so that its first request of all can be larger than the region.
//! Here the last gap is a gap like any other.

use core::mem::MaybeUninit;
use core::ops::Range;

use super::{AreaSearch, Found, Kept, Place, SearchError, lowest_in, size_and_align};
use crate::mm::address::VirtAddr;
use crate::mm::slots::Slots;

/// Link to no slot.
const NONE: u32 = u32::MAX;

/// Room for one area.
#[derive(Debug)]
pub struct ListSlot<T> {
    start: VirtAddr,
    /// First address behind the guard page.
    end: VirtAddr,
    /// The area with the next higher address; of an unused slot the next unused one.
    next: u32,
    /// Of a place on a list of places, the one before it there.
    earlier: u32,
    contents: Option<T>,
}

/// The list of areas.
#[derive(Debug)]
pub struct FirstFit<'m, T> {
    region: Range<VirtAddr>,
    slots: Slots<'m, ListSlot<T>>,
    first: u32,
    unused: u32,
    taken: usize,
}

impl<'m, T> FirstFit<'m, T> {
    /// A region without areas, which can have as many as there are slots. Its bounds are page-aligned.
    pub const fn new(region: Range<VirtAddr>, slots: &'m mut [MaybeUninit<ListSlot<T>>]) -> Self {
        FirstFit {
            region,
            slots: Slots::new(slots),
            first: NONE,
            unused: NONE,
            taken: 0,
        }
    }

    /// Makes `next` follow the slot `index`, or come first if that is none.
    fn link(&mut self, index: u32, next: u32) {
        match self.slots.get_mut(index) {
            Some(slot) => slot.next = next,
            None => self.first = next,
        }
    }

    /// The slot before `index` on the list; none if it is the first.
    fn before(&self, index: u32) -> u32 {
        let (mut previous, mut current) = (NONE, self.first);
        while current != index
            && let Some(slot) = self.slots.get(current)
        {
            previous = current;
            current = slot.next;
        }
        previous
    }

    /// Puts an area on a slot, whatever that held. There is one, as was looked at before.
    fn fill(&mut self, area: ListSlot<T>) -> u32 {
        let index = self.unused;
        match self.slots.get_mut(index) {
            Some(unused) => {
                self.unused = unused.next;
                *unused = area;
                index
            }
            None => self.slots.push(area).unwrap_or(NONE),
        }
    }
}

impl<T> AreaSearch for FirstFit<'_, T> {
    type Contents = T;

    #[inline(always)]
    fn gap_for(&mut self, pages: u64, align: u64) -> Result<Found, SearchError> {
        let (bytes, align) = size_and_align(pages, align)?;
        let (mut beside, mut next) = (NONE, self.first);
        let mut gap_start = self.region.start;
        let areas = self.slots.as_slice();
        let start = loop {
            let Some(area) = areas.get(next as usize) else {
                let last = gap_start.0..self.region.end.0;
                break lowest_in(last, bytes, align).ok_or(SearchError::NoGap { pages, align })?;
            };
            if let Some(start) = lowest_in(gap_start.0..area.start.0, bytes, align) {
                break start;
            }
            gap_start = area.end;
            beside = next;
            next = area.next;
        };
        let slots = self.slots.capacity();
        if self.taken == slots {
            return Err(SearchError::NoSlot { slots });
        }
        Ok(Found {
            start: VirtAddr(start),
            bytes,
            at: u64::from(beside),
        })
    }

    fn occupy(&mut self, found: Found, contents: T) -> u32 {
        let below = found.at as u32;
        let next = match self.slots.get(below) {
            Some(below) => below.next,
            None => self.first,
        };
        let slot = self.fill(ListSlot {
            start: found.start,
            end: VirtAddr(found.start.0 + found.bytes),
            next,
            earlier: NONE,
            contents: Some(contents),
        });
        self.link(below, slot);
        self.taken += 1;
        slot
    }

    #[inline]
    fn kept(&mut self, slot: u32) -> Option<Kept<'_, T>> {
        let area = self.slots.get_mut(slot)?;
        Some(Kept {
            start: area.start,
            contents: &mut area.contents,
            chain: &mut area.earlier,
        })
    }

    fn slot_of(&self, start: VirtAddr) -> Option<u32> {
        let mut index = self.first;
        while let Some(slot) = self.slots.get(index) {
            if slot.start == start {
                return Some(index);
            }
            index = slot.next;
        }
        None
    }

    /// With the walk of 2.4's `vfree`, which looks for the area below.
    fn cancel(&mut self, place: Place) {
        let Some(slot) = self.slots.get(place.slot) else {
            return;
        };
        let next = slot.next;
        self.link(self.before(place.slot), next);
        let unused = self.unused;
        if let Some(slot) = self.slots.get_mut(place.slot) {
            slot.next = unused;
            slot.contents = None;
        }
        self.unused = place.slot;
        self.taken -= 1;
    }

    fn get(&self, start: VirtAddr) -> Option<&T> {
        self.slots.get(self.slot_of(start)?)?.contents.as_ref()
    }

    fn areas(&self) -> impl Iterator<Item = (Range<VirtAddr>, &T)> {
        let first = self.slots.get(self.first);
        core::iter::successors(first, |slot| self.slots.get(slot.next))
            .filter_map(|slot| Some((slot.start..slot.end, slot.contents.as_ref()?)))
    }

    fn region(&self) -> Range<VirtAddr> {
        self.region.clone()
    }

    fn taken(&self) -> usize {
        self.taken
    }
}
