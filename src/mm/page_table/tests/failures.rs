//! What fails changes nothing, at whichever point it fails.

use super::*;
use crate::mm::model::{ModelTlb, Stale};
use crate::mm::tlb::Tlb;

/// The k-th table cannot be had, for every k: no word of any table has changed.
#[test]
fn without_a_frame_for_a_table_nothing_changes() {
    for levels in [Levels::Four, Levels::Five] {
        // Two PTs in two PDs under one PDPT, and with five levels a PML4.
        let needed = levels as u64 + 1;
        for available in 0..=needed {
            let arena = Arena::new(ARENA);
            let (mut table, mut tables) = table(&arena, levels, available);
            let start = VirtAddr(HALF + GIB - 2 * PAGE_SIZE);
            let (protection, size) = (Protection::READ_WRITE, PageSize::Size4K);
            let before = words(&arena);
            let result = table.map(
                start,
                Pfn(0x1000)..Pfn(0x1004),
                protection,
                size,
                &mut tables,
            );
            if available < needed {
                let out = MapError::OutOfTables {
                    address: start,
                    tables: needed,
                };
                assert_eq!(result, Err(out), "{available} tables");
                assert_eq!(tables.next, Pfn(1), "{available} tables");
                assert_eq!(words(&arena), before, "{available} tables");
            } else {
                assert_eq!(result, Ok(()));
                assert_eq!(leaves(&table).len(), 4);
            }
        }
    }
}

/// The frames come back with the error.
#[test]
fn the_backing_of_a_mapping_that_fails_comes_back() {
    let arena = Arena::new(ARENA);
    let (mut table, mut tables) = table(&arena, Levels::Four, 40);
    let start = VirtAddr(HALF);
    let (protection, size) = (Protection::READ_WRITE, PageSize::Size4K);
    let mapping = table
        .map_owned(start, 'a', Pfn(5)..Pfn(6), protection, size, &mut tables)
        .unwrap();
    let second = table.map_owned(start, 'b', Pfn(6)..Pfn(7), protection, size, &mut tables);
    let taken = MapError::AlreadyMapped { address: start };
    assert_eq!(second, Err((taken, 'b')));
    drop(table.unmap(start, 1).unwrap());
    let absent = ChangeError::NotMapped { address: start };
    let (error, mapping) = table.unmap_owned(mapping).unwrap_err();
    assert_eq!((error, mapping.backing()), (absent, &'a'));
}

/// The model TLB has teeth: a flush that is left out is found.
#[test]
fn a_missing_flush_is_found() {
    let arena = Arena::new(ARENA);
    let cache = ModelTlb::default();
    let (mut table, mut tables) = table(&arena, Levels::Four, 40);
    let start = VirtAddr(HALF);
    let (protection, size) = (Protection::READ_WRITE, PageSize::Size4K);
    table
        .map(
            start,
            Pfn(0x1000)..Pfn(0x1001),
            protection,
            size,
            &mut tables,
        )
        .unwrap();
    assert_eq!(cache.access(&table, start), Ok(Some(Pfn(0x1000))));
    let pending = table.unmap(start, 1).unwrap();
    assert_eq!(cache.access(&table, start), Err(Stale(start)));
    pending.flush(&Tlb::new(&cache, 33));
    assert_eq!(cache.access(&table, start), Ok(None));
}
