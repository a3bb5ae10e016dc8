//! Split and collapse, down from 1 GiB and back, and what refuses.

use super::*;
use crate::mm::hardware::TlbInvalidate;
use crate::mm::model::ModelTlb;
use crate::mm::tlb::Tlb;

const PROTECTION: Protection = Protection::READ.with_memory_type(MemoryType::WriteThrough);
const FRAME: Pfn = Pfn(1 << 18);

fn gib_leaf(arena: &Arena) -> (OwnedRange<&Arena>, ArenaTables<'_>) {
    let (mut table, mut tables) = table(arena, Levels::Four, 40);
    let frames = FRAME..FRAME.add(1 << 18);
    table
        .map(
            VirtAddr(HALF),
            frames,
            PROTECTION,
            PageSize::Size1G,
            &mut tables,
        )
        .unwrap();
    (table, tables)
}

/// Leaves of the sizes, which map the whole GiB as before.
fn expect_sizes(table: &OwnedRange<&Arena>, expected: [usize; 3]) {
    validate(table);
    let mut sizes = [0; 3];
    for (address, leaf) in leaves(table) {
        sizes[leaf.size() as usize] += 1;
        let offset = address.0 - HALF;
        assert_eq!(leaf.address.0, FRAME.address().0 + offset);
        assert_eq!(leaf.protection(), PROTECTION);
    }
    assert_eq!(sizes, expected);
}

#[test]
fn a_leaf_is_split_and_collapsed_again() {
    let arena = Arena::new(ARENA);
    let (mut table, mut tables) = gib_leaf(&arena);
    let cache = ModelTlb::default();
    let tlb = Tlb::new(&cache, 33);
    let inside = VirtAddr(HALF + 3 * MIB2 + 0x5123);
    let start = VirtAddr(HALF + 3 * MIB2);
    table.split(inside, &mut tables).unwrap().flush(&tlb);
    expect_sizes(&table, [0, 512, 0]);
    table.split(inside, &mut tables).unwrap().flush(&tlb);
    expect_sizes(&table, [512, 511, 0]);
    assert_eq!(
        table.split(inside, &mut tables),
        Err(ResizeError::Smallest { address: inside })
    );
    assert_eq!(
        table.collapse(VirtAddr(HALF), PageSize::Size1G),
        Err(ResizeError::NoContinuation { address: start })
    );
    // The PT is known from here on, and must be forgotten.
    table.protect(start, 1, PROTECTION).unwrap().flush(&tlb);
    let old = table.collapse(start, PageSize::Size2M).unwrap();
    let freed = table.clear(old.flush(&tlb));
    assert_eq!(freed.count(), 1);
    expect_sizes(&table, [0, 512, 0]);
    let old = table.collapse(VirtAddr(HALF), PageSize::Size1G).unwrap();
    let freed = table.clear(old.flush(&tlb));
    assert_eq!(freed.count(), 1);
    expect_sizes(&table, [0, 0, 1]);
    assert_eq!(
        table.unmap(start, 1),
        Err(ChangeError::CutsLeaf {
            address: start,
            size: PageSize::Size1G
        })
    );
}

