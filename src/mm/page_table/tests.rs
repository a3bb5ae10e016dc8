//! The table against a map of pages, operation by operation, result for result.

use std::collections::BTreeMap;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::mm::model::{Arena, ModelTlb, Stale, Tables};
use crate::mm::tlb::Tlb;

/// Where the test maps: across the border of two PTs, and of two PDs, near the start of the upper half.
const BASE: u64 = 0xffff_8000_0000_0000 + (1 << 21) * 511;
const MIB2: u64 = 1 << 21;

fn table(arena: &Arena) -> (PageTable<&Arena>, Tables) {
    // SAFETY: frame 0 is zero and nobody else's; so are the frames behind it, which become tables.
    let table = unsafe { PageTable::new(arena, Pfn(0)) };
    (
        table,
        Tables {
            next: Pfn(1),
            end: Pfn(40),
        },
    )
}

fn page(number: u64) -> VirtAddr {
    VirtAddr(BASE + number * PAGE_SIZE)
}

#[derive(Clone, Debug)]
enum Operation {
    Map(u64, u64, u64, Protection, PageSize),
    MapRuns(u64, Vec<(u64, u64)>, Protection),
    Unmap(u64, u64),
    Protect(u64, u64, Protection),
}

fn operations() -> impl Strategy<Value = Operation> {
    let page = prop_oneof![0u64..8, 500u64..530, Just(0), Just(512), Just(1024)];
    let pages = prop_oneof![1u64..6, 500u64..530, Just(512), Just(1024)];
    let frame = prop_oneof![0x1000u64..0x1010, Just(0x200), Just(0x40_0000)];
    let protection = prop_oneof![
        Just(Protection::READ_WRITE),
        Just(Protection::READ),
        Just(Protection::READ_EXECUTE),
        Just(Protection::DEVICE.not_global()),
    ];
    let size = prop_oneof![
        Just(PageSize::Size4K),
        Just(PageSize::Size2M),
        Just(PageSize::Size1G)
    ];
    let run = (0x1000u64..0x2000, 1u64..300);
    prop_oneof![
        (page.clone(), pages.clone(), frame, protection.clone(), size).prop_map(
            |(page, pages, frame, protection, size)| Operation::Map(
                page, pages, frame, protection, size
            )
        ),
        (
            page.clone(),
            prop::collection::vec(run, 1..4),
            protection.clone()
        )
            .prop_map(|(page, runs, protection)| Operation::MapRuns(page, runs, protection)),
        (page.clone(), pages.clone()).prop_map(|(page, pages)| Operation::Unmap(page, pages)),
        (page, pages, protection)
            .prop_map(|(page, pages, protection)| Operation::Protect(page, pages, protection)),
    ]
}

/// Page number to what it is mapped to; the size is that of the leaf.
type Model = BTreeMap<u64, (Pfn, PageSize, Protection)>;

/// The first page of the range that cannot be changed, as the table would tell it.
fn obstacle(model: &Model, start: u64, pages: u64) -> Option<ChangeError> {
    let mut number = start;
    while number < start + pages {
        let Some(&(_, size, _)) = model.get(&number) else {
            return Some(ChangeError::NotMapped {
                address: page(number),
            });
        };
        if !page(number).is_aligned(size.bytes()) || start + pages - number < size.frames() {
            return Some(ChangeError::CutsLeaf {
                address: page(number),
                size,
            });
        }
        number += size.frames();
    }
    None
}

