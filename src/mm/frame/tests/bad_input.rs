//! What must be refused, by name, with nothing changed.

use std::vec::Vec;

use super::*;

/// Frees by one of the ways that there are.
type Door<B> = for<'m> fn(
    &SharedFrames<'m, B>,
    &mut FrameCache<'m, HotCold>,
    Pfn,
    Order,
) -> Result<(), FreeError>;

fn bad_frees<B: Buddy>(free: Door<B>) {
    let ranges = [Pfn(1030)..Pfn(2000), Pfn(5000)..Pfn(6000)];
    let mut storage = Storage::new::<B>(&ranges, &ONE_ZONE);
    let allocator = FrameAllocator::<B>::new(&ranges, &ONE_ZONE, storage.metadata()).unwrap();
    let shared = SharedFrames::new(allocator);
    let mut cache = FrameCache::new(&shared, 1);
    let pfn = shared.alloc_pages(ALL, order(2)).unwrap().into_raw().0;
    let before: Vec<_> = shared.lock().buddy_info().collect();
    let free_block = pfn.add(4);
    for (frame, exponent, error) in [
        (
            pfn,
            1,
            FreeError::WrongOrder {
                pfn,
                order: order(1),
                allocated: order(2),
            },
        ),
        (
            pfn.add(1),
            0,
            FreeError::InsideBlock {
                pfn: pfn.add(1),
                order: order(2),
            },
        ),
        (
            pfn.add(1),
            2,
            FreeError::Misaligned {
                pfn: pfn.add(1),
                order: order(2),
            },
        ),
        (free_block, 0, FreeError::AlreadyFree { pfn: free_block }),
        // Not alive yet: its descriptor is junk that says "allocated".
        (Pfn(5500), 0, FreeError::AlreadyFree { pfn: Pfn(5500) }),
        (Pfn(1029), 0, FreeError::Reserved { pfn: Pfn(1029) }),
        (Pfn(3000), 0, FreeError::Reserved { pfn: Pfn(3000) }),
        (Pfn(6000), 0, FreeError::OutOfRange { pfn: Pfn(6000) }),
        (Pfn(0), 9, FreeError::OutOfRange { pfn: Pfn(0) }),
        // The largest that a block can name.
        (
            Pfn((1 << 56) - 1),
            0,
            FreeError::OutOfRange {
                pfn: Pfn((1 << 56) - 1),
            },
        ),
    ] {
        let freed = free(&shared, &mut cache, frame, order(exponent));
        assert_eq!(freed, Err(error));
        shared.lock().validate().unwrap();
        assert_eq!(shared.lock().buddy_info().collect::<Vec<_>>(), before);
    }
    for pfn in [Pfn(u64::MAX), pfn.add(1 << 56)] {
        let error = Err(FreeError::OutOfRange { pfn });
        assert_eq!(shared.free_pages(pfn, Order::ZERO), error);
        assert_eq!(cache.free_page(&shared, pfn), error);
    }
    assert_eq!(cache.frames(), 0);
    // Twice, as a block and as a single frame.
    for exponent in [2, 0] {
        free(&shared, &mut cache, pfn, order(2)).ok();
        let single = shared.alloc_pages(ALL, order(exponent)).unwrap();
        let (pfn, order) = single.into_raw();
        free(&shared, &mut cache, pfn, order).unwrap();
        let again = free(&shared, &mut cache, pfn, order);
        assert_eq!(again, Err(FreeError::AlreadyFree { pfn }));
    }
    cache.drain(&shared);
    shared.lock().validate().unwrap();
    assert_eq!(shared.lock().free_frames(), 970 + 1000);
}

fn by_every_door<B: Buddy>() {
    bad_frees::<B>(|shared, _, pfn, order| shared.lock().free_pages(pfn, order));
    bad_frees::<B>(|shared, _, pfn, order| shared.lock().free(Block::new(pfn, order.get().into())));
    bad_frees::<B>(|shared, _, pfn, order| shared.free_pages(pfn, order));
    bad_frees::<B>(|shared, cache, pfn, order| {
        cache.free(shared, Block::new(pfn, order.get().into()))
    });
    bad_frees::<B>(|shared, cache, pfn, order| match order {
        Order::ZERO => cache.free_page(shared, pfn),
        order => shared.free_pages(pfn, order),
    });
}

