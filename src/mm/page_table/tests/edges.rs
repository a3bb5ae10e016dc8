//! What a range of one kind shows and another hides: ranges that end where a table ends, that have leaves of several sizes, or
//! that find a table in the middle of large leaves. Each is looked at by the CPU's walk, which knows nothing of what the table
//! remembers.

use super::*;
use crate::mm::tlb::PendingFlush;

/// Frames of memory that nobody reads.
const FRAME: Pfn = Pfn(1 << 20);
/// Pages of 2 MiB and of 1 GiB.
const LARGE: u64 = PageSize::Size2M.frames();
const HUGE: u64 = PageSize::Size1G.frames();

fn at(page: u64) -> VirtAddr {
    VirtAddr(HALF + page * PAGE_SIZE)
}

/// Frames for `pages` pages from `FRAME` on, the first `first` of them left out.
fn frames(first: u64, pages: u64) -> core::ops::Range<Pfn> {
    FRAME.add(first)..FRAME.add(first + pages)
}

fn map(
    table: &mut OwnedRange<&Arena>,
    tables: &mut ArenaTables<'_>,
    page: u64,
    frames: core::ops::Range<Pfn>,
    largest: PageSize,
) {
    let protection = Protection::READ_WRITE;
    table
        .map(at(page), frames, protection, largest, tables)
        .unwrap();
}

/// The frame and the leaf's size that the CPU finds for a page.
fn found(table: &OwnedRange<&Arena>, page: u64) -> Option<(Pfn, PageSize)> {
    let leaf = table.walk(at(page)).1?;
    Some((leaf.address.frame(), leaf.size()))
}

/// A flush of these pages.
fn owed(page: u64, pages: u64, size: PageSize) -> PendingFlush {
    PendingFlush::new(at(page), pages, size)
}

#[test]
fn a_range_of_several_sizes_owes_pages_of_the_smallest() {
    let arena = Arena::new(ARENA);
    let pages = HUGE + LARGE + 1;
    for edit in 0..4 {
        let (mut table, mut tables) = table(&arena, Levels::Four, 40);
        map(
            &mut table,
            &mut tables,
            0,
            frames(0, pages),
            PageSize::Size1G,
        );
        let size = |page| found(&table, page).unwrap().1;
        assert_eq!(
            [size(0), size(HUGE), size(pages - 1)],
            [PageSize::Size1G, PageSize::Size2M, PageSize::Size4K]
        );
        let protection = Protection::READ;
        let (small, large) = match edit {
            0 => (
                table.protect(at(0), pages, protection),
                table.protect(at(0), pages - 1, protection),
            ),
            1 => (
                table.harvest(at(0), pages, |_, _| ()),
                table.harvest(at(0), pages - 1, |_, _| ()),
            ),
            2 => (
                table.remap(at(0), frames(HUGE, pages)),
                table.remap(at(0), frames(0, pages - 1)),
            ),
            _ => (table.unmap(at(HUGE), LARGE + 1), table.unmap(at(0), HUGE)),
        };
        let expected = match edit {
            3 => (
                owed(HUGE, LARGE + 1, PageSize::Size4K),
                owed(0, 1, PageSize::Size1G),
            ),
            _ => (
                owed(0, pages, PageSize::Size4K),
                owed(0, 513, PageSize::Size2M),
            ),
        };
        assert_eq!((small.unwrap(), large.unwrap()), expected, "edit {edit}");
        // The next one begins with nothing.
        for frame in 0..ARENA {
            // SAFETY: nobody reads the arena meanwhile.
            unsafe { arena.zero(Pfn(frame)) };
        }
    }
}

