//! Instant fit, the search of Vmem (Bonwick and Adams, "Magazines and Vmem", 2001, section 4.4.2): a gap that is large enough, in
//! constant time, however many areas there are. The price is that it is not the lowest one, so that areas spread further.
//!
//! Every area knows its neighbours by address and the free pages right below it, which are its gap; gaps of about the same size
//! are a ring, each of which is a [bin](bins). A request takes the first gap of the lowest bin in which every gap is large
//! enough; the bin below, where only some are, is looked through when there is none. So a request is refused only if nothing
//! fits. An area that goes gives its pages and its gap to the area above.
//!
//! Vmem looks an address up in a hash table; here the holder of an area has its slot, and an address without a slot is found by a walk.

mod bins;
#[cfg(test)]
mod validate;

use core::mem::MaybeUninit;
use core::ops::Range;

use super::{AreaSearch, Found, Kept, Place, SearchError, lowest_in, size_and_align};
use crate::mm::address::{PAGE_SHIFT, PAGE_SIZE, VirtAddr};
use crate::mm::slots::Slots;
use bins::{BINS, Occupied, bin_of};

/// Link to nothing.
const NONE: u32 = u32::MAX;

/// The end of the region, below which the highest gap is. The slots below it are the heads of the rings.
const END: u32 = BINS as u32;

/// Slots that are no area's.
const OWN: usize = BINS + 1;

/// Room for one area, or for the head of a ring.
#[repr(align(64))]
#[derive(Debug)]
pub struct TagSlot<T> {
    start: VirtAddr,
    /// Guard page included.
    pages: u64,
    /// Free pages right below.
    room: u64,
    /// The areas beside it; [`END`] is beside the lowest and the highest one.
    below: u32,
    above: u32,
    /// The bin of its gap, and the gaps beside it on that ring. Without a gap it is a ring of its own.
    bin: u32,
    before: u32,
    after: u32,
    /// Of an unused slot the next unused one; of a place on a list of places, the one before it there.
    chain: u32,
    contents: Option<T>,
}

impl<T> TagSlot<T> {
    /// The number of slots that is enough for `areas` areas.
    #[must_use]
    pub const fn enough_for(areas: usize) -> usize {
        areas + OWN
    }

    const fn new(number: u32, start: VirtAddr) -> Self {
        TagSlot {
            start,
            pages: 0,
            room: 0,
            below: number,
            above: number,
            bin: 0,
            before: number,
            after: number,
            chain: NONE,
            contents: None,
        }
    }
}

/// The areas and gaps of the region.
#[derive(Debug)]
pub struct InstantFit<'m, T> {
    slots: Slots<'m, TagSlot<T>>,
    occupied: Occupied,
    unused: u32,
    taken: usize,
    region: Range<VirtAddr>,
}

impl<'m, T> InstantFit<'m, T> {
    /// A region without areas, which can have as many as there are [slots for](TagSlot::enough_for). Its bounds are page-aligned.
    pub fn new(region: Range<VirtAddr>, slots: &'m mut [MaybeUninit<TagSlot<T>>]) -> Self {
        let mut search = InstantFit {
            slots: Slots::new(slots),
            occupied: Occupied::new(),
            unused: NONE,
            taken: 0,
            region,
        };
        for number in 0..=END {
            // Without room for these, every request will find that there is no slot.
            let _ = search.slots.push(TagSlot::new(number, search.region.end));
        }
        let pages = (search.region.end.0 - search.region.start.0) >> PAGE_SHIFT;
        if search.slots.get(END).is_some() {
            search.set_gap(END, pages);
        }
        search
    }

    /// Most areas that there can be.
    const fn capacity(&self) -> usize {
        self.slots.capacity().saturating_sub(OWN)
    }

    /// Makes `pages` free pages the gap right below an area.
    #[inline]
    fn set_gap(&mut self, slot: u32, pages: u64) {
        let bin = bin_of(pages);
        self.slots[slot].room = pages;
        if bin != self.slots[slot].bin {
            self.leave_ring(slot);
            self.enter_ring(slot, bin);
        }
    }

    /// Puts the gap right below an area, which is on no other ring, on that of its bin.
    #[inline]
    fn enter_ring(&mut self, slot: u32, bin: u32) {
        // A ring of one's own is entered and left in the same way: whether there is a gap is a branch that nobody could foretell.
        let head = if bin == 0 { slot } else { bin };
        self.slots[slot].after = slot;
        let after = self.slots[head].after;
        self.slots[slot].bin = bin;
        self.slots[slot].before = head;
        self.slots[slot].after = after;
        self.slots[after].before = slot;
        self.slots[head].after = slot;
        self.occupied.set(bin);
    }

    /// Takes the gap right below an area from its ring.
    #[inline]
    fn leave_ring(&mut self, slot: u32) {
        let TagSlot { before, after, .. } = self.slots[slot];
        self.slots[before].after = after;
        self.slots[after].before = before;
    }

    /// The first gap of the lowest bin from `bin` on that has any: the area above it.
    #[inline]
    fn first_of_bins(&mut self, mut bin: u32) -> Option<u32> {
        loop {
            bin = self.occupied.first_from(bin)?;
            let slot = self.slots[bin].after;
            if slot != bin {
                return Some(slot);
            }
            // The bit was not cleared when the bin became empty: this check is rare, and leaving a ring is frequent.
            self.occupied.clear(bin);
        }
    }

