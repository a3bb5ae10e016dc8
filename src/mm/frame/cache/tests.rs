//! Tests of the caches: exact points of refill and return, and frames that are never lost.

use super::super::tests::{ONE_ZONE, Storage};
use super::super::{InDescriptor, WIDE};
use super::rule::ROOM;
use super::*;
use crate::mm::frame::{FrameAllocator, SharedFrames};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::vec::Vec;

const MIB: u64 = 256;

#[test]
fn the_figures_of_both_generations() {
    for (mib, batch, low, high) in [
        (64, 4, 8, 24),
        (256, 16, 32, 96),
        (4096, 16, 32, 96),
        (1, 1, 2, 6),
    ] {
        let hot = Rule {
            low,
            high,
            highest: high,
            batch,
            doublings: 0,
        };
        assert_eq!(Rule::hot(mib * MIB), hot, "{mib} MiB");
        let high = 2 * batch;
        let cold = Rule {
            low: 0,
            high,
            highest: high,
            batch,
            doublings: 0,
        };
        assert_eq!(Rule::cold(mib * MIB), cold, "{mib} MiB");
    }
    for (mib, batch, high, highest) in [
        (1, 1, 40, 40),
        (47, 1, 188, ROOM),
        (64, 3, 256, ROOM),
        (128, 7, 510, ROOM),
        (256, 15, 510, ROOM),
        (512, 31, 510, ROOM),
        (1024, 63, 510, ROOM),
        (8192, 63, 510, ROOM),
    ] {
        let modern = Rule {
            low: 0,
            high,
            highest,
            batch,
            doublings: 5,
        };
        assert_eq!(Rule::modern(mib * MIB, 1), modern, "{mib} MiB");
    }
    // Four CPUs: a quarter of the low mark each, but no less than four batches.
    assert_eq!(Rule::modern(256 * MIB, 4).high, 127);
    assert_eq!(Rule::modern(1024 * MIB, 4).high, 4 * 63);
}

fn with_cache<P: CachePolicy, R>(
    test: impl for<'a, 'm> FnOnce(&'a SharedFrames<'m>, &'a mut FrameCache<'m, P>) -> R,
) -> R {
    with_cache_over(64 * MIB, test)
}

fn with_cache_over<P: CachePolicy, R>(
    frames: u64,
    test: impl for<'a, 'm> FnOnce(&'a SharedFrames<'m>, &'a mut FrameCache<'m, P>) -> R,
) -> R {
    let ranges = [Pfn(0)..Pfn(frames)];
    let mut storage = Storage::new::<InDescriptor>(&ranges, &ONE_ZONE);
    let allocator = FrameAllocator::new(&ranges, &ONE_ZONE, storage.metadata()).unwrap();
    let allocator = SharedFrames::new(allocator);
    let mut cache = FrameCache::new(&allocator, 1);
    let result = test(&allocator, &mut cache);
    cache.drain(&allocator);
    assert_eq!(cache.frames(), 0);
    allocator.lock().validate().unwrap();
    result
}

#[test]
fn hot_lists_are_refilled_and_emptied_at_their_marks() {
    with_cache::<HotCold, _>(|allocator, cache| {
        // 64 MiB: batch 4, low 8, high 24. Up to 8 frames on the list each request takes a batch and gives out one.
        let mut lengths = Vec::new();
        let mut blocks = Vec::new();
        for _ in 0..6 {
            blocks.push(cache.alloc_page(allocator, Gfp::KERNEL).unwrap());
            lengths.push(cache.frames());
        }
        assert_eq!(lengths, [3, 6, 9, 8, 11, 10]);
        // The cold list starts empty, and takes one batch at a time.
        blocks.push(
            cache
                .alloc_page(allocator, Gfp::KERNEL | Gfp::COLD)
                .unwrap(),
        );
        assert_eq!(cache.frames(), 13);
        while cache.frames() < 27 {
            let block = allocator.lock().alloc_page(Gfp::KERNEL).unwrap();
            cache.free(allocator, block).unwrap();
        }
        // 24 hot ones: the next free gives four back first.
        cache.free(allocator, blocks.pop().unwrap()).unwrap();
        assert_eq!(cache.frames(), 24);
        for block in blocks {
            cache.free(allocator, block).unwrap();
        }
    });
}

