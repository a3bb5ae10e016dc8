//! Every point at which frames can run out: with `k` frames free, for every `k`, what fails takes nothing with it.

use std::vec::Vec;

use super::*;

const FRAMES: u64 = if cfg!(miri) { 64 } else { 2048 };
/// More than are ever free.
const ENOUGH: u64 = if cfg!(miri) { 4 } else { 40 };

/// Runs `work` on a zone with `free` single frames free, no two of them buddies, and checks that it left them so.
fn with_free<B: Buddy>(free: usize, work: impl Fn(&SharedFrames<'_, B>)) {
    let ranges = [Pfn(0)..Pfn(FRAMES)];
    let mut storage = Storage::new::<B>(&ranges, &ONE_ZONE);
    let mut allocator = FrameAllocator::<B>::new(&ranges, &ONE_ZONE, storage.metadata()).unwrap();
    for _ in 0..FRAMES {
        let _ = allocator.alloc_page(ALL).unwrap().into_raw();
    }
    for pfn in (0..FRAMES).step_by(2).take(free) {
        allocator.free_pages(Pfn(pfn), Order::ZERO).unwrap();
    }
    let shared = SharedFrames::new(allocator);
    work(&shared);
    let allocator = shared.into_inner();
    allocator.validate().unwrap();
    assert_eq!(allocator.free_frames(), free as u64);
}

fn check<B: Buddy>() {
    for free in 0..ENOUGH as usize {
        with_free::<B>(free, |shared| {
            let mut frames = shared.lock();
            for wanted in 1..ENOUGH {
                match frames.alloc_bulk(ALL, wanted, Order::MAX) {
                    Ok(list) => {
                        assert!(wanted <= free as u64);
                        frames.free_list(list).unwrap();
                    }
                    Err(error) => {
                        let available = free as u64;
                        assert!(wanted > available);
                        assert_eq!(
                            error,
                            BulkError {
                                frames: wanted,
                                available
                            }
                        );
                    }
                }
            }
            let error = AllocError::OutOfFrames { order: order(1) };
            assert_eq!(frames.alloc_pages(ALL, order(1)), Err(error));
        });
        with_free::<B>(free, |shared| {
            let mut cache = FrameCache::<Batched>::new(shared, 1);
            let frames: Vec<_> = iter::from_fn(|| cache.alloc_page(shared, ALL).ok()).collect();
            assert_eq!(frames.len(), free);
            for frame in frames {
                cache.free(shared, frame).unwrap();
            }
            cache.drain(shared);
        });
        with_free::<B>(free, |shared| {
            let mut cache = FrameCache::<HotCold>::new(shared, 1);
            let frames: Vec<_> =
                iter::from_fn(|| cache.alloc_page(shared, ALL | Gfp::COLD).ok()).collect();
            assert_eq!(frames.len(), free);
            for frame in frames {
                cache.free(shared, frame).unwrap();
            }
            cache.drain(shared);
        });
    }
}

#[test]
fn todays_rule_loses_nothing() {
    check::<InDescriptor>();
}

#[test]
fn the_books_rule_loses_nothing() {
    check::<PairBitmap>();
}
