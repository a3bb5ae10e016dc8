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
    let sizes: Vec<PageSize> = leaves(&table).iter().map(|(_, leaf)| leaf.size()).collect();
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
    assert_eq!(leaf.size(), PageSize::Size4K);
}

/// What a map of `pages` pages at `start` says.
fn map(table: &mut OwnedRange<&Arena>, start: u64, pages: u64) -> Result<(), MapError> {
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

/// In the PD that is remembered ranges are checked without a walk.
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
    let before = words(&arena);
    for offset in [1, 8, PAGE_SIZE / 2, PAGE_SIZE - 1, PAGE_SIZE + 1] {
        let address = VirtAddr(start.0 + offset);
        let error = RangeError::Misaligned { address };
        let refused = Err(ChangeError::Range(error));
        let mapped = map(&mut table, address.0, 1);
        assert_eq!(mapped, Err(MapError::Range(error)), "{offset}");
        assert_eq!(table.unmap(address, 1), refused, "{offset}");
        assert_eq!(table.protect(address, 1, protection), refused, "{offset}");
        assert_eq!(table.remap(address, Pfn(6)..Pfn(7)), refused, "{offset}");
        let harvested = table.harvest(address, 1, |_, _| panic!("{offset}: no leaf starts here"));
        assert_eq!(harvested, refused, "{offset}");
        assert_eq!(words(&arena), before, "{offset}");
    }
}

/// One page at a time, on both sides of both ends of a PT: each edit is of its own page.
#[test]
fn a_page_beside_the_pt_that_is_known_is_not_in_it() {
    let arena = Arena::new(ARENA);
    let (mut table, mut tables) = table(&arena, Levels::Four, 40);
    let size = PageSize::Size4K;
    let pages = [511, 512, 1023, 1024].map(|number| VirtAddr(HALF + number * PAGE_SIZE));
    let frame = |number: u64| Pfn(0x1000 + number)..Pfn(0x1001 + number);
    // The PT in the middle is known first.
    for number in [1, 0, 2, 3] {
        table
            .map(
                pages[number],
                frame(number as u64),
                Protection::READ,
                size,
                &mut tables,
            )
            .unwrap();
        validate(&table);
    }
    for (number, &start) in pages.iter().enumerate() {
        // Any other page's PT is known.
        for &other in pages.iter().filter(|&&other| other != start) {
            let before = leaves(&table);
            drop(table.protect(other, 1, Protection::READ).unwrap());
            assert_eq!(leaves(&table), before);
            drop(table.remap(start, frame(number as u64 + 8)).unwrap());
            let expected = Translation::new(
                frame(number as u64 + 8).start.address(),
                size,
                Protection::READ,
            );
            assert_eq!(table.translate(start), Some(expected));
            let others = |leaves: Vec<(VirtAddr, Translation)>| {
                let others = leaves.into_iter().filter(|&(address, _)| address != start);
                others.collect::<Vec<_>>()
            };
            assert_eq!(others(leaves(&table)), others(before));
            drop(table.remap(start, frame(number as u64)).unwrap());
        }
    }
    for start in pages {
        drop(table.unmap(start, 1).unwrap());
        validate(&table);
        assert_eq!(table.translate(start), None);
        let absent = ChangeError::NotMapped { address: start };
        assert_eq!(table.unmap(start, 1), Err(absent));
        assert_eq!(table.protect(start, 1, Protection::READ), Err(absent));
        assert_eq!(table.remap(start, frame(0)), Err(absent));
        assert_eq!(table.harvest(start, 1, |_, _| {}), Err(absent));
    }
    assert_eq!(leaves(&table), []);
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
