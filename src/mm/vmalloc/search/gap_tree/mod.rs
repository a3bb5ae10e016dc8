//! The default search: a tree of the gaps, a hash table of the areas.
//!
//! A gap is the free space right below an area, so it needs no slot of its own: it is two words in the slot of that area.
//! Three structures run through the slots:
//!
//! - a ring of all areas in the order of their addresses: an area that is freed finds both neighbours at once;
//! - a tree of the gaps between areas, in the same order, in which every node knows the largest gap below it (`gaps`): the
//!   lowest fit is found by one walk down, as in Linux since 5.2;
//! - a hash table by start address (`lookup`), for vfree of an address.
//!
//! The gap above the highest area is not in the tree. Areas that lie side by side, however many, have an empty tree, and the
//! next one costs as much as the first. That gap belongs to slot 0, which stands for the end of the region and closes the
//! ring; as link to a node of the tree, 0 means none.

mod gaps;
mod lookup;
#[cfg(test)]
mod validate;

use core::mem::MaybeUninit;
use core::ops::Range;

use super::{AreaSearch, Found, Owned, Place, Places, SearchError, lowest_in, size_and_align};
use crate::mm::address::{PAGE_SIZE, VirtAddr};
use crate::mm::slots::Slots;

/// The slot of the region's end.
const END: u32 = 0;
/// Link to no slot.
const NONE: u32 = 0;

/// Room for one area.
#[derive(Debug)]
pub struct TreeSlot<T> {
    start: VirtAddr,
    /// First address behind the guard page.
    end: VirtAddr,
    /// Free bytes right below `start`.
    gap: u64,
    /// The largest gap of the subtree that starts here. Only 0 in slots that are not in the tree.
    largest: u64,
    /// Links of the tree. The left one of the end leads to the root.
    left: u32,
    right: u32,
    parent: u32,
    /// A parent's is never less than its children's.
    priority: u32,
    /// The areas with the next lower and the next higher address.
    previous: u32,
    next: u32,
    /// The first area of the bucket with this slot's number.
    bucket: u32,
    /// The next area of the same bucket; of an unused slot the next unused one.
    chain: u32,
    /// Of a place on a list of places, the one before it there.
    earlier: u32,
    contents: Option<T>,
}

/// The areas and gaps of the region.
#[derive(Debug)]
pub struct GapTree<'m, T> {
    region: Range<VirtAddr>,
    slots: Slots<'m, TreeSlot<T>>,
    unused: u32,
    taken: usize,
    /// The number of buckets, less one, as it will be after the next doubling.
    bucket_mask: u32,
    /// The last priority that was drawn.
    random: u32,
}

impl<'m, T> GapTree<'m, T> {
    /// A region without areas, which can have one less than there are slots. Its bounds are page-aligned.
    pub fn new(region: Range<VirtAddr>, slots: &'m mut [MaybeUninit<TreeSlot<T>>]) -> Self {
        let mut tree = GapTree {
            region: region.clone(),
            slots: Slots::new(slots),
            unused: NONE,
            taken: 0,
            bucket_mask: 0,
            random: 1,
        };
        let end = Self::slot(region.end, region.end, region.end.0 - region.start.0);
        // Without room for even this one, every request will find that there is no slot.
        let _ = tree.slots.push(end);
        tree
    }

    /// A slot that nothing links to.
    #[inline(always)]
    const fn slot(start: VirtAddr, end: VirtAddr, gap: u64) -> TreeSlot<T> {
        TreeSlot {
            start,
            end,
            gap,
            largest: 0,
            left: NONE,
            right: NONE,
            parent: NONE,
            priority: 0,
            previous: END,
            next: END,
            bucket: NONE,
            chain: NONE,
            earlier: NONE,
            contents: None,
        }
    }

    /// Tries the gaps that have so many bytes, lowest first. One that has `align` bytes more fits in any case.
    #[cold]
    fn lowest_aligned_fit(&self, bytes: u64, align: u64) -> Option<(u32, u64)> {
        let mut gap = self.lowest_in_tree(bytes);
        loop {
            let above = gap.unwrap_or(END);
            let area = self.slots.get(above)?;
            if let Some(start) = lowest_in(area.start.0 - area.gap..area.start.0, bytes, align) {
                return Some((above, start));
            }
            gap = self.next_gap(gap?, bytes);
        }
    }

    /// Makes one more slot unused, which there has not been before. Whether there was room for one.
    #[cold]
    #[inline(never)]
    fn add_slot(&mut self) -> bool {
        let nowhere = VirtAddr(0);
        let Some(slot) = self.slots.push(Self::slot(nowhere, nowhere, 0)) else {
            return false;
        };
        self.add_bucket(slot);
        self.slots[slot].chain = self.unused;
        self.unused = slot;
        true
    }
}