#[test]
fn bad_frees_are_told_apart_and_change_nothing() {
    by_every_door::<InDescriptor>();
    if !cfg!(miri) {
        by_every_door::<InDescriptor<9>>();
        by_every_door::<PairBitmap>();
        by_every_door::<PairBitmap<10>>();
    }
}

#[test]
fn orders_that_there_are_not() {
    let ranges = [Pfn(0)..Pfn(2048)];
    let mut storage = Storage::new::<PairBitmap>(&ranges, &ONE_ZONE);
    let mut allocator =
        FrameAllocator::<PairBitmap>::new(&ranges, &ONE_ZONE, storage.metadata()).unwrap();
    let (ten, largest) = (order(10), order(9));
    assert_eq!(
        allocator.alloc_pages(ALL, ten),
        Err(AllocError::OrderTooLarge {
            order: ten,
            largest
        })
    );
    assert_eq!(
        allocator.free_pages(Pfn(0), ten),
        Err(FreeError::OrderTooLarge {
            order: ten,
            largest
        })
    );
    assert_eq!(Order::new(11), None);
}

#[test]
fn a_block_of_another_allocator() {
    let (ours, theirs) = ([Pfn(0)..Pfn(1024)], [Pfn(1024)..Pfn(2048)]);
    let mut storage =
        [&ours, &theirs].map(|ranges| Storage::new::<InDescriptor>(ranges, &ONE_ZONE));
    let [first, second] = &mut storage;
    let mut a: FrameAllocator<'_> =
        FrameAllocator::new(&ours, &ONE_ZONE, first.metadata()).unwrap();
    let mut b: FrameAllocator<'_> =
        FrameAllocator::new(&theirs, &ONE_ZONE, second.metadata()).unwrap();
    let block = b.alloc_pages(ALL, order(3)).unwrap();
    let pfn = block.pfn();
    assert_eq!(a.free(block), Err(FreeError::OutOfRange { pfn }));
    b.free_pages(pfn, order(3)).unwrap();
}

#[test]
fn a_list_of_another_allocator() {
    let (ours, theirs) = ([Pfn(0)..Pfn(1024)], [Pfn(1024)..Pfn(2048)]);
    let mut storage =
        [&ours, &theirs].map(|ranges| Storage::new::<InDescriptor>(ranges, &ONE_ZONE));
    let [first, second] = &mut storage;
    let mut a: FrameAllocator<'_> =
        FrameAllocator::new(&ours, &ONE_ZONE, first.metadata()).unwrap();
    let mut b: FrameAllocator<'_> =
        FrameAllocator::new(&theirs, &ONE_ZONE, second.metadata()).unwrap();
    for frames in [1, 5, 512] {
        let list = b.alloc_bulk(ALL, frames, Order::MAX).unwrap();
        let pfn = b.blocks(&list).next().unwrap().0;
        assert_eq!(a.free_list(list), Err(FreeError::OutOfRange { pfn }));
        a.validate().unwrap();
    }
    // A list that claims frames which are free here.
    let mut list = a.alloc_bulk(ALL, 3, Order::ZERO).unwrap();
    let claimed = BlockList { ..list };
    let block = a.pop(&mut list).unwrap();
    let pfn = block.pfn();
    a.free(block).unwrap();
    assert_eq!(a.pop(&mut BlockList { ..claimed }), None);
    assert_eq!(a.free_list(claimed), Err(FreeError::AlreadyFree { pfn }));
    a.free_list(list).unwrap();
    a.validate().unwrap();
    assert_eq!(a.free_frames(), 1024);
}

