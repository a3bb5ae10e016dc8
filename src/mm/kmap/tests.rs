use super::*;
use crate::mm::address::PhysAddr;
use crate::mm::layout::Constants;
use crate::mm::model::{Arena, ModelTlb, own};
use crate::mm::page_table::PageTable;
use proptest::prelude::*;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::vec::Vec;

/// First frame outside the direct map.
const HIGH: u64 = 896 << 8;

/// A TLB that counts how often it is flushed.
#[derive(Default)]
struct Counting {
    model: ModelTlb,
    flushes: Cell<u32>,
}

impl TlbInvalidate for &Counting {
    fn flush_pages(&self, start: VirtAddr, pages: u64, size: crate::mm::address::PageSize) {
        self.flushes.set(self.flushes.get() + 1);
        (&self.model).flush_pages(start, pages, size);
    }

    fn flush_all(&self) {
        self.flushes.set(self.flushes.get() + 1);
        (&self.model).flush_all();
    }
}

/// Runs `test` on a window of `slots` slots.
fn with_kmap<R>(
    slots: usize,
    test: impl FnOnce(&mut Kmap<'_, &Arena>, &PageTable<&Arena>, &Counting) -> R,
) -> R {
    let arena = Arena::new(8);
    let table = arena.page_table();
    let mut tables = arena.tables(7);
    let layout = Layout::new(&Constants::CLASSIC, PhysAddr(6 << 30)).unwrap();
    let pt = own(&table, layout.kmap.unwrap().range());
    let pt = pt.into_fixed(&mut tables).unwrap();
    let mut metadata: Vec<_> = (0..slots).map(|_| Slot::CLEAR).collect();
    let mut kmap = Kmap::new(&layout, Some((pt, &mut metadata)));
    test(&mut kmap, &table, &Counting::default())
}

#[test]
fn a_frame_of_the_direct_map_has_its_address_there() {
    with_kmap(4, |kmap, _, counting| {
        let tlb = Tlb::new(counting, 33);
        for frame in [0, 5, HIGH - 1] {
            let mapped = kmap.map(Pfn(frame), &tlb).unwrap();
            assert_eq!(mapped.address().0, 0xffff_ffff_c000_0000 + (frame << 12));
            assert_eq!(kmap.used(), 0);
            kmap.unmap(mapped).unwrap();
        }
    });
    let layout = Layout::new(&Constants::WIDE, PhysAddr(6 << 30)).unwrap();
    let mut kmap: Kmap<'_, &Arena> = Kmap::new(&layout, None);
    let counting = Counting::default();
    let tlb = Tlb::new(&counting, 33);
    let mapped = kmap.map(Pfn(HIGH), &tlb).unwrap();
    assert_eq!(mapped.address().0, 0xffff_8880_3800_0000);
    kmap.unmap(mapped).unwrap();
    let frame = Pfn(6 << 18);
    assert_eq!(kmap.map(frame, &tlb), Err(KmapError::NoWindow { frame }));
}

#[test]
fn one_flush_for_each_turn_of_the_window() {
    with_kmap(512, |kmap, table, counting| {
        let tlb = Tlb::new(counting, 33);
        for round in 0..4 {
            for frame in 0..512 {
                let frame = Pfn(HIGH + round * 512 + frame);
                let mapped = kmap.map(frame, &tlb).unwrap();
                let seen = counting.model.access(table, mapped.address());
                assert_eq!(seen, Ok(Some(frame)));
                kmap.unmap(mapped).unwrap();
            }
            // The first turn finds a clear window.
            assert_eq!(u64::from(counting.flushes.get()), round);
        }
    });
}

#[test]
fn a_frame_has_one_slot_for_all_its_users() {
    with_kmap(4, |kmap, _, counting| {
        let tlb = Tlb::new(counting, 33);
        let users: Vec<_> = (0..9).map(|_| kmap.map(Pfn(HIGH), &tlb).unwrap()).collect();
        assert!(
            users
                .iter()
                .all(|mapped| mapped.address() == users[0].address())
        );
        let (_, window) = kmap.window.as_ref().unwrap();
        assert_eq!((window.users(0), kmap.used()), (9, 1));
        let address = users[0].address();
        for mapped in users {
            assert_eq!(kmap.used(), 1);
            kmap.unmap(mapped).unwrap();
        }
        assert_eq!(kmap.used(), 0);
        // Still mapped, so that it is there for the next user, and no flush was needed.
        let again = kmap.map(Pfn(HIGH), &tlb).unwrap();
        assert_eq!((again.address(), counting.flushes.get()), (address, 0));
        kmap.unmap(again).unwrap();
    });
}

#[test]
fn a_full_window_is_an_error_until_a_slot_comes_back() {
    with_kmap(4, |kmap, table, counting| {
        let tlb = Tlb::new(counting, 33);
        let mut held: Vec<_> = (0..4)
            .map(|frame| kmap.map(Pfn(HIGH + frame), &tlb).unwrap())
            .collect();
        let full = Err(KmapError::Full { slots: 4 });
        assert_eq!(kmap.map(Pfn(HIGH + 9), &tlb), full);
        assert_eq!(kmap.map(Pfn(HIGH + 9), &tlb), full);
        assert_eq!(
            counting.flushes.get(),
            0,
            "nothing was cleared, nothing is owed"
        );
        // Those that are mapped can still be had.
        let again = kmap.map(Pfn(HIGH + 2), &tlb).unwrap();
        kmap.unmap(again).unwrap();
        let first = held.remove(1);
        let address = first.address();
        kmap.unmap(first).unwrap();
        let mapped = kmap.map(Pfn(HIGH + 9), &tlb).unwrap();
        assert_eq!((mapped.address(), counting.flushes.get()), (address, 1));
        let seen = counting.model.access(table, address);
        assert_eq!(seen, Ok(Some(Pfn(HIGH + 9))));
        held.push(mapped);
        for mapped in held {
            kmap.unmap(mapped).unwrap();
        }
    });
}

#[test]
fn bad_addresses_are_named_and_change_nothing() {
    with_kmap(4, |kmap, _, counting| {
        let tlb = Tlb::new(counting, 33);
        let address = kmap.map(Pfn(HIGH), &tlb).unwrap().into_raw();
        for bad in [
            0,
            address.0 + 8,
            address.0 - 4096,
            address.0 + 4 * 4096,
            u64::MAX,
        ] {
            let address = VirtAddr(bad);
            assert_eq!(
                kmap.unmap_at(address),
                Err(KunmapError::NotKmap { address }),
                "{bad:#x}"
            );
        }
        let never = VirtAddr(address.0 + 4096);
        assert_eq!(
            kmap.unmap_at(never),
            Err(KunmapError::NotMapped { address: never })
        );
        assert_eq!(kmap.used(), 1);
        kmap.unmap_at(address).unwrap();
        assert_eq!(
            kmap.unmap_at(address),
            Err(KunmapError::NotMapped { address })
        );
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 256 }))]

    /// Whatever is mapped and given back, every address shows its frame, no TLB shows another, and a frame that is mapped
    /// twice is at one address.
    #[test]
    fn every_user_sees_its_frame(steps in prop::collection::vec((0..12u64, any::<bool>(), any::<prop::sample::Index>()), 1..200)) {
        with_kmap(5, |kmap, table, counting| {
            let tlb = Tlb::new(counting, 3);
            let mut held: Vec<(u64, Kmapped)> = Vec::new();
            for (frame, map, which) in steps {
                if map {
                    match kmap.map(Pfn(HIGH + frame), &tlb) {
                        Ok(mapped) => held.push((frame, mapped)),
                        Err(KmapError::Full { .. }) => {
                            let mut frames: Vec<_> = held.iter().map(|(frame, _)| *frame).collect();
                            frames.sort_unstable();
                            frames.dedup();
                            assert_eq!(frames.len(), 5);
                            assert!(!frames.contains(&frame));
                        }
                        Err(error) => panic!("{error}"),
                    }
                } else if !held.is_empty() {
                    let (_, mapped) = held.swap_remove(which.index(held.len()));
                    kmap.unmap(mapped).unwrap();
                }
                let mut addresses = BTreeMap::new();
                for (frame, mapped) in &held {
                    let seen = counting.model.access(table, mapped.address());
                    assert_eq!(seen, Ok(Some(Pfn(HIGH + frame))));
                    let address = *addresses.entry(*frame).or_insert(mapped.address());
                    assert_eq!(address, mapped.address());
                }
                assert_eq!(kmap.used(), addresses.len());
            }
            for (_, mapped) in held {
                kmap.unmap(mapped).unwrap();
            }
        });
    }
}
