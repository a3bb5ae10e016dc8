//! The allocator behind its lock: single operations do what the allocator does, and CPUs that race for the last frames stop at the
//! same mark as one alone.

use std::thread;

use super::*;

const FRAMES: u64 = 512;
const RANGES: [FrameRange; 1] = [Pfn(0)..Pfn(FRAMES)];

fn shared<B: Buddy>(storage: &mut Storage) -> SharedFrames<'_, B> {
    SharedFrames::new(FrameAllocator::new(&RANGES, &ONE_ZONE, storage.metadata()).unwrap())
}

fn what_is_freed_is_free<B: Buddy>() {
    let mut storage = Storage::new::<B>(&RANGES, &ONE_ZONE);
    let frames = shared::<B>(&mut storage);
    let free = || frames.lock().free_frames();
    for exponent in [0, 3, 9] {
        let size = 1 << exponent;
        for door in 0..3 {
            let block = frames.alloc_pages(ALL, order(exponent)).unwrap();
            let (pfn, order) = (block.pfn(), block.order());
            assert_eq!((free(), order.frames()), (FRAMES - size, size));
            match door {
                0 => frames.free(block).unwrap(),
                1 => frames.free_pages(block.into_raw().0, order).unwrap(),
                _ => frames.free_pages_slowly(block.into_raw().0, order).unwrap(),
            }
            assert_eq!(free(), FRAMES);
            assert_eq!(
                frames.free_pages(pfn, order),
                Err(FreeError::AlreadyFree { pfn })
            );
            frames.lock().validate().unwrap();
        }
    }
}

#[test]
fn a_block_that_is_freed_is_free() {
    what_is_freed_is_free::<InDescriptor>();
    what_is_freed_is_free::<PairBitmap>();
}

#[test]
fn a_list_counts_the_blocks_that_it_is_given() {
    let mut storage = Storage::new::<InDescriptor>(&RANGES, &ONE_ZONE);
    let mut frames: FrameAllocator<'_> =
        FrameAllocator::new(&RANGES, &ONE_ZONE, storage.metadata()).unwrap();
    let mut list = BlockList::EMPTY;
    let mut expected = (0, 0);
    let mut pushed = Vec::new();
    for exponent in [2, 0, 5, 0] {
        let block = frames.alloc_pages(ALL, order(exponent)).unwrap();
        pushed.push((block.pfn(), block.order()));
        frames.push(&mut list, block).unwrap();
        expected = (expected.0 + 1, expected.1 + (1 << exponent));
        assert_eq!((list.blocks(), list.frames()), expected);
        assert_eq!(frames.blocks(&list).collect::<Vec<_>>(), pushed);
    }
    let first = frames.pop(&mut list).unwrap();
    assert_eq!((first.pfn(), first.order()), pushed[0]);
    assert_eq!(
        (list.blocks(), list.frames()),
        (expected.0 - 1, expected.1 - 4)
    );
    frames.free(first).unwrap();
    frames.free_list(list).unwrap();
    assert_eq!(frames.free_frames(), FRAMES);
    frames.validate().unwrap();
}

/// The watermark is looked at under the lock: as many frames stay as one CPU alone would leave.
#[test]
fn cpus_that_race_for_the_last_frames_leave_the_reserve() {
    let rounds = if cfg!(miri) { 1 } else { 50 };
    let alone = {
        let mut storage = Storage::new::<InDescriptor>(&RANGES, &ONE_ZONE);
        let frames = shared::<InDescriptor>(&mut storage);
        while let Ok(block) = frames.alloc_pages(Gfp::KERNEL, Order::ZERO) {
            let _ = block.into_raw();
        }
        frames.into_inner().free_frames()
    };
    assert!(alone > 0);
    for round in 0..rounds {
        let mut storage = Storage::new::<InDescriptor>(&RANGES, &ONE_ZONE);
        let frames = shared::<InDescriptor>(&mut storage);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while let Ok(block) = frames.alloc_pages(Gfp::KERNEL, Order::ZERO) {
                        let _ = block.into_raw();
                    }
                });
            }
        });
        let frames = frames.into_inner();
        assert_eq!(frames.free_frames(), alone, "round {round}");
        frames.validate().unwrap();
    }
}