#[test]
fn a_block_that_was_freed_by_its_number() {
    let ranges = [Pfn(0)..Pfn(1024)];
    let mut storage = Storage::new::<InDescriptor>(&ranges, &ONE_ZONE);
    let mut allocator: FrameAllocator<'_> =
        FrameAllocator::new(&ranges, &ONE_ZONE, storage.metadata()).unwrap();
    let push = |allocator: &mut FrameAllocator<'_>, block| {
        let mut list = BlockList::EMPTY;
        let pushed = allocator.push(&mut list, block);
        assert_eq!(list, BlockList::EMPTY);
        pushed
    };
    for free in [FrameAllocator::free, push] {
        let block = allocator.alloc_pages(ALL, order(3)).unwrap();
        let pfn = block.pfn();
        allocator.free_pages(pfn, order(3)).unwrap();
        let error = FreeError::AlreadyFree { pfn };
        assert_eq!(free(&mut allocator, block), Err(error));
        allocator.validate().unwrap();
    }
    assert_eq!(allocator.free_frames(), 1024);
}

#[test]
fn ranges_and_zones_out_of_order() {
    let size = FrameAllocator::<'_, InDescriptor>::metadata_size;
    let unsorted = [Pfn(0)..Pfn(10), Pfn(9)..Pfn(20)];
    assert_eq!(size(&unsorted, &WIDE), Err(NewError::Unsorted { range: 1 }));
    let backwards = [Pfn(0)..Pfn(10), Pfn(30)..Pfn(20)];
    assert_eq!(
        size(&backwards, &WIDE),
        Err(NewError::Unsorted { range: 1 })
    );
    let ranges = [Pfn(0)..Pfn(10)];
    let odd = [
        (ZoneKind::Dma, Pfn(1000)),
        (ZoneKind::Normal, Pfn(u64::MAX)),
    ];
    assert_eq!(
        size(&ranges, &odd),
        Err(NewError::ZoneEnd { end: Pfn(u64::MAX) })
    );
    let below = [(ZoneKind::Dma, Pfn(2048)), (ZoneKind::Normal, Pfn(1024))];
    assert_eq!(
        size(&ranges, &below),
        Err(NewError::ZoneEnd { end: Pfn(1024) })
    );
    let twice = [(ZoneKind::Normal, Pfn(1024)), (ZoneKind::Normal, Pfn(2048))];
    let kind = ZoneKind::Normal;
    assert_eq!(size(&ranges, &twice), Err(NewError::ZoneKind { kind }));
}

/// A zone of 1 TiB is as large as links can name; what is beyond is another zone.
#[test]
fn every_frame_of_64_tib_is_described() {
    const TIB: u64 = 1 << 28;
    for frames in [TIB - 1024, TIB, TIB + 1, 4 * TIB, 64 * TIB] {
        for zones in [&ONE_ZONE[..], &WIDE] {
            let ranges = [Pfn(0)..Pfn(frames)];
            let size = FrameAllocator::<InDescriptor>::metadata_size(&ranges, zones).unwrap();
            assert_eq!(size.descriptors as u64, frames.next_multiple_of(1024));
        }
    }
}

/// More than there is room for is left out, and counted.
#[test]
fn frames_beyond_the_last_zone_are_left_out_and_counted() {
    const TIB: u64 = 1 << 28;
    let ranges: Vec<_> = (0..70)
        .map(|tib| Pfn(tib * TIB)..Pfn(tib * TIB + 1))
        .collect();
    let mut storage = Storage::new::<InDescriptor>(&ranges, &WIDE);
    let allocator: FrameAllocator<'_> =
        FrameAllocator::new(&ranges, &WIDE, storage.metadata()).unwrap();
    assert_eq!(allocator.clipped() + allocator.free_frames(), 70);
    assert_eq!(allocator.free_frames(), 2);
}

#[test]
fn frames_without_metadata_are_left_out_and_counted() {
    let ranges = [Pfn(0)..Pfn(5000)];
    let mut storage = Storage::new::<PairBitmap>(&ranges, &ONE_ZONE);
    let mut metadata = storage.metadata();
    metadata.words = &mut metadata.words[..3 * 16];
    let mut allocator = FrameAllocator::<PairBitmap>::new(&ranges, &ONE_ZONE, metadata).unwrap();
    assert_eq!(allocator.clipped(), 5000 - 3 * 1024);
    assert_eq!(allocator.free_frames(), 3 * 1024);
    allocator.bring_to_life();
    allocator.validate().unwrap();
    let pfn = Pfn(4000);
    assert_eq!(
        allocator.free_pages(pfn, Order::ZERO),
        Err(FreeError::OutOfRange { pfn })
    );
}