#[test]
fn a_collapse_of_what_is_not_one_block_changes_nothing() {
    let arena = Arena::new(ARENA);
    let (mut table, mut tables) = table(&arena, Levels::Four, 40);
    let start = VirtAddr(HALF);
    let last = VirtAddr(HALF + 511 * PAGE_SIZE);
    let size = PageSize::Size4K;
    let none = Err(ResizeError::NotMapped { address: start });
    assert_eq!(table.collapse(start, PageSize::Size2M), none);
    // Not aligned.
    table
        .map(start, Pfn(1)..Pfn(513), PROTECTION, size, &mut tables)
        .unwrap();
    let refused = |table: &mut OwnedRange<&Arena>, address| {
        let before = words(&arena);
        let error = ResizeError::NoContinuation { address };
        assert_eq!(table.collapse(start, PageSize::Size2M), Err(error));
        assert_eq!(words(&arena), before);
    };
    refused(&mut table, start);
    // The last one elsewhere, with another protection, absent.
    drop(table.remap(start, Pfn(512)..Pfn(1023)).unwrap());
    refused(&mut table, last);
    drop(table.remap(last, Pfn(1023)..Pfn(1024)).unwrap());
    drop(table.protect(last, 1, Protection::READ).unwrap());
    refused(&mut table, last);
    drop(table.unmap(last, 1).unwrap());
    let absent = Err(ResizeError::NotMapped { address: last });
    assert_eq!(table.collapse(start, PageSize::Size2M), absent);
    let misaligned = ResizeError::Misaligned {
        address: last,
        size: PageSize::Size2M,
    };
    assert_eq!(table.collapse(last, PageSize::Size2M), Err(misaligned));
    // What was used does not matter: the leaf counts as used.
    table
        .map(last, Pfn(1023)..Pfn(1024), PROTECTION, size, &mut tables)
        .unwrap();
    drop(table.harvest(start, 5, |_, _| {}).unwrap());
    drop(table.collapse(start, PageSize::Size2M).unwrap());
    assert_eq!(leaves(&table).len(), 1);
}

/// A split keeps what the leaf was used for.
#[test]
fn a_split_leaf_was_used_as_the_large_one() {
    let arena = Arena::new(ARENA);
    let (mut table, mut tables) = gib_leaf(&arena);
    drop(table.harvest(VirtAddr(HALF), 1 << 18, |_, _| {}).unwrap());
    drop(table.split(VirtAddr(HALF), &mut tables).unwrap());
    let visit = |_, usage: Usage| assert!(!usage.accessed && !usage.dirty, "{usage:?}");
    drop(table.harvest(VirtAddr(HALF), 1 << 18, visit).unwrap());
}

#[test]
fn without_a_table_nothing_is_split() {
    let arena = Arena::new(ARENA);
    let (mut table, _) = gib_leaf(&arena);
    let before = words(&arena);
    let address = VirtAddr(HALF + 5);
    let out = Err(ResizeError::OutOfTables { address });
    assert_eq!(table.split(address, &mut NoTables), out);
    assert_eq!(words(&arena), before);
    let wild = VirtAddr(1 << 60);
    let wild_error = Err(ResizeError::NotCanonical { address: wild });
    assert_eq!(table.split(wild, &mut NoTables), wild_error);
}

/// Writes down what it is asked to flush; `None` is everything.
#[derive(Default)]
struct Recorder(core::cell::RefCell<Vec<Option<(VirtAddr, u64, PageSize)>>>);

impl TlbInvalidate for Recorder {
    fn flush_pages(&self, start: VirtAddr, pages: u64, size: PageSize) {
        self.0.borrow_mut().push(Some((start, pages, size)));
    }

    fn flush_all(&self) {
        self.0.borrow_mut().push(None);
    }
}

/// A split leaves the large translation behind, a collapse the small ones and, in every context, the way to the old table.
#[test]
fn what_is_flushed_is_what_was_cached() {
    let arena = Arena::new(ARENA);
    let (mut table, mut tables) = gib_leaf(&arena);
    let tlb = Tlb::new(Recorder::default(), 512);
    let at = VirtAddr(HALF + MIB2 + PAGE_SIZE);
    let start = VirtAddr(HALF + MIB2);
    table.split(at, &mut tables).unwrap().flush(&tlb);
    table.split(at, &mut tables).unwrap().flush(&tlb);
    let old = table.collapse(start, PageSize::Size2M).unwrap();
    let _ = table.clear(old.flush(&tlb));
    assert_eq!(
        *tlb.invalidate().0.borrow(),
        [
            Some((VirtAddr(HALF), 1, PageSize::Size1G)),
            Some((start, 1, PageSize::Size2M)),
            None,
        ]
    );
}
