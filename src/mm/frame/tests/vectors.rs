//! The golden vectors of the book, and whole zones taken and given back.

use std::vec::Vec;

use proptest::prelude::*;

use super::*;

/// The book's zone: 1,024 frames, all alive, with orders 0 to 9.
fn vectors<B: Buddy>(check: impl Fn(&mut FrameAllocator<'_, B>)) {
    let ranges = [Pfn(0)..Pfn(1024)];
    let mut storage = Storage::new::<B>(&ranges, &ONE_ZONE);
    let mut allocator = FrameAllocator::new(&ranges, &ONE_ZONE, storage.metadata()).unwrap();
    allocator.bring_to_life();
    allocator.validate().unwrap();
    check(&mut allocator);
    allocator.validate().unwrap();
}

fn take<B: Buddy>(allocator: &mut FrameAllocator<'_, B>, orders: &[u8]) -> Vec<u64> {
    let blocks = orders.iter().map(|&n| allocator.alloc_pages(ALL, order(n)));
    blocks.map(|block| block.unwrap().into_raw().0.0).collect()
}

#[test]
fn vectors_of_the_book() {
    vectors::<PairBitmap>(|allocator| {
        let heads = allocator.zones[0].lists.blocks(9).collect::<Vec<_>>();
        assert_eq!(heads, [512, 0]);
        assert_eq!(
            take(allocator, &[0; 8]),
            [1023, 1022, 1021, 1020, 1019, 1018, 1017, 1016]
        );
        let info = allocator.buddy_info().next().unwrap();
        assert_eq!(info.blocks, [0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 0]);
        assert_eq!(info.free, 1016);
    });
    vectors::<PairBitmap>(|allocator| {
        assert_eq!(
            take(allocator, &[3, 0, 1, 2, 0]),
            [1016, 1015, 1012, 1008, 1014]
        );
    });
}

#[test]
fn vectors_of_the_later_rule() {
    vectors::<InDescriptor<9>>(|allocator| {
        let expected = [512, 513, 514, 515, 516, 517, 518, 519];
        assert_eq!(take(allocator, &[0; 8]), expected);
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 1 } else { 16 }))]

    #[test]
    fn everything_freed_in_any_order_is_whole_again(
        frames in Just((0..1024).collect::<Vec<u64>>()).prop_shuffle()
    ) {
        freed_in_order(&frames);
    }
}

fn freed_in_order(frames: &[u64]) {
    fn check<B: Buddy>(frames: &[u64], largest: usize, blocks: u64) {
        vectors::<B>(|allocator| {
            let mut taken = take(allocator, &[0; 1024]);
            assert!(allocator.alloc_page(ALL).is_err());
            taken.sort_unstable();
            assert!(taken.into_iter().eq(0..1024));
            for (count, &frame) in frames.iter().enumerate() {
                allocator.free_pages(Pfn(frame), Order::ZERO).unwrap();
                if count % if cfg!(miri) { 256 } else { 16 } == 0 {
                    allocator.validate().unwrap();
                }
            }
            let info = allocator.buddy_info().next().unwrap();
            assert_eq!(info.blocks[largest], blocks);
            assert_eq!(info.blocks.iter().sum::<u64>(), blocks);
        });
    }
    check::<InDescriptor>(frames, 10, 1);
    check::<InDescriptor<9>>(frames, 9, 2);
    check::<PairBitmap>(frames, 9, 2);
    check::<PairBitmap<10>>(frames, 10, 1);
}

#[test]
fn bulk_takes_the_largest_blocks_and_gives_them_back() {
    vectors::<InDescriptor>(|allocator| {
        let list = allocator.alloc_bulk(ALL, 700, Order::MAX).unwrap();
        let blocks = allocator.blocks(&list).map(|(_, order)| order.get());
        assert_eq!(blocks.collect::<Vec<_>>(), [9, 7, 5, 4, 3, 2]);
        allocator.free_list(list).unwrap();
        let mut list = allocator.alloc_bulk(ALL, 700, Order::ZERO).unwrap();
        assert_eq!((list.blocks(), list.frames()), (700, 700));
        let block = allocator.pop(&mut list).unwrap();
        let mut other = BlockList::EMPTY;
        allocator.push(&mut other, block).unwrap();
        allocator.append(&mut other, list);
        let frames = allocator.blocks(&other).map(|(pfn, _)| pfn.0);
        assert_eq!(frames.collect::<Vec<_>>(), (0..700).collect::<Vec<_>>());
        assert_eq!(
            allocator.free_pages(Pfn(5), Order::ZERO),
            Err(FreeError::OnList { pfn: Pfn(5) })
        );
        allocator.free_list(other).unwrap();
        assert_eq!(
            allocator.alloc_bulk(ALL, 1025, Order::MAX),
            Err(BulkError {
                frames: 1025,
                available: 1024
            })
        );
        assert_eq!(allocator.free_frames(), 1024);
    });
}
