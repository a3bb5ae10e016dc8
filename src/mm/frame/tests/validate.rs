//! The walk must find every kind of damage, or its silence elsewhere means nothing.

use super::super::descriptor::{FREE, NOT_A_HEAD, free_word};
use super::*;

/// Frames of the zone, and the hole in it.
const END: u64 = if cfg!(miri) { 128 } else { 2048 };
const HOLE: core::ops::Range<u64> = if cfg!(miri) { 100..110 } else { 1000..1010 };

/// What the walk finds after `damage` to a zone with a hole, in which frames 0 and 1 alone are allocated: 2 leads a free block
/// of order 1, 4 one of order 2.
fn found<B: Buddy>(damage: impl Fn(&mut FrameAllocator<'_, B>)) -> Option<Inconsistency> {
    let ranges = [Pfn(0)..Pfn(HOLE.start), Pfn(HOLE.end)..Pfn(END)];
    let mut storage = Storage::new::<B>(&ranges, &ONE_ZONE);
    let mut allocator = FrameAllocator::new(&ranges, &ONE_ZONE, storage.metadata()).unwrap();
    while allocator.free_frames() > 0 {
        let _ = allocator.alloc_page(ALL).unwrap().into_raw();
    }
    for pfn in (2..HOLE.start).chain(HOLE.end..END) {
        allocator.free_pages(Pfn(pfn), Order::ZERO).unwrap();
    }
    allocator.validate().unwrap();
    damage(&mut allocator);
    allocator.validate().err()
}

fn set<B: Buddy>(allocator: &FrameAllocator<'_, B>, index: usize, word: u64) {
    let table = allocator.zones[0].lists.table;
    table.get(index).unwrap().set(word);
}

fn check<B: Buddy>() {
    macro_rules! assert_found {
        ($damage:expr, $pattern:pat $(if $guard:expr)?) => {
            let found = found::<B>($damage);
            assert!(matches!(found, Some($pattern) $(if $guard)?), "{found:?}");
        };
    }
    use Inconsistency as I;
    // On a list, and not free or not of its order.
    assert_found!(|a| set(a, 2, ALLOCATED | 1), I::List { order: 1, .. });
    assert_found!(|a| set(a, 4, FREE), I::List { order: 2, .. });
    // In no block; in one that overlaps the next, or is larger than any.
    assert_found!(|a| set(a, 0, NOT_A_HEAD), I::Tiling { pfn: Pfn(0) });
    assert_found!(|a| set(a, 1, ALLOCATED | 1), I::Tiling { pfn: Pfn(1) });
    assert_found!(|a| set(a, 0, ALLOCATED | 1), I::Tiling { pfn: Pfn(1) });
    assert_found!(|a| set(a, 0, ALLOCATED | 11), I::Tiling { pfn: Pfn(0) });
    // In the hole.
    assert_found!(
        |a| set(a, HOLE.start as usize, ALLOCATED),
        I::Tiling {
            pfn: Pfn(pfn)
        } if pfn == HOLE.start
    );
    // Free, and on no list; free side by side.
    assert_found!(
        |a| {
            set(a, 0, free_word(0, 0));
            set(a, 1, free_word(0, 0));
        },
        I::Pair { order: 0, .. }
    );
    assert_found!(|a| a.zones[0].lists.above_low += 1, I::FreeFrames { .. });
    assert_found!(
        |a| {
            // The list loses its only block, and does not know.
            set(a, 2, ALLOCATED);
            set(a, 3, ALLOCATED);
        },
        I::List { .. }
    );
}

#[test]
fn todays_rule() {
    check::<InDescriptor>();
    let lone = found::<InDescriptor>(|allocator| set(allocator, 0, free_word(0, 0)));
    assert!(
        matches!(lone, Some(Inconsistency::Blocks { order: 0, .. })),
        "{lone:?}"
    );
}

#[test]
fn the_books_rule() {
    check::<PairBitmap>();
    // The bit of the pair 0, 1 says that neither or both are free.
    let lone = found::<PairBitmap>(|allocator| set(allocator, 0, free_word(0, 0)));
    assert!(
        matches!(lone, Some(Inconsistency::Pair { order: 0, .. })),
        "{lone:?}"
    );
}