#[test]
fn the_later_list_grows_with_demand_and_shrinks_when_the_zone_is_short() {
    with_cache::<Batched, _>(|allocator, cache| {
        allocator.lock().bring_to_life();
        // 64 MiB: batch 3, high 256. Each batch taken raises the mark by itself.
        let mut blocks: Vec<_> = (0..285)
            .map(|_| cache.alloc_page(allocator, Gfp::KERNEL).unwrap())
            .collect();
        assert_eq!(cache.frames(), 0);
        for block in blocks.drain(..) {
            cache.free(allocator, block).unwrap();
        }
        assert_eq!(cache.frames(), 285);
        // Nothing is left above the low mark but what the list holds; the first free that overflows gives all of it back.
        let mut blocks = Vec::new();
        let mut rest: Vec<_> = (0..300)
            .map(|_| allocator.lock().alloc_page(Gfp::KERNEL).unwrap())
            .collect();
        for order in (0..=Order::MAX.get()).rev().filter_map(Order::new) {
            while let Ok(block) = allocator.lock().alloc_pages(Gfp::KERNEL, order) {
                blocks.push(block);
            }
        }
        let mut most = 0;
        while let Some(block) = rest.pop() {
            let before = cache.frames();
            cache.free(allocator, block).unwrap();
            if cache.frames() < before {
                most = before;
                break;
            }
        }
        assert_eq!((most, cache.frames()), (256 + 285, 1));
        for block in rest {
            cache.free(allocator, block).unwrap();
        }
        for block in blocks {
            allocator.lock().free(block).unwrap();
        }
    });
}

#[test]
fn the_later_batches_double_in_a_run() {
    with_cache::<Batched, _>(|allocator, cache| {
        let mut blocks = Vec::new();
        let mut batches = Vec::new();
        while batches.len() < 8 {
            let before = cache.frames();
            blocks.push(cache.alloc_page(allocator, Gfp::KERNEL).unwrap());
            if before == 0 {
                batches.push(cache.frames() + 1);
            }
        }
        assert_eq!(batches, [3, 6, 12, 24, 48, 96, 96, 96]);
        // A batch given back ends the run, and begins one the other way. The mark stands at 256 + 381.
        while cache.frames() < 256 + 381 {
            let block = allocator.lock().alloc_page(Gfp::KERNEL).unwrap();
            cache.free(allocator, block).unwrap();
        }
        let mut batches = Vec::new();
        while batches.len() < 7 {
            let before = cache.frames();
            let block = allocator.lock().alloc_page(Gfp::KERNEL).unwrap();
            cache.free(allocator, block).unwrap();
            if cache.frames() <= before {
                batches.push(before + 1 - cache.frames());
            }
        }
        assert_eq!(batches, [3, 6, 12, 24, 48, 96, 96]);
        while cache.frames() > 0 {
            blocks.push(cache.alloc_page(allocator, Gfp::KERNEL).unwrap());
        }
        blocks.push(cache.alloc_page(allocator, Gfp::KERNEL).unwrap());
        assert_eq!(cache.frames(), 2);
        for block in blocks {
            cache.free(allocator, block).unwrap();
        }
    });
}