/// Runs one operation on both; a table where a large leaf should go is the one thing that the model does not know.
fn step(
    table: &mut PageTable<&Arena>,
    tables: &mut Tables,
    tlb: &Tlb<&ModelTlb>,
    model: &mut Model,
    operation: &Operation,
) -> Result<(), TestCaseError> {
    match operation.clone() {
        Operation::Map(start, pages, frame, protection, largest) => {
            let result = table.map(page(start), Pfn(frame), pages, protection, largest, tables);
            let taken = (start..start + pages).find(|number| model.contains_key(number));
            match (result, taken) {
                (Ok(()), None) => {
                    for piece in Pieces::new(page(start), Pfn(frame), pages, largest) {
                        let first = (piece.start.0 - BASE) / PAGE_SIZE;
                        for offset in 0..piece.leaves as u64 * piece.size.frames() {
                            model.insert(
                                first + offset,
                                (piece.frame.add(offset), piece.size, protection),
                            );
                        }
                    }
                }
                (Err(MapError::AlreadyMapped { address }), Some(taken)) => {
                    prop_assert!(address <= page(taken))
                }
                (Err(MapError::AlreadyMapped { .. }), None) if largest != PageSize::Size4K => {}
                (result, taken) => {
                    prop_assert!(false, "{:?}: {:?}, taken {:?}", operation, result, taken)
                }
            }
        }
        Operation::MapRuns(start, runs, protection) => {
            let pages = runs.iter().map(|run| run.1).sum();
            let listed = runs.iter().map(|&(frame, frames)| (Pfn(frame), frames));
            let result = table.vacate(page(start), pages, tables).map(|vacant| {
                let mapping = vacant.map_owned((), listed.clone(), protection);
                assert_eq!((mapping.start(), mapping.pages()), (page(start), pages));
            });
            let taken = (start..start + pages).find(|number| model.contains_key(number));
            prop_assert_eq!(
                result,
                taken.map_or(Ok(()), |at| Err(MapError::AlreadyMapped {
                    address: page(at)
                }))
            );
            if taken.is_none() {
                let frames = listed
                    .flat_map(|(frame, frames)| (0..frames).map(move |offset| frame.add(offset)));
                for (number, frame) in (start..).zip(frames) {
                    model.insert(number, (frame, PageSize::Size4K, protection));
                }
            }
        }
        Operation::Unmap(start, pages) => {
            let result = table.unmap(page(start), pages);
            match obstacle(model, start, pages) {
                Some(error) => prop_assert_eq!(result, Err(error)),
                None => {
                    result.unwrap().flush(tlb);
                    model.retain(|&number, _| number < start || number >= start + pages);
                }
            }
        }
        Operation::Protect(start, pages, protection) => {
            let result = table.protect(page(start), pages, protection);
            match obstacle(model, start, pages) {
                Some(error) => prop_assert_eq!(result, Err(error)),
                None => {
                    result.unwrap().flush(tlb);
                    model
                        .range_mut(start..start + pages)
                        .for_each(|(_, mapped)| mapped.2 = protection);
                }
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 100 }))]

    #[test]
    fn agrees_with_a_map_of_pages(operations in prop::collection::vec(operations(), 1..24)) {
        let arena = Arena::new(40);
        let cache = ModelTlb::default();
        let tlb = Tlb::new(&cache, 33);
        let (mut table, mut tables) = table(&arena);
        let mut model = Model::new();
        for operation in &operations {
            step(&mut table, &mut tables, &tlb, &mut model, operation)?;
            for number in (0..1600).step_by(if cfg!(miri) { 97 } else { 1 }) {
                let found = table.translate(VirtAddr(page(number).0 + 5));
                let found = found.map(|found| (found.address, found.size, found.protection));
                let expected = model
                    .get(&number)
                    .map(|&(frame, size, protection)| (PhysAddr(frame.address().0 + 5), size, protection));
                prop_assert_eq!(found, expected, "page {}", number);
                prop_assert!(cache.access(&table, page(number)).is_ok(), "stale translation of page {}", number);
            }
            let mut leaves = Model::new();
            table.for_each_leaf(|address, leaf| {
                let first = (address.0 - BASE) / PAGE_SIZE;
                for offset in 0..leaf.size.frames() {
                    leaves.insert(first + offset, (leaf.address.frame().add(offset), leaf.size, leaf.protection));
                }
            });
            prop_assert_eq!(&leaves, &model);
        }
    }
}