    /// Where the gap right below an area starts.
    #[inline]
    fn gap_below(&self, slot: u32) -> VirtAddr {
        let area = &self.slots[slot];
        VirtAddr(area.start.0 - (area.room << PAGE_SHIFT))
    }

    /// A gap that has to be tried for the request: in the bins of which not every gap is large enough. Returns the area
    /// above it.
    #[cold]
    #[inline(never)]
    fn look_through(&self, bytes: u64, align: u64) -> Option<u32> {
        let mut bin = bin_of(bytes >> PAGE_SHIFT);
        loop {
            bin = self.occupied.first_from(bin)?;
            let mut slot = self.slots[bin].after;
            while slot != bin {
                let gap = self.gap_below(slot).0..self.slots[slot].start.0;
                if lowest_in(gap, bytes, align).is_some() {
                    return Some(slot);
                }
                slot = self.slots[slot].after;
            }
            bin += 1;
        }
    }

    /// Makes one more slot unused, which there has not been before. Whether there was room for one.
    #[cold]
    #[inline(never)]
    fn add_slot(&mut self) -> bool {
        let number = self.slots.len();
        match self.slots.push(TagSlot::new(number, VirtAddr(0))) {
            Some(slot) => {
                self.unused = slot;
                true
            }
            None => false,
        }
    }

    /// The slots of areas and places, lowest first.
    fn in_order(&self) -> impl Iterator<Item = u32> {
        let used = |slot: u32| (slot != END).then_some(slot);
        let next = move |slot: u32| used(self.slots.get(slot)?.above);
        core::iter::successors(next(END), move |&slot| next(slot))
    }
}

impl<T> AreaSearch for InstantFit<'_, T> {
    type Contents = T;

    #[inline(always)]
    fn gap_for(&mut self, pages: u64, align: u64) -> Result<Found, SearchError> {
        let (bytes, align) = size_and_align(pages, align)?;
        // With this number of pages more than the request has, any gap has room at a multiple of `align`.
        let beyond = (align >> PAGE_SHIFT) - 1;
        let all_of_them = bin_of(pages + beyond - 1) + 1;
        let above = match self.first_of_bins(all_of_them) {
            Some(above) => above,
            None => match self.look_through(bytes, align) {
                Some(above) => above,
                None if self.capacity() == 0 => return Err(SearchError::NoSlot { slots: 0 }),
                None => return Err(SearchError::NoGap { pages, align }),
            },
        };
        if self.unused == NONE && !self.add_slot() {
            let slots = self.capacity();
            return Err(SearchError::NoSlot { slots });
        }
        let gap = self.gap_below(above);
        let start = VirtAddr((gap.0 + (align - 1)) & !(align - 1));
        Ok(Found {
            start,
            bytes,
            at: u64::from(above),
        })
    }

    #[inline(always)]
    fn occupy(&mut self, found: Found, contents: T) -> u32 {
        let slot = self.unused;
        let Found { start, bytes, at } = found;
        let above = at as u32;
        let room = (start.0 - self.gap_below(above).0) >> PAGE_SHIFT;
        let pages = bytes >> PAGE_SHIFT;
        let rest = self.slots[above].room - room - pages;
        self.set_gap(above, rest);
        let below = self.slots[above].below;
        self.slots[above].below = slot;
        self.slots[below].above = slot;
        let area = &mut self.slots[slot];
        self.unused = area.chain;
        area.start = start;
        area.pages = pages;
        area.below = below;
        area.above = above;
        area.contents = Some(contents);
        area.room = 0;
        area.bin = 0;
        area.before = slot;
        area.after = slot;
        if room > 0 {
            self.set_gap(slot, room);
        }
        self.taken += 1;
        slot
    }

    #[inline]
    fn kept(&mut self, slot: u32) -> Option<Kept<'_, T>> {
        let area = self.slots.get_mut(slot)?;
        Some(Kept {
            start: area.start,
            contents: &mut area.contents,
            chain: &mut area.chain,
        })
    }

    fn slot_of(&self, start: VirtAddr) -> Option<u32> {
        self.in_order()
            .find(|&slot| self.slots[slot].start == start)
    }

    #[inline]
    fn cancel(&mut self, place: Place) {
        let slot = place.slot;
        self.leave_ring(slot);
        let TagSlot {
            below,
            above,
            pages,
            room,
            ..
        } = self.slots[slot];
        self.set_gap(above, self.slots[above].room + pages + room);
        self.slots[above].below = below;
        self.slots[below].above = above;
        self.slots[slot].chain = self.unused;
        self.unused = slot;
        self.taken -= 1;
    }

    fn get(&self, start: VirtAddr) -> Option<&T> {
        self.slots.get(self.slot_of(start)?)?.contents.as_ref()
    }

    fn areas(&self) -> impl Iterator<Item = (Range<VirtAddr>, &T)> {
        self.in_order().filter_map(|slot| {
            let area = &self.slots[slot];
            let end = VirtAddr(area.start.0 + area.pages * PAGE_SIZE);
            Some((area.start..end, area.contents.as_ref()?))
        })
    }

    fn region(&self) -> Range<VirtAddr> {
        self.region.clone()
    }

    fn taken(&self) -> usize {
        self.taken
    }
}