#[test]
fn what_was_freed_last_is_given_out_first() {
    with_cache::<Batched, _>(|allocator, cache| {
        let [first, second] = [(); 2].map(|()| cache.alloc_page(allocator, Gfp::KERNEL).unwrap());
        let (first_frame, second_frame) = (first.pfn(), second.pfn());
        cache.free(allocator, first).unwrap();
        cache.free(allocator, second).unwrap();
        let [third, fourth] = [(); 2].map(|()| cache.alloc_page(allocator, Gfp::KERNEL).unwrap());
        assert_eq!((third.pfn(), fourth.pfn()), (second_frame, first_frame));
        cache.free(allocator, third).unwrap();
        cache.free(allocator, fourth).unwrap();
    });
}

#[test]
fn freeing_a_cached_frame_again_is_an_error() {
    with_cache::<Batched, _>(|allocator, cache| {
        let block = cache.alloc_page(allocator, Gfp::KERNEL).unwrap();
        let pfn = block.pfn();
        cache.free(allocator, block).unwrap();
        let frames = cache.frames();
        assert_eq!(
            allocator.lock().free_pages(pfn, Order::ZERO),
            Err(FreeError::AlreadyFree { pfn })
        );
        assert_eq!(cache.frames(), frames);
    });
}

fn order(order: u8) -> Order {
    Order::new(order).unwrap()
}

/// A list takes an eighth of what it holds, and gives as much back, whatever the order.
#[test]
fn blocks_come_and_go_a_few_at_a_time() {
    for (exponent, portion, most) in [(1, 4, 32), (2, 4, 32), (3, 4, 32), (9, 1, 2)] {
        with_cache::<Batched, _>(|allocator, cache| {
            let order = order(exponent);
            let block = cache.alloc_pages(allocator, Gfp::KERNEL, order).unwrap();
            assert_eq!(cache.frames() >> exponent, portion - 1, "order {exponent}");
            cache.free(allocator, block).unwrap();
            // A full list gives some back before it takes the next.
            let blocks: Vec<_> = (0..40)
                .map_while(|_| allocator.alloc_pages(Gfp::KERNEL, order).ok())
                .collect();
            let mut fullest = 0;
            for block in blocks {
                let before = cache.frames() >> exponent;
                cache.free(allocator, block).unwrap();
                let now = cache.frames() >> exponent;
                match before == most {
                    true => assert_eq!(now, most + 1 - portion),
                    false => assert_eq!(now, before + 1),
                }
                fullest = fullest.max(now);
            }
            assert_eq!(fullest, most, "order {exponent}");
            allocator.lock().validate().unwrap();
        });
    }
}

#[test]
fn a_cached_block_is_free_to_those_who_free_it_again() {
    with_cache::<Batched, _>(|allocator, cache| {
        for exponent in [1, 3, 9] {
            let order = order(exponent);
            let block = cache.alloc_pages(allocator, Gfp::KERNEL, order).unwrap();
            let (pfn, _) = block.into_raw();
            let wrong = cache.free_pages(allocator, pfn, Order::ZERO);
            let allocated = order;
            let expected = FreeError::WrongOrder {
                pfn,
                order: Order::ZERO,
                allocated,
            };
            assert_eq!(wrong, Err(expected));
            cache.free_pages(allocator, pfn, order).unwrap();
            let frames = cache.frames();
            let again = cache.free_pages(allocator, pfn, order);
            assert_eq!(again, Err(FreeError::AlreadyFree { pfn }));
            let inside = cache.free_pages(allocator, pfn.add(1), Order::ZERO);
            assert_eq!(inside, Err(FreeError::AlreadyFree { pfn: pfn.add(1) }));
            assert_eq!(cache.frames(), frames);
            let again = cache.alloc_pages(allocator, Gfp::KERNEL, order).unwrap();
            assert_eq!(again.pfn(), pfn, "what was freed last comes first");
            cache.free(allocator, again).unwrap();
        }
    });
}

