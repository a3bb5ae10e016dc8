//! Floor 7: the fixmap, slots whose addresses are known at compile time (the book's section 3.7).
//!
//! Slot 0 is the highest page but one of the address space, and slots go down from there. The first is for the local APIC, at
//! the same address on every CPU; behind it each CPU has a slot of its own, through which it looks at any frame for a moment
//! (2.4's `kmap_atomic`). That one no other CPU ever uses, so that a local INVLPG is all the flush it needs.

#![forbid(unsafe_code)]

use super::address::{PAGE_SIZE, Pfn, VirtAddr};
use super::hardware::{PhysicalMemory, TlbInvalidate};
use super::layout::{FIXADDR_TOP, FIXMAP_SLOTS};
use super::page_table::{FixedPt, MapError, OwnedRange, Protection, TableFrames};
use super::tlb::Tlb;

/// A slot of the fixmap: its number, counted down from FIXADDR_TOP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FixmapSlot(u8);

impl FixmapSlot {
    /// The registers of the local APIC.
    pub const LOCAL_APIC: FixmapSlot = FixmapSlot(0);
    /// CPUs that there are slots for.
    pub const CPUS: u8 = FIXMAP_SLOTS as u8 - Self::FIRST_OF_CPUS;

    const FIRST_OF_CPUS: u8 = 1;

    /// The slot that only the CPU with this number uses.
    #[must_use]
    pub const fn of_cpu(cpu: u8) -> Option<FixmapSlot> {
        if cpu < Self::CPUS {
            Some(FixmapSlot(Self::FIRST_OF_CPUS + cpu))
        } else {
            None
        }
    }

    /// The slot's address (2.4's `fix_to_virt`).
    #[must_use]
    pub const fn address(self) -> VirtAddr {
        VirtAddr(FIXADDR_TOP - self.0 as u64 * PAGE_SIZE)
    }

    /// The slot's place counted up from the fixmap's start.
    const fn index(self) -> usize {
        FIXMAP_SLOTS as usize - 1 - self.0 as usize
    }
}

// All slots lie in one PT.
const _: () = assert!(FIXADDR_TOP >> 21 == (FIXADDR_TOP - (FIXMAP_SLOTS - 1) * PAGE_SIZE) >> 21);

/// The fixmap's entries.
#[derive(Clone, Copy, Debug)]
pub struct Fixmap<M> {
    pt: FixedPt<M>,
}

impl<M: PhysicalMemory + Copy> Fixmap<M> {
    /// The fixmap at the addresses that a layout has for it; nothing is mapped there yet.
    ///
    /// # Errors
    ///
    /// As for [`OwnedRange::into_fixed`].
    pub fn new(owned: OwnedRange<M>, tables: &mut impl TableFrames) -> Result<Self, MapError> {
        let pt = owned.into_fixed(tables)?;
        Ok(Fixmap { pt })
    }

    /// Maps a slot to a frame, whatever it was mapped to before, and flushes `local`, the TLB of this CPU.
    #[inline]
    pub fn set<I: TlbInvalidate>(
        &self,
        slot: FixmapSlot,
        frame: Pfn,
        protection: Protection,
        local: &Tlb<I>,
    ) -> VirtAddr {
        let index = slot.index();
        let pending = self.pt.clear(index);
        self.pt.set(index, frame, protection);
        pending.flush(local);
        slot.address()
    }

    /// Clears a slot, and flushes `local`, the TLB of this CPU.
    #[inline]
    pub fn clear<I: TlbInvalidate>(&self, slot: FixmapSlot, local: &Tlb<I>) {
        self.pt.clear(slot.index()).flush(local);
    }

    /// Whether a slot is mapped.
    #[must_use]
    pub fn is_set(&self, slot: FixmapSlot) -> bool {
        self.pt.is_set(slot.index())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mm::address::PhysAddr;
    use crate::mm::layout::{Constants, Layout};
    use crate::mm::model::{Arena, ModelTlb, own};

    #[test]
    fn slots_go_down_from_the_top() {
        let last = FixmapSlot::of_cpu(FixmapSlot::CPUS - 1).unwrap();
        for (slot, address) in [
            (FixmapSlot::LOCAL_APIC, 0xffff_ffff_ffff_e000),
            (FixmapSlot::of_cpu(0).unwrap(), 0xffff_ffff_ffff_d000),
            (last, 0xffff_ffff_fffb_e000),
        ] {
            assert_eq!(slot.address().0, address);
        }
        assert_eq!(FixmapSlot::of_cpu(FixmapSlot::CPUS), None);
        for constants in [Constants::WIDE, Constants::CLASSIC, Constants::WIDE5] {
            let layout = Layout::new(&constants, PhysAddr(1 << 30)).unwrap();
            assert_eq!(layout.fixmap.start, last.address());
            let end = FixmapSlot::LOCAL_APIC.address().0 + PAGE_SIZE;
            assert_eq!(layout.fixmap.end.0, end);
        }
    }

    #[test]
    fn a_slot_shows_what_it_was_set_to_last_and_no_other_changes() {
        let arena = Arena::new(8);
        let table = arena.page_table();
        let mut tables = arena.tables(7);
        let layout = Layout::new(&Constants::CLASSIC, PhysAddr(6 << 30)).unwrap();
        let fixmap = Fixmap::new(own(&table, layout.fixmap.range()), &mut tables).unwrap();
        let model = ModelTlb::default();
        let local = Tlb::new(&model, 33);
        let (apic, mine) = (FixmapSlot::LOCAL_APIC, FixmapSlot::of_cpu(5).unwrap());
        let device = fixmap.set(apic, Pfn(0xfee00), Protection::DEVICE, &local);
        assert_eq!(device, apic.address());
        for frame in [1 << 20, 7, 1 << 30] {
            let address = fixmap.set(mine, Pfn(frame), Protection::READ_WRITE, &local);
            assert_eq!(model.access(&table, address), Ok(Some(Pfn(frame))));
        }
        fixmap.clear(mine, &local);
        assert_eq!(model.access(&table, mine.address()), Ok(None));
        assert!(fixmap.is_set(apic) && !fixmap.is_set(mine));
        let found = table.translate(apic.address()).unwrap();
        assert_eq!(found.protection(), Protection::DEVICE);
        let mut leaves = 0;
        table.for_each_leaf(|_, _| leaves += 1);
        assert_eq!(leaves, 1);
    }
}