/// The first page behind a PD that is remembered is not in it, nor is a range that ends one page behind it.
#[test]
fn a_range_that_ends_behind_the_known_pd_reaches_the_next() {
    let arena = Arena::new(ARENA);
    for first in [HUGE - 2, HUGE - LARGE - 1, HUGE - 1, HUGE] {
        let pages = HUGE + 1 - first;
        let (mut table, mut tables) = table(&arena, Levels::Four, 40);
        // Each operation begins with the lower PD, and its first and last PT, known.
        let know =
            |table: &mut OwnedRange<&Arena>| table.protect(at(0), 1, Protection::READ).unwrap();
        map(&mut table, &mut tables, 0, frames(7, 1), PageSize::Size4K);
        let _ = know(&mut table);
        map(
            &mut table,
            &mut tables,
            first,
            frames(first, pages),
            PageSize::Size4K,
        );
        let expect = |table: &OwnedRange<&Arena>, ahead: u64| {
            for page in [first, HUGE - 1, HUGE] {
                let frame = frames(first.max(page) + ahead, 1).start;
                assert_eq!(
                    found(table, first.max(page)),
                    Some((frame, PageSize::Size4K))
                );
            }
            assert_eq!(found(table, 0), Some((FRAME.add(7), PageSize::Size4K)));
            assert_eq!(found(table, HUGE + 1), None);
            assert_eq!(found(table, HUGE - LARGE - 2), None);
            validate(table);
        };
        expect(&table, 0);
        let flush = owed(first, pages, PageSize::Size4K);
        let _ = know(&mut table);
        assert_eq!(
            table.remap(at(first), frames(first + 3, pages)),
            Ok(owed(first, pages, PageSize::Size4K))
        );
        expect(&table, 3);
        let _ = know(&mut table);
        assert_eq!(table.protect(at(first), pages, Protection::READ), Ok(flush));
        for page in [first, HUGE] {
            assert!(!table.walk(at(page)).1.unwrap().protection().is_writable());
        }
        let _ = know(&mut table);
        let mut used = Vec::new();
        let _ = table
            .harvest(at(first), pages, |address, _| used.push(address))
            .unwrap();
        assert_eq!(used, (first..HUGE + 1).map(at).collect::<Vec<_>>());
        let _ = know(&mut table);
        let again = table.map(
            at(first),
            frames(0, pages),
            Protection::READ,
            PageSize::Size4K,
            &mut NoTables,
        );
        assert_eq!(again, Err(MapError::AlreadyMapped { address: at(first) }));
        let _ = know(&mut table);
        assert_eq!(
            table.unmap(at(first), pages),
            Ok(owed(first, pages, PageSize::Size4K))
        );
        assert_eq!(
            [first, HUGE - 1, HUGE].map(|page| found(&table, page)),
            [None; 3]
        );
        let _ = know(&mut table);
        let frames = frames(first, pages);
        let mapping = table
            .map_owned(
                at(first),
                (),
                frames,
                Protection::READ,
                PageSize::Size4K,
                &mut NoTables,
            )
            .unwrap();
        let _ = know(&mut table);
        assert_eq!(
            table.unmap_borrowed(mapping),
            Ok(owed(first, pages, PageSize::Size4K))
        );
        assert_eq!(
            [first, HUGE - 1, HUGE].map(|page| found(&table, page)),
            [None; 3]
        );
        assert_eq!(found(&table, 0), Some((FRAME.add(7), PageSize::Size4K)));
        validate(&table);
        for frame in 0..ARENA {
            // SAFETY: nobody reads the arena meanwhile.
            unsafe { arena.zero(Pfn(frame)) };
        }
    }
}

/// Where a table of earlier mappings stands, even an empty one, there is no leaf; before and behind it there are.
#[test]
fn leaves_are_written_around_a_table_that_stands_among_them() {
    // The first page of the range, how many, in which leaves; and the leaf in whose place a table stands.
    for (first, leaves, size, occupied) in [
        (0, 4, PageSize::Size1G, 2),
        (0, 4, PageSize::Size1G, 1),
        (HUGE - 2 * LARGE, 4, PageSize::Size2M, 1),
        (HUGE - 2 * LARGE, 5, PageSize::Size2M, 3),
        (0, 3, PageSize::Size2M, 1),
        (0, 3, PageSize::Size2M, 2),
    ] {
        let arena = Arena::new(ARENA);
        let (mut table, mut tables) = table(&arena, Levels::Four, 40);
        let step = size.frames();
        let there = first + occupied * step;
        map(
            &mut table,
            &mut tables,
            there + 5,
            frames(0, 1),
            PageSize::Size4K,
        );
        let _ = table.unmap(at(there + 5), 1).unwrap();
        let before = table.count_tables();
        map(
            &mut table,
            &mut tables,
            first,
            frames(0, leaves * step),
            size,
        );
        for leaf in 0..leaves {
            let page = first + leaf * step;
            let smaller = match size {
                PageSize::Size1G => PageSize::Size2M,
                _ => PageSize::Size4K,
            };
            let (frame, found) = found(&table, page + 7).unwrap();
            assert_eq!(frame, FRAME.add(leaf * step + 7), "{size:?} {leaf}");
            let expected = if leaf == occupied { smaller } else { size };
            // A PT stands in the first entry of the PD that is in a leaf's place.
            let expected = match (leaf == occupied, size) {
                (true, PageSize::Size1G) => PageSize::Size4K,
                _ => expected,
            };
            assert_eq!(found, expected, "{size:?} {leaf} of {leaves}");
        }
        assert_eq!(found(&table, first + leaves * step), None);
        assert_eq!(table.count_tables().of_level(1), before.of_level(1));
        validate(&table);
        let _ = table.unmap(at(first), leaves * step).unwrap();
        assert_eq!(table.walk(at(there + 5)).1, None);
        validate(&table);
    }
}