/// Blocks on the lists of one order are to be had for another.
#[test]
fn what_the_lists_hold_is_given_back_before_a_request_fails() {
    with_cache::<Batched, _>(|allocator, cache| {
        let gfp = Gfp::KERNEL | Gfp::MEMALLOC;
        let all = allocator.lock().free_frames();
        let block = cache.alloc_pages(allocator, Gfp::KERNEL, order(3)).unwrap();
        cache.free(allocator, block).unwrap();
        assert!(cache.frames() > 0);
        let blocks: Vec<_> =
            core::iter::from_fn(|| cache.alloc_pages(allocator, gfp, order(10)).ok()).collect();
        assert_eq!(blocks.len() as u64, all >> 10);
        assert_eq!(cache.frames(), 0);
        for block in blocks {
            cache.free(allocator, block).unwrap();
        }
    });
}

/// On a zone that is too small for lists every block goes past them.
#[test]
fn a_small_zone_has_no_lists_of_blocks() {
    with_cache_over::<Batched, _>(1024, |allocator, cache| {
        let block = cache.alloc_pages(allocator, Gfp::KERNEL, order(9)).unwrap();
        cache.free(allocator, block).unwrap();
        assert_eq!(cache.frames(), 0);
    });
}

#[test]
fn the_last_frames_are_to_be_had_past_the_cache() {
    let frames = if cfg!(miri) { MIB } else { 64 * MIB };
    with_cache_over::<Batched, _>(frames, |allocator, cache| {
        let all = allocator.lock().free_frames();
        let gfp = Gfp::KERNEL | Gfp::MEMALLOC;
        let blocks: Vec<_> =
            core::iter::from_fn(|| cache.alloc_page(allocator, gfp).ok()).collect();
        assert_eq!(blocks.len() as u64, all);
        let different: BTreeSet<_> = blocks.iter().map(|block| block.pfn()).collect();
        assert_eq!(different.len(), blocks.len());
        for block in blocks {
            cache.free(allocator, block).unwrap();
        }
    });
}

#[test]
fn requests_for_other_zones_pass_by() {
    let ranges = [Pfn(0)..Pfn(64 * MIB)];
    let mut storage = Storage::new::<InDescriptor>(&ranges, &WIDE);
    let allocator = FrameAllocator::new(&ranges, &WIDE, storage.metadata()).unwrap();
    let allocator: SharedFrames<'_> = SharedFrames::new(allocator);
    let mut cache = FrameCache::<'_, HotCold>::new(&allocator, 1);
    let block = cache
        .alloc_page(&allocator, Gfp::KERNEL | Gfp::DMA)
        .unwrap();
    assert!(block.pfn() < Pfn(16 * MIB));
    cache.free(&allocator, block).unwrap();
    assert_eq!(cache.frames(), 0);
    allocator.lock().validate().unwrap();
}

fn churn<P: CachePolicy>(operations: &[(bool, bool, u8)]) {
    with_cache::<P, _>(|allocator, cache| {
        let before = allocator.lock().free_frames();
        let mut blocks: Vec<Block> = Vec::new();
        for &(alloc, cold, choice) in operations {
            if alloc || blocks.is_empty() {
                let gfp = if cold {
                    Gfp::KERNEL | Gfp::COLD
                } else {
                    Gfp::KERNEL
                };
                let block = cache.alloc_page(allocator, gfp).unwrap();
                assert!(
                    blocks.iter().all(|other| other.pfn() != block.pfn()),
                    "given out twice"
                );
                blocks.push(block);
            } else {
                let block = blocks.swap_remove(usize::from(choice) % blocks.len());
                cache.free(allocator, block).unwrap();
            }
            let held = (blocks.len() + cache.frames()) as u64;
            assert_eq!(allocator.lock().free_frames() + held, before);
        }
        for block in blocks {
            cache.free(allocator, block).unwrap();
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 64 }))]

    #[test]
    fn no_frame_is_lost_or_given_out_twice(operations in prop::collection::vec(any::<(bool, bool, u8)>(), 1..300)) {
        churn::<HotCold>(&operations);
        churn::<Batched>(&operations);
    }
}