impl<T> AreaSearch for GapTree<'_, T> {
    type Contents = T;

    #[inline(always)]
    fn lowest_fit(&mut self, pages: u64, align: u64) -> Result<Found, SearchError> {
        let (bytes, align) = size_and_align(pages, align)?;
        let found = match align {
            PAGE_SIZE => self.lowest_gap(bytes),
            _ => self.lowest_aligned_fit(bytes, align),
        };
        let Some((beside, start)) = found else {
            return Err(SearchError::NoGap { pages, align });
        };
        if self.unused == NONE && !self.add_slot() {
            let slots = self.slots.capacity().saturating_sub(1);
            return Err(SearchError::NoSlot { slots });
        }
        let start = VirtAddr(start);
        Ok(Found {
            start,
            bytes,
            beside,
        })
    }

    #[inline(always)]
    fn occupy(&mut self, found: Found, contents: T) -> u32 {
        let slots = self.slots.as_mut_slice();
        let (slot, above) = (self.unused, found.beside);
        let (start, end) = (found.start, VirtAddr(found.start.0 + found.bytes));
        let upper = &mut slots[above as usize];
        let below = upper.previous;
        let left_over = start.0 - (upper.start.0 - upper.gap);
        upper.gap = upper.start.0 - end.0;
        upper.previous = slot;
        slots[below as usize].next = slot;
        let area = &mut slots[slot as usize];
        self.unused = area.chain;
        area.start = start;
        area.end = end;
        area.gap = left_over;
        area.previous = below;
        area.next = above;
        area.contents = Some(contents);
        if above != END {
            self.gap_shrank(above);
        }
        if left_over > 0 {
            self.add_gap(slot);
        }
        self.enter(slot);
        self.taken += 1;
        slot
    }

    #[inline(always)]
    fn put_back(&mut self, place: Place, contents: T) {
        self.slots[place.slot].contents = Some(contents);
    }

    #[inline(always)]
    fn take(&mut self, start: VirtAddr) -> Option<(Place, T)> {
        let slot = self.slot_of(start)?;
        self.area_at(start, slot)?.take()
    }

    #[inline(always)]
    fn area_at(&mut self, start: VirtAddr, slot: u32) -> Option<Owned<'_, T>> {
        let area = self.slots.get_mut(slot)?;
        (area.start == start).then_some(Owned::new(start, slot, &mut area.contents))
    }

    #[inline(always)]
    fn cancel(&mut self, place: Place) {
        let slot = place.slot;
        self.leave(slot);
        let area = &mut self.slots[slot];
        area.contents = None;
        let (previous, next) = (area.previous, area.next);
        let (gap, bytes) = (area.gap, area.end.0 - area.start.0);
        self.slots[previous].next = next;
        let above = &mut self.slots[next];
        above.previous = previous;
        let old = above.gap;
        if next == END {
            above.gap += gap + bytes;
            if gap > 0 {
                self.remove_gap(slot);
            }
        } else if old > 0 {
            if gap > 0 {
                self.remove_gap(slot);
            }
            self.slots[next].gap += gap + bytes;
            self.update_from(next);
        } else {
            above.gap = gap + bytes;
            if gap > 0 {
                self.replace_gap(slot, next);
            } else {
                self.add_gap(next);
            }
        }
        self.slots[slot].chain = self.unused;
        self.unused = slot;
        self.taken -= 1;
    }

    #[inline(always)]
    fn push(&mut self, places: &mut Places, place: Place) {
        self.slots[place.slot].earlier = places.last;
        places.last = place.slot;
        places.count += 1;
    }

    fn cancel_all(&mut self, places: Places) {
        let mut last = places.last;
        for _ in 0..places.count {
            let area = &self.slots[last];
            let (start, earlier) = (area.start, area.earlier);
            self.cancel(Place { start, slot: last });
            last = earlier;
        }
    }

    fn is_taken(&self, start: VirtAddr) -> bool {
        self.slot_of(start).is_some()
    }

    fn get(&self, start: VirtAddr) -> Option<&T> {
        self.slots.get(self.slot_of(start)?)?.contents.as_ref()
    }

    fn areas(&self) -> impl Iterator<Item = (Range<VirtAddr>, &T)> {
        let after = |slot: &TreeSlot<T>| match slot.next {
            END => None,
            next => self.slots.get(next),
        };
        let first = self.slots.get(END).and_then(after);
        core::iter::successors(first, move |slot| after(slot))
            .filter_map(|slot| Some((slot.start..slot.end, slot.contents.as_ref()?)))
    }

    fn region(&self) -> Range<VirtAddr> {
        self.region.clone()
    }

    fn taken(&self) -> usize {
        self.taken
    }
}
