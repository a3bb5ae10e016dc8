//! The book's search: a list of areas in the order of their addresses, walked from its start to the first gap that is wide
//! enough (`get_vm_area` of 2.4). Every operation costs a step for each area below.
//!
//! 2.4 tests for the end of the region inside the loop only, so that its first request of all can be larger than the region.
//! Here the last gap is a gap like any other.

use core::mem::MaybeUninit;
use core::ops::Range;

use super::{AreaSearch, Place, Places, SearchError, fit, size_and_align};
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

    /// The slot of the area or place that starts at `start`.
    fn find(&self, start: VirtAddr) -> Option<u32> {
        let mut index = self.first;
        while let Some(slot) = self.slots.get(index) {
            if slot.start == start {
                return Some(index);
            }
            index = slot.next;
        }
        None
    }

    /// A slot for this area, whatever it held.
    fn fill(&mut self, slot: ListSlot<T>) -> Option<u32> {
        let index = self.unused;
        match self.slots.get_mut(index) {
            Some(unused) => {
                self.unused = unused.next;
                *unused = slot;
                Some(index)
            }
            None => self.slots.push(slot),
        }
    }
}

impl<T> AreaSearch for FirstFit<'_, T> {
    type Contents = T;

    fn reserve(&mut self, pages: u64, align: u64) -> Result<Place, SearchError> {
        let (bytes, align) = size_and_align(pages, align)?;
        let (mut previous, mut next) = (NONE, self.first);
        let mut gap_start = self.region.start;
        let start = loop {
            let area = self.slots.get(next);
            let gap_end = area.map_or(self.region.end, |area| area.start);
            if let Some(start) = fit(gap_start.0..gap_end.0, bytes, align) {
                break VirtAddr(start);
            }
            let area = area.ok_or(SearchError::NoGap { pages, align })?;
            gap_start = area.end;
            previous = next;
            next = area.next;
        };
        let area = ListSlot {
            start,
            end: VirtAddr(start.0 + bytes),
            next,
            earlier: NONE,
            contents: None,
        };
        let slots = self.slots.capacity();
        let slot = self.fill(area).ok_or(SearchError::NoSlot { slots })?;
        self.link(previous, slot);
        self.taken += 1;
        Ok(Place { start, slot })
    }

    fn commit(&mut self, place: Place, contents: T) {
        if let Some(slot) = self.slots.get_mut(place.slot) {
            slot.contents = Some(contents);
        }
    }

    fn take(&mut self, start: VirtAddr) -> Option<(Place, T)> {
        let slot = self.find(start)?;
        let contents = self.slots.get_mut(slot)?.contents.take()?;
        Some((Place { start, slot }, contents))
    }

    /// 2.4 walks the list: so does this.
    fn take_slot(&mut self, start: VirtAddr, _: u32) -> Option<(Place, T)> {
        self.take(start)
    }

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

    fn push(&mut self, places: &mut Places, place: Place) {
        if let Some(slot) = self.slots.get_mut(place.slot) {
            slot.earlier = places.last;
            places.last = place.slot;
            places.count += 1;
        }
    }

    fn cancel_all(&mut self, places: Places) {
        let mut last = places.last;
        for _ in 0..places.count {
            let Some(slot) = self.slots.get(last) else {
                return;
            };
            let (start, earlier) = (slot.start, slot.earlier);
            self.cancel(Place { start, slot: last });
            last = earlier;
        }
    }

    fn is_taken(&self, start: VirtAddr) -> bool {
        self.find(start).is_some()
    }

    fn get(&self, start: VirtAddr) -> Option<&T> {
        self.slots.get(self.find(start)?)?.contents.as_ref()
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
