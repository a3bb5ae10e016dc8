//! The walk over all areas and rings that must agree with every link.

use std::collections::BTreeSet;

use super::bins::{BINS, bin_of};
use super::{END, InstantFit, NONE, OWN};
use crate::mm::address::PAGE_SHIFT;

impl<T> InstantFit<'_, T> {
    /// Recomputes everything from the areas, and panics at the first thing that does not agree.
    pub(in crate::mm::vmalloc) fn validate(&self) {
        let (mut end, mut below) = (self.region.start, END);
        let mut gaps = BTreeSet::new();
        for slot in self.in_order().chain([END]) {
            let area = &self.slots[slot];
            assert_eq!(area.below, below, "the area below slot {slot}");
            assert_eq!(
                area.room,
                (area.start.0 - end.0) >> PAGE_SHIFT,
                "room of slot {slot}"
            );
            if area.room > 0 {
                gaps.insert(slot);
            } else {
                assert_eq!(
                    (area.before, area.after),
                    (slot, slot),
                    "ring of slot {slot}"
                );
            }
            end.0 = area.start.0 + (area.pages << PAGE_SHIFT);
            below = slot;
        }
        for bin in 1..BINS as u32 {
            let (mut before, mut slot) = (bin, self.slots[bin].after);
            let listed = self.occupied.first_from(bin) == Some(bin);
            assert!(listed || slot == bin, "bin {bin}");
            while slot != bin {
                let area = &self.slots[slot];
                assert_eq!(area.before, before);
                assert_eq!(bin_of(area.room), bin, "bin of slot {slot}");
                assert!(
                    gaps.remove(&slot),
                    "slot {slot} is on a ring twice, or has no gap"
                );
                (before, slot) = (slot, area.after);
            }
            assert_eq!(self.slots[bin].before, before);
        }
        assert!(gaps.is_empty(), "on no ring: {gaps:?}");
        let (mut unused, mut count) = (self.unused, 0);
        while unused != NONE {
            count += 1;
            unused = self.slots[unused].chain;
        }
        assert_eq!(self.taken + count + OWN, self.slots.len() as usize);
    }
}
