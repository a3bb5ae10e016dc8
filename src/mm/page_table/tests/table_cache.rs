//! The cache of tables: each is all zeros when it comes out, and the marks hold.

use proptest::prelude::*;

use super::*;

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