#[test]
fn the_largest_leaves_that_fit_are_taken() {
    let arena = Arena::new(40);
    let (mut table, mut tables) = table(&arena);
    let start = VirtAddr(0xffff_8880_0000_0000);
    // 1 GiB + 2 MiB + 1 page, from physical 0.
    let pages = (1 << 18) + 512 + 1;
    table
        .map(
            start,
            Pfn(0),
            pages,
            Protection::READ_WRITE,
            PageSize::Size1G,
            &mut tables,
        )
        .unwrap();
    let mut sizes = Vec::new();
    table.for_each_leaf(|_, leaf| sizes.push(leaf.size));
    assert_eq!(
        sizes,
        [PageSize::Size1G, PageSize::Size2M, PageSize::Size4K]
    );
    // A frame that is not aligned like its address gets small leaves.
    let other = VirtAddr(0xffff_9000_0000_0000);
    table
        .map(
            other,
            Pfn(1),
            1024,
            Protection::READ_WRITE,
            PageSize::Size1G,
            &mut tables,
        )
        .unwrap();
    assert_eq!(
        table.translate(VirtAddr(other.0 + MIB2)).unwrap().size,
        PageSize::Size4K
    );
}

#[test]
fn a_range_that_is_none_is_refused() {
    let arena = Arena::new(40);
    let (mut table, mut tables) = table(&arena);
    let mut map = |start, pages| {
        let start = VirtAddr(start);
        table.map(
            start,
            Pfn(0),
            pages,
            Protection::READ_WRITE,
            PageSize::Size4K,
            &mut tables,
        )
    };
    for (start, pages) in [
        (0xffff_8000_0000_0000, 0),
        (0xffff_8000_0000_0000, u64::MAX),
        (0xffff_ffff_ffff_f000, 2),
        (0x0000_7fff_ffff_f000, 2),
        (0x0000_8000_0000_0000, 1),
    ] {
        let range = RangeError::NotCanonical {
            address: VirtAddr(start),
            pages,
        };
        assert_eq!(map(start, pages), Err(MapError::Range(range)), "{start:#x}");
    }
    let range = RangeError::Misaligned {
        address: VirtAddr(0x1001),
    };
    assert_eq!(map(0x1001, 1), Err(MapError::Range(range)));
    // The very last page, and the last of the lower half, are fine.
    assert_eq!(map(0xffff_ffff_ffff_f000, 1), Ok(()));
    assert_eq!(map(0x0000_7fff_ffff_f000, 1), Ok(()));
}

#[test]
fn without_a_frame_for_a_table_nothing_is_mapped() {
    for available in 0..=5 {
        let arena = Arena::new(40);
        let (mut table, _) = table(&arena);
        let mut tables = Tables {
            next: Pfn(1),
            end: Pfn(1 + available),
        };
        // Two PTs in two PDs under one PDPT: five tables.
        let result = table.map(
            page(510),
            Pfn(0x1000),
            4,
            Protection::READ_WRITE,
            PageSize::Size4K,
            &mut tables,
        );
        assert_eq!(result.is_ok(), available == 5);
        let mut leaves = 0;
        table.for_each_leaf(|_, _| leaves += 1);
        assert_eq!(
            leaves,
            if available == 5 { 4 } else { 0 },
            "{available} tables"
        );
    }
}

/// The model TLB has teeth: a flush that is left out is found.
#[test]
fn a_missing_flush_is_found() {
    let arena = Arena::new(40);
    let cache = ModelTlb::default();
    let (mut table, mut tables) = table(&arena);
    table
        .map(
            page(0),
            Pfn(0x1000),
            1,
            Protection::READ_WRITE,
            PageSize::Size4K,
            &mut tables,
        )
        .unwrap();
    assert_eq!(cache.access(&table, page(0)), Ok(Some(Pfn(0x1000))));
    let pending = table.unmap(page(0), 1).unwrap();
    assert_eq!(cache.access(&table, page(0)), Err(Stale(page(0))));
    pending.flush(&Tlb::new(&cache, 33));
    assert_eq!(cache.access(&table, page(0)), Ok(None));
}