/// In a PD that is known, in one that is not, and in two.
#[test]
fn large_leaves_are_written_and_get_other_frames_wherever_they_lie() {
    for (first, leaves, known) in [
        (0, 1, true),
        (LARGE, 3, true),
        (HUGE - 2 * LARGE, 2, false),
        (HUGE - LARGE, 2, true),
    ] {
        let arena = Arena::new(ARENA);
        let (mut table, mut tables) = table(&arena, Levels::Four, 40);
        map(
            &mut table,
            &mut tables,
            HUGE / 2,
            frames(1, 1),
            PageSize::Size4K,
        );
        if !known {
            map(
                &mut table,
                &mut tables,
                5 * HUGE,
                frames(1, 1),
                PageSize::Size4K,
            );
        }
        let pages = leaves * LARGE;
        map(
            &mut table,
            &mut tables,
            first,
            frames(0, pages),
            PageSize::Size2M,
        );
        let expect = |table: &OwnedRange<&Arena>, ahead: u64| {
            for page in (0..pages).step_by(LARGE as usize / 2) {
                let frame = FRAME.add(page + ahead);
                assert_eq!(found(table, first + page), Some((frame, PageSize::Size2M)));
            }
            assert_eq!(found(table, first + pages), None);
        };
        expect(&table, 0);
        let _ = table.protect(at(first), LARGE, Protection::READ).unwrap();
        let pending = table.remap(at(first), frames(8 * LARGE, pages));
        assert_eq!(pending, Ok(owed(first, leaves, PageSize::Size2M)));
        expect(&table, 8 * LARGE);
        // Each leaf keeps its protection.
        for leaf in 0..leaves {
            let protection = table.walk(at(first + leaf * LARGE)).1.unwrap().protection();
            assert_eq!(protection.is_writable(), leaf > 0);
        }
        // Frames that are no aligned blocks are refused, the last ones, too, and nothing has changed.
        let wrong = [frames(8 * LARGE + 1, pages), frames(1, pages)];
        for frames in wrong {
            let address = at(first);
            let size = PageSize::Size2M;
            assert_eq!(
                table.remap(at(first), frames),
                Err(ChangeError::NoBlock { address, size })
            );
        }
        expect(&table, 8 * LARGE);
    }
}

/// What the CPU has set in a leaf before its protection changes is not lost: it counts as used.
#[test]
fn a_page_whose_protection_changes_counts_as_used() {
    let arena = Arena::new(ARENA);
    let (mut table, mut tables) = table(&arena, Levels::Four, 40);
    for (first, pages, size) in [
        (0, 1, PageSize::Size4K),
        (0, 40, PageSize::Size4K),
        (LARGE - 3, 7, PageSize::Size4K),
        (2 * LARGE, LARGE, PageSize::Size2M),
        (HUGE - LARGE, 2 * LARGE, PageSize::Size2M),
    ] {
        map(&mut table, &mut tables, first, frames(0, pages), size);
        let usage = |table: &mut OwnedRange<&Arena>| {
            let mut all = Vec::new();
            let _ = table
                .harvest(at(first), pages, |_, usage| {
                    all.push((usage.accessed, usage.dirty))
                })
                .unwrap();
            all
        };
        let used = usage(&mut table);
        assert!(used.iter().all(|&used| used == (true, true)), "{used:?}");
        let unused = usage(&mut table);
        assert!(
            unused.iter().all(|&used| used == (false, false)),
            "{unused:?}"
        );
        for protection in [Protection::READ, Protection::READ_WRITE] {
            let _ = table.protect(at(first), pages, protection).unwrap();
            assert_eq!(usage(&mut table), used);
        }
        let _ = table.unmap(at(first), pages).unwrap();
    }
}
