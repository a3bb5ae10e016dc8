//! The cache of tables: each is all zeros when it comes out, and the marks hold.

use proptest::prelude::*;

use super::*;
use crate::mm::model::ModelTlb;
use crate::mm::tlb::Tlb;

fn is_zero(arena: &Arena, frame: Pfn) -> bool {
    let words = (0..PAGE_SIZE).step_by(8);
    words
        .map(|at| arena.read(PhysAddr(frame.address().0 + at)))
        .all(|word| word == 0)
}

/// Takes a chain apart.
fn frames(arena: &Arena, mut tables: Tables) -> Vec<Pfn> {
    let mut frames = Vec::new();
    // SAFETY: the chain's frames are the arena's.
    while let Some(frame) = unsafe { tables.pop(&arena) } {
        frames.push(frame);
    }
    assert_eq!(tables, Tables::NONE);
    frames
}

fn chain(arena: &Arena, frames: impl IntoIterator<Item = Pfn>) -> Tables {
    let mut tables = Tables::NONE;
    for frame in frames {
        // SAFETY: the frame is all zeros and the test's.
        unsafe { tables.push(frame, &arena) };
    }
    tables
}

#[test]
fn the_cache_is_trimmed_from_above_the_high_mark_to_the_low_one() {
    type Cache<'a> = TableCache<&'a Arena>;
    let arena = Arena::new(128);
    // SAFETY: all tables are the arena's.
    let mut cache = unsafe { Cache::new(&arena) };
    for frame in 0..Cache::HIGH {
        assert_eq!(cache.put(chain(&arena, [Pfn(frame)])), Tables::NONE);
    }
    assert_eq!(cache.count(), Cache::HIGH);
    let excess = cache.put(chain(&arena, [Pfn(100)]));
    assert_eq!(
        (cache.count(), excess.count()),
        (Cache::LOW, Cache::HIGH + 1 - Cache::LOW)
    );
    for frame in frames(&arena, excess) {
        assert!(is_zero(&arena, frame), "{frame:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 256 }))]

    #[test]
    fn what_comes_out_was_put_in_and_is_all_zeros(
        steps in prop::collection::vec((any::<bool>(), 0u64..60), 1..30),
    ) {
        let arena = Arena::new(256);
        // SAFETY: all tables are the arena's.
        let mut cache = unsafe { TableCache::new(&arena) };
        let mut outside: Vec<Pfn> = (0..256).map(Pfn).collect();
        for (put, count) in steps {
            let out = if put {
                let at = outside.len().saturating_sub(count as usize);
                cache.put(chain(&arena, outside.split_off(at)))
            } else {
                cache.take(count)
            };
            for frame in frames(&arena, out) {
                prop_assert!(is_zero(&arena, frame));
                prop_assert!(!outside.contains(&frame));
                outside.push(frame);
            }
            prop_assert_eq!(outside.len() as u64 + cache.count(), 256);
            prop_assert!(cache.count() <= TableCache::<&Arena>::HIGH);
        }
    }
}

#[test]
fn a_cached_table_that_holds_an_entry_is_found_by_its_frame_number() {
    let arena = Arena::new(128);
    for (frames, dirty, word) in [
        (&[9][..], 9, 0),
        (&[9], 9, 511),
        (&[3, 5, 9], 3, 1),
        (&[3, 5, 9], 5, 511),
        (&[3, 5, 9], 9, 300),
    ] {
        // SAFETY: all tables are the arena's.
        let mut cache = unsafe { TableCache::new(&arena) };
        assert_eq!(cache.validate(), Ok(()));
        let chain = chain(&arena, frames.iter().copied().map(Pfn));
        assert_eq!(cache.put(chain), Tables::NONE);
        assert_eq!(cache.validate(), Ok(()));
        let entry = PhysAddr(Pfn(dirty).address().0 + word * 8);
        let before = arena.read(entry);
        arena.write(entry, 0x5003);
        let frame = Pfn(dirty);
        assert_eq!(cache.validate(), Err(TablesError::NotZero { frame }));
        arena.write(entry, before);
        assert_eq!(cache.validate(), Ok(()));
        for frame in frames {
            // SAFETY: the test's alone.
            unsafe { arena.zero(Pfn(*frame)) };
        }
    }
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "still holds an entry")]
fn a_table_that_holds_an_entry_enters_no_chain() {
    let arena = Arena::new(16);
    arena.write(PhysAddr(Pfn(7).address().0 + 511 * 8), 0x5003);
    let _ = chain(&arena, [Pfn(7)]);
}

#[test]
fn a_root_is_given_back_only_when_it_has_no_entry() {
    let arena = Arena::new(16);
    let pages = Levels::Four.pages_of_root_entry();
    assert_eq!(pages * PAGE_SIZE, 512 << 30);
    let start = VirtAddr(0xffff_8880_0000_0000);
    let built = || {
        let mut table = arena.owned_range();
        let frames = Pfn(8)..Pfn(9);
        table
            .map(
                start,
                frames,
                Protection::READ,
                PageSize::Size4K,
                &mut arena.tables(3),
            )
            .unwrap();
        assert_eq!(table.count_tables().total(), 4);
        assert_eq!(
            [1, 2, 3, 4, 5].map(|level| table.count_tables().of_level(level)),
            [1, 1, 1, 1, 0]
        );
        assert_eq!(table.count_tables().of_level(0), 0);
        let _ = table.unmap(start, 1).unwrap();
        table
    };
    let release = |table: &mut OwnedRange<_>, pages| {
        // SAFETY: there is no other root.
        let alone = unsafe { NoOtherRoot::promise() };
        let pending = table.release_tables_of_root(start, pages, alone).unwrap();
        frames(&arena, pending.flush(&Tlb::new(&ModelTlb::default(), 33))).len()
    };
    // What the root leads to stays, unless its owner takes it; and so it does of as many addresses as a PD maps.
    let mut table = built();
    let pending = table.release_tables(start, pages).unwrap();
    assert_eq!(
        frames(&arena, pending.flush(&Tlb::new(&ModelTlb::default(), 33))).len(),
        2
    );
    assert_eq!(table.count_tables().of_level(3), 1);
    assert_eq!(release(&mut table, pages), 1);
    let mut table = built();
    assert_eq!(release(&mut table, pages / 512), 2);
    // SAFETY: no CPU walks there.
    let refused = unsafe { table.into_root() };
    assert_eq!(refused, Err(NotEmpty { address: start }));
    arena.write(PhysAddr(273 * 8), 0);
    // SAFETY: the test's alone.
    unsafe { arena.zero(Pfn(3)) };
    let mut table = built();
    assert_eq!(release(&mut table, pages), 3);
    // SAFETY: no CPU walks there.
    let root = unsafe { table.into_root() }.unwrap();
    assert_eq!(frames(&arena, root), [Pfn(0)]);
}
