//! What fails changes nothing, at whichever point it fails.

use super::*;
use crate::mm::model::{ModelTlb, Stale};
use crate::mm::tlb::{Pcid, Switch, Tlb};

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

/// A mapping that owns no frames is not looked at entry by entry, but none of its PTs may have fewer entries than it has pages.
#[test]
fn a_borrowed_mapping_that_is_gone_comes_back() {
    let arena = Arena::new(ARENA);
    let (mut table, mut tables) = table(&arena, Levels::Four, 40);
    let (protection, size) = (Protection::READ_WRITE, PageSize::Size4K);
    // Ten pages before the border of two PTs and ten behind it, and one beside them.
    let start = VirtAddr(HALF + MIB2 - 10 * PAGE_SIZE);
    let frames = Pfn(5)..Pfn(25);
    let mapping = table
        .map_owned(start, (), frames, protection, size, &mut tables)
        .unwrap();
    let beside = VirtAddr(start.0 - PAGE_SIZE);
    table
        .map(beside, Pfn(4)..Pfn(5), protection, size, &mut tables)
        .unwrap();
    let border = VirtAddr(HALF + MIB2);
    drop(table.unmap(border, 1).unwrap());
    let before = words(&arena);
    let (error, mapping) = table.unmap_borrowed(mapping).unwrap_err();
    assert_eq!(error, ChangeError::NotMapped { address: border });
    assert_eq!(words(&arena), before);
    table
        .map(border, Pfn(15)..Pfn(16), protection, size, &mut tables)
        .unwrap();
    drop(table.unmap_borrowed(mapping).unwrap());
    validate(&table);
    let left: Vec<_> = leaves(&table).iter().map(|&(address, _)| address).collect();
    assert_eq!(left, [beside]);
}

/// A table that has an entry never leaves the tree, whatever its count says.
#[test]
fn a_pt_whose_count_is_wrong_stays() {
    let arena = Arena::new(ARENA);
    let (mut table, mut tables) = table(&arena, Levels::Four, 40);
    let (start, size) = (VirtAddr(HALF), PageSize::Size4K);
    table
        .map(start, Pfn(5)..Pfn(6), Protection::READ, size, &mut tables)
        .unwrap();
    let count = |table: &mut OwnedRange<&Arena>, change: fn(PresentCount<'_>)| {
        table.go_to_pd(start, 1).unwrap();
        change(table.pt_at_hand(start, 1).unwrap().live);
    };
    count(&mut table, |live| live.sub(1));
    let released = table.release_tables(start, 512).unwrap();
    assert_eq!(released.waiting().count(), 0);
    count(&mut table, |live| live.add(1));
    assert_eq!(leaves(&table).len(), 1);
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
    assert_eq!(cache.access(&table, start), Err(Stale::Translation(start)));
    pending.flush(&Tlb::new(&cache, 33));
    assert_eq!(cache.access(&table, start), Ok(None));
}

/// So is one that paging-structure caches alone need, however many levels of tables go.
#[test]
fn a_missing_flush_of_tables_is_found() {
    for (pages, gone) in [(512, 1), (1 << 18, 2), (1 << 27, 3)] {
        let arena = Arena::new(ARENA);
        let cache = ModelTlb::default();
        let tlb = Tlb::new(&cache, u64::MAX);
        let (mut table, mut tables) = table(&arena, Levels::Four, 40);
        let (start, size) = (VirtAddr(HALF), PageSize::Size4K);
        table
            .map(start, Pfn(5)..Pfn(6), Protection::READ, size, &mut tables)
            .unwrap();
        table.unmap(start, 1).unwrap().flush(&tlb);
        assert_eq!(cache.access(&table, start), Ok(None));
        // SAFETY: there is no other root.
        let alone = unsafe { NoOtherRoot::promise() };
        let pending = table.release_tables_of_root(start, pages, alone).unwrap();
        assert_eq!(pending.waiting().count(), gone);
        let access = cache.access(&table, start);
        assert!(matches!(access, Err(Stale::Table { .. })), "{access:?}");
        let _ = pending.flush(&tlb);
        assert_eq!(cache.access(&table, start), Ok(None));
    }
}

/// Maps what one leaf of 2 MiB can map instead, from `HALF` and frame 512 on.
fn map_a_large_leafs_pages(table: &mut OwnedRange<&Arena>, tables: &mut ArenaTables<'_>) {
    let (frames, size) = (Pfn(512)..Pfn(1024), PageSize::Size4K);
    table
        .map(VirtAddr(HALF), frames, Protection::READ, size, tables)
        .unwrap();
}

/// And that of the table that a collapse put out of work, by pages that no CPU has a translation of.
#[test]
fn a_missing_flush_of_a_collapse_is_found() {
    let arena = Arena::new(ARENA);
    let cache = ModelTlb::default();
    let (mut table, mut tables) = table(&arena, Levels::Four, 40);
    let (start, second) = (VirtAddr(HALF), VirtAddr(HALF + PAGE_SIZE));
    map_a_large_leafs_pages(&mut table, &mut tables);
    assert_eq!(cache.access(&table, start), Ok(Some(Pfn(512))));
    let pending = table.collapse(start, PageSize::Size2M).unwrap();
    let access = cache.access(&table, second);
    assert!(matches!(access, Err(Stale::Table { .. })), "{access:?}");
    let _ = pending.flush(&Tlb::new(&cache, 33));
    assert_eq!(cache.access(&table, second), Ok(Some(Pfn(513))));
}

/// The table that a collapse put out of work is nowhere known any more, not even under a PCID that was not in force when it went.
#[test]
fn a_collapse_is_flushed_for_in_every_context() {
    let arena = Arena::new(ARENA);
    let cache = ModelTlb::default();
    let (mut table, mut tables) = table(&arena, Levels::Four, 40);
    let (start, second) = (VirtAddr(HALF), VirtAddr(HALF + PAGE_SIZE));
    map_a_large_leafs_pages(&mut table, &mut tables);
    assert_eq!(cache.access(&table, start), Ok(Some(Pfn(512))));
    cache.switch(0, Switch::Flush(Pcid(1)));
    let pending = table.collapse(start, PageSize::Size2M).unwrap();
    // With room for all of its pages.
    let _ = pending.flush(&Tlb::new(&cache, 512));
    cache.switch(0, Switch::Keep(Pcid(0)));
    assert_eq!(cache.access(&table, second), Ok(Some(Pfn(513))));
}
