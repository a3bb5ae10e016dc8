//! Ranges that are none, and the choice of the largest leaf.

use super::*;

#[test]
fn the_largest_leaves_that_fit_are_taken() {
    let arena = Arena::new(ARENA);
    let (mut table, mut tables) = table(&arena, Levels::Four, 40);
    let protection = Protection::READ_WRITE;
    // 1 GiB + 2 MiB + 1 page, from physical 0.
    let frames = Pfn(0)..Pfn((1 << 18) + 512 + 1);
    table
        .map(
            VirtAddr(HALF),
            frames,
            protection,
            PageSize::Size1G,
            &mut tables,
        )
        .unwrap();
    let sizes: Vec<PageSize> = leaves(&table).iter().map(|(_, leaf)| leaf.size).collect();
    assert_eq!(
        sizes,
        [PageSize::Size1G, PageSize::Size2M, PageSize::Size4K]
    );
    // A frame that is not aligned like its address gets small leaves.
    let other = VirtAddr(HALF + 2 * GIB);
    let frames = Pfn(1)..Pfn(1025);
    table
        .map(other, frames, protection, PageSize::Size1G, &mut tables)
        .unwrap();
    let leaf = table.translate(VirtAddr(other.0 + MIB2)).unwrap();
    assert_eq!(leaf.size, PageSize::Size4K);
}

/// What a map of `pages` pages at `start` says.
fn map(table: &mut PageTable<&Arena>, start: u64, pages: u64) -> Result<(), MapError> {
    let arena = Arena::new(1);
    let mut none = ArenaTables {
        arena: &arena,
        next: Pfn(0),
        end: Pfn(0),
    };
    let (protection, size) = (Protection::READ_WRITE, PageSize::Size4K);
    table.map(
        VirtAddr(start),
        Pfn(0)..Pfn(pages),
        protection,
        size,
        &mut none,
    )
}

#[test]
fn a_range_that_is_none_is_refused() {
    let arena = Arena::new(ARENA);
    for (levels, start, pages) in [
        (Levels::Four, 0xffff_8000_0000_0000, 0),
        (Levels::Four, 0xffff_8000_0000_0000, u64::MAX),
        (Levels::Four, 0xffff_ffff_ffff_f000, 2),
        (Levels::Four, 0x0000_7fff_ffff_f000, 2),
        (Levels::Four, 0x0000_8000_0000_0000, 1),
        (Levels::Four, 0xff00_0000_0000_0000, 1),
        (Levels::Five, 0xff00_0000_0000_0000, 0),
        (Levels::Five, 0xffff_ffff_ffff_f000, 2),
        (Levels::Five, 0x00ff_ffff_ffff_f000, 2),
        (Levels::Five, 0x0100_0000_0000_0000, 1),
    ] {
        let (mut table, _) = table(&arena, levels, 0);
        let address = VirtAddr(start);
        let error = RangeError::NotCanonical { address, pages };
        assert_eq!(
            map(&mut table, start, pages),
            Err(MapError::Range(error)),
            "{start:#x}"
        );
        assert_eq!(
            table.unmap(address, pages),
            Err(ChangeError::Range(error)),
            "{start:#x}"
        );
        assert_eq!(table.translate(VirtAddr(0x0100_0000_0000_0000)), None);
    }
    let (mut table, _) = table(&arena, Levels::Four, 0);
    let address = VirtAddr(0x1001);
    let error = RangeError::Misaligned { address };
    assert_eq!(map(&mut table, 0x1001, 1), Err(MapError::Range(error)));
    assert_eq!(table.unmap(address, 1), Err(ChangeError::Range(error)));
}

/// In a PT that is remembered ranges are checked without a walk.
#[test]
fn a_range_that_is_none_is_refused_where_a_pt_is_known() {
    let arena = Arena::new(ARENA);
    let (mut table, mut tables) = table(&arena, Levels::Four, 40);
    let start = VirtAddr(0xffff_ffff_ffff_e000);
    let (protection, size) = (Protection::READ_WRITE, PageSize::Size4K);
    table
        .map(start, Pfn(5)..Pfn(6), protection, size, &mut tables)
        .unwrap();
    for (address, pages) in [(start.0 + 0x1000, 2), (start.0, 0), (start.0, u64::MAX)] {
        let address = VirtAddr(address);
        let error = RangeError::NotCanonical { address, pages };
        assert_eq!(
            map(&mut table, address.0, pages),
            Err(MapError::Range(error))
        );
        assert_eq!(
            table.protect(address, pages, Protection::READ),
            Err(ChangeError::Range(error))
        );
    }
    let address = VirtAddr(start.0 + 8);
    let error = RangeError::Misaligned { address };
    assert_eq!(table.unmap(address, 1), Err(ChangeError::Range(error)));
}

#[test]
fn the_last_pages_of_both_halves_are_fine() {
    let arena = Arena::new(ARENA);
    for (levels, lower) in [
        (Levels::Four, 0x0000_7fff_ffff_f000),
        (Levels::Five, 0x00ff_ffff_ffff_f000),
    ] {
        let arena = Arena::new(ARENA);
        let (mut table, mut tables) = table(&arena, levels, 40);
        for start in [lower, 0xffff_ffff_ffff_f000] {
            let start = VirtAddr(start);
            let (protection, size) = (Protection::READ, PageSize::Size4K);
            table
                .map(start, Pfn(7)..Pfn(8), protection, size, &mut tables)
                .unwrap();
            assert_eq!(table.translate(start).unwrap().address, PhysAddr(0x7000));
            assert!(leaves(&table).iter().any(|&(address, _)| address == start));
        }
    }
    drop(arena);
}
