//! Owners side by side: none edits what is another's, and what they share stays whole while they edit at the same time.

use std::thread;

use super::*;
use crate::mm::model::SharedArena;

const START: VirtAddr = VirtAddr(HALF + GIB - 2 * MIB2);

fn at(page: u64) -> VirtAddr {
    VirtAddr(START.0 + page * PAGE_SIZE)
}

/// Pages, in a known PD and out of one, of which the owner has all but the first or the last; and some that it has none of.
#[test]
fn no_edit_reaches_beyond_the_owner_s_addresses() {
    let arena = Arena::new(ARENA);
    let (mut all, mut tables) = table(&arena, Levels::Four, 40);
    let (protection, size) = (Protection::READ_WRITE, PageSize::Size4K);
    all.map(
        START,
        Pfn(4096)..Pfn(4096 + 1536),
        protection,
        size,
        &mut tables,
    )
    .unwrap();
    // From the middle of one PT to the middle of the one behind the next, in another PD.
    let (first, pages) = (400, 700);
    let _ = all.unmap(at(first), pages).unwrap();
    let mut below = all;
    let mut owned = below.split_off(at(first));
    let above = owned.split_off(at(first + pages));
    assert_eq!((owned.start(), owned.pages()), (at(first), pages));
    assert_eq!(above.start(), at(first + pages));
    for known in [false, true] {
        for (start, pages) in [
            (first - 1, 1),
            (first - 1, 2),
            (first + pages - 1, 2),
            (first + pages, 1),
            (first - 1, pages + 1),
            (first, pages + 1),
            (0, 512),
            (512, 1024),
        ] {
            if known {
                for page in [first, first + 699] {
                    let frame = Pfn(7)..Pfn(8);
                    owned
                        .map(at(page), frame, protection, size, &mut NoTables)
                        .unwrap();
                    let _ = owned.unmap(at(page), 1).unwrap();
                }
            }
            let before = words(&arena);
            let address = at(start);
            let error = RangeError::NotOwned { address, pages };
            let changed = Err(ChangeError::Range(error));
            let frames = Pfn(9)..Pfn(9 + pages);
            assert_eq!(
                owned.map(address, frames.clone(), protection, size, &mut NoTables),
                Err(MapError::Range(error))
            );
            assert_eq!(owned.unmap(address, pages), changed);
            assert_eq!(owned.protect(address, pages, Protection::READ), changed);
            assert_eq!(owned.remap(address, frames), changed);
            assert_eq!(owned.harvest(address, pages, |_, _| {}), changed);
            assert_eq!(owned.release_tables(address, pages), Err(error));
            assert_eq!(words(&arena), before, "{start} {pages}");
        }
    }
    let outside = at(first - 1);
    assert_eq!(owned.translate(outside), below.translate(outside));
    // Joined again, in order alone.
    let Err(above) = below.join(above) else {
        panic!("they do not begin where these end");
    };
    assert!(below.join(owned).is_ok());
    assert!(below.join(above).is_ok());
    let frames = Pfn(4096)..Pfn(4096 + pages);
    below
        .map(at(first), frames, protection, size, &mut NoTables)
        .unwrap();
    validate(&below);
}

#[test]
fn a_large_leaf_is_split_and_collapsed_by_who_owns_all_of_it() {
    let arena = Arena::new(ARENA);
    let (mut low, mut tables) = table(&arena, Levels::Four, 40);
    let (start, size) = (VirtAddr(HALF), PageSize::Size2M);
    low.map(
        start,
        Pfn(512)..Pfn(1024),
        Protection::READ,
        size,
        &mut tables,
    )
    .unwrap();
    let middle = VirtAddr(HALF + 5 * PAGE_SIZE);
    let mut high = low.split_off(middle);
    let address = middle;
    let refused = Err(ResizeError::NotOwned { address, size });
    assert_eq!(high.split(middle, &mut tables), refused);
    assert!(low.join(high).is_ok());
    drop(low.split(middle, &mut tables).unwrap());
    let high = low.split_off(middle);
    let refused = ResizeError::NotOwned {
        address: start,
        size,
    };
    assert_eq!(low.collapse(start, size), Err(refused));
    assert!(low.join(high).is_ok());
    drop(low.collapse(start, size).unwrap());
    assert_eq!(leaves(&low).len(), 1);
}

/// Frames of a thread.
struct Frames<'m> {
    memory: &'m SharedArena,
    free: Vec<Pfn>,
}

impl TableFrames for Frames<'_> {
    fn allocate_tables(&mut self, count: u64) -> Option<Tables> {
        let mut tables = Tables::NONE;
        for _ in 0..count {
            // SAFETY: the frame is zero and the thread's.
            unsafe { tables.push(self.free.pop()?, &self.memory) };
        }
        Some(tables)
    }

    fn give_back(&mut self, mut tables: Tables) {
        // SAFETY: the frames came from here.
        while let Some(frame) = unsafe { tables.pop(&self.memory) } {
            self.free.push(frame);
        }
    }
}

/// Each thread maps and unmaps pages between those of the others, from the first table on: each table is installed once, none is
/// lost, and the counts are those of the entries in the end.
#[test]
fn owners_of_neighbouring_pages_edit_at_the_same_time() {
    const THREADS: usize = 3;
    const EACH: u64 = 4;
    const PAGES: u64 = 40;
    let rounds = if cfg!(miri) { 2 } else { 300 };
    for _ in 0..if cfg!(miri) { 1 } else { 40 } {
        let memory = SharedArena::new(1 + THREADS as u64 * EACH);
        let tree = memory.page_table();
        // SAFETY: as above.
        let mut rest = unsafe { tree.own(START, 512) };
        let unused: usize = thread::scope(|scope| {
            let mut threads = Vec::new();
            for thread in 0..THREADS as u64 {
                // The threads' pages, one range behind the other.
                let mut owned = rest;
                rest = owned.split_off(at((thread + 1) * PAGES));
                let memory = &memory;
                threads.push(scope.spawn(move || {
                    let first = 1 + thread * EACH;
                    let free = (first..first + EACH).map(Pfn).collect();
                    let mut tables = Frames { memory, free };
                    let (protection, size) = (Protection::READ, PageSize::Size4K);
                    for round in 0..rounds {
                        for page in 0..PAGES {
                            let pages = (1 + (page + round) % 3).min(PAGES - page);
                            let start = at(thread * PAGES + page);
                            let frames = Pfn(page)..Pfn(page + pages);
                            owned
                                .map(start, frames, protection, size, &mut tables)
                                .unwrap();
                            drop(owned.unmap(start, pages).unwrap());
                            // One in four stays at last.
                            if page % 4 == 3 && round + 1 == rounds {
                                let frame = Pfn(page)..Pfn(page + 1);
                                owned
                                    .map(start, frame, protection, size, &mut tables)
                                    .unwrap();
                            }
                        }
                    }
                    tables.free.len()
                }));
            }
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum()
        });
        let count = tree.count_tables();
        assert_eq!(
            [1, 2, 3, 4].map(|level| count.of_level(level)),
            [1, 1, 1, 1]
        );
        assert_eq!(unused as u64, THREADS as u64 * EACH - 3, "a table is lost");
        let mut mapped = 0;
        tree.for_each_leaf(|_, _| mapped += 1);
        assert_eq!(mapped, THREADS as u64 * PAGES / 4);
        // SAFETY: the threads are gone.
        let mut owned = unsafe { tree.own(START, 512) };
        owned.go_to_pd(START, 1).unwrap();
        assert_eq!(owned.pt_at_hand(START, 1).unwrap().live.get(), mapped);
    }
}
