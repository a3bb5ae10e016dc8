//! Which zone serves a request, down to which mark, and what is done before it fails.

use std::vec::Vec;

use super::*;

/// 8,192 frames: min 64, low 128, high 192.
const PLAIN: [FrameRange; 1] = [Pfn(1 << 20)..Pfn((1 << 20) + 8192)];

/// Takes single frames until there are no more, and gives them up.
fn drain<B: Buddy>(allocator: &mut FrameAllocator<'_, B>, gfp: Gfp) -> Vec<Pfn> {
    iter::from_fn(|| Some(allocator.alloc_page(gfp).ok()?.into_raw().0)).collect()
}

#[test]
fn marks_by_the_books_rule() {
    for (frames, min) in [
        (1, 20),
        (2559, 20),
        (2560, 20),
        (2687, 20),
        (2688, 21),
        (4096, 32),
        (32_639, 254),
        (32_640, 255),
        (32_767, 255),
        (32_768, 255),
        (1 << 28, 255),
    ] {
        let marks = Watermarks::for_zone(frames);
        assert_eq!(
            (marks.min, marks.low, marks.high),
            (min, 2 * min, 3 * min),
            "{frames}"
        );
    }
}

#[test]
fn each_kind_of_request_stops_at_its_mark() {
    let mut books = Books::new::<InDescriptor>(&PLAIN, &WIDE);
    let mut allocator: FrameAllocator<'_> =
        FrameAllocator::new(&PLAIN, &WIDE, books.metadata()).unwrap();
    let balance =
        |allocator: &FrameAllocator<'_>| allocator.buddy_info().next().unwrap().need_balance;
    // Down to the low mark nobody has to hurry.
    for _ in 0..8192 - 129 {
        let _ = allocator.alloc_page(Gfp::KERNEL).unwrap().into_raw();
    }
    assert!(!balance(&allocator));
    let rest = drain(&mut allocator, Gfp::KERNEL);
    assert!(balance(&allocator));
    assert_eq!((rest.len(), allocator.free_frames()), (129 - 65, 65));
    let rest = drain(&mut allocator, Gfp::ATOMIC);
    assert_eq!((rest.len(), allocator.free_frames()), (65 - 17, 17));
    let mut rest = drain(&mut allocator, Gfp::KERNEL | Gfp::MEMALLOC);
    assert_eq!((rest.len(), allocator.free_frames()), (17, 0));
    assert_eq!(
        allocator.alloc_page(Gfp::ATOMIC),
        Err(AllocError::OutOfFrames { order: Order::ZERO })
    );
    // Whoever balances stops above the high mark.
    rest.extend((1 << 20..(1 << 20) + 192).map(Pfn));
    rest.sort_unstable();
    rest.dedup();
    for pfn in rest {
        allocator.free_pages(pfn, Order::ZERO).unwrap();
    }
    assert_eq!(balance(&allocator), allocator.free_frames() <= 192);
}

/// The book's machine with 2,560, 5,120 and 12,800 frames in its zones: min 20, 40 and 100.
const BOOK: [FrameRange; 3] = [
    Pfn(0)..Pfn(2560),
    Pfn(16 << 8)..Pfn((16 << 8) + 5120),
    Pfn(896 << 8)..Pfn((896 << 8) + 12_800),
];

#[test]
#[cfg_attr(miri, ignore = "20,480 frames, one by one")]
fn each_kind_of_request_falls_back_at_its_levels() {
    use ZoneKind::{Dma, HighMem, Normal};
    // Frames taken one by one until there are no more: how many in turn come from which zone.
    let to_low = [(HighMem, 12_599), (Normal, 4839), (Dma, 2239)];
    let to_min = [(HighMem, 100), (Normal, 140), (Dma, 160)];
    let to_quarter = [(HighMem, 175), (Normal, 245), (Dma, 280)];
    let to_last = [(HighMem, 101), (Normal, 141), (Dma, 161)];
    for (gfp, expected) in [
        (Gfp::HIGHUSER, [to_low, to_min].concat()),
        (
            Gfp::HIGHUSER | Gfp::MEMALLOC,
            [to_low, to_min, to_last].concat(),
        ),
        (Gfp::ATOMIC | Gfp::HIGHMEM, [to_low, to_quarter].concat()),
        (
            Gfp::KERNEL,
            [(Normal, 5039), (Dma, 2439), (Normal, 40), (Dma, 60)].to_vec(),
        ),
        (
            Gfp::ATOMIC,
            [(Normal, 5039), (Dma, 2439), (Normal, 70), (Dma, 105)].to_vec(),
        ),
        (Gfp::KERNEL | Gfp::DMA, [(Dma, 2539)].to_vec()),
        (Gfp::HIGHUSER | Gfp::DMA, [(Dma, 2539)].to_vec()),
        (Gfp::ATOMIC | Gfp::DMA, [(Dma, 2554)].to_vec()),
        // All of NORMAL lies below 4 GiB on that machine.
        (
            Gfp::KERNEL | Gfp::DMA32,
            [(Normal, 5039), (Dma, 2439), (Normal, 40), (Dma, 60)].to_vec(),
        ),
    ] {
        let mut books = Books::new::<InDescriptor>(&BOOK, &CLASSIC);
        let mut allocator: FrameAllocator<'_> =
            FrameAllocator::new(&BOOK, &CLASSIC, books.metadata()).unwrap();
        let mut runs: Vec<(ZoneKind, u64)> = Vec::new();
        for pfn in drain(&mut allocator, gfp) {
            let zone = BOOK.iter().position(|range| range.contains(&pfn));
            let kind = [Dma, Normal, HighMem][zone.unwrap()];
            match runs.last_mut() {
                Some((last, count)) if *last == kind => *count += 1,
                _ => runs.push((kind, 1)),
            }
        }
        assert_eq!(runs, expected, "{gfp:?}");
    }
}

#[test]
fn a_request_for_a_zone_that_there_is_not() {
    // No frame below 16 MiB.
    let mut books = Books::new::<InDescriptor>(&PLAIN, &WIDE);
    let mut allocator: FrameAllocator<'_> =
        FrameAllocator::new(&PLAIN, &WIDE, books.metadata()).unwrap();
    let order = Order::ZERO;
    let none = Err(AllocError::OutOfFrames { order });
    assert_eq!(allocator.alloc_page(ALL | Gfp::DMA), none);
    let mut calls = 0;
    let gfp = Gfp::KERNEL | Gfp::DMA;
    let result = allocator.alloc_pages_shrinking(gfp, order, |_, _| {
        calls += 1;
        1
    });
    assert_eq!((result, calls), (none, SHRINK_ROUNDS));
    assert_eq!(allocator.free_frames(), 8192);
}

#[test]
fn the_marks_of_zones_passed_by_add_up() {
    // Two zones of 4,096 frames less a little: min 31 and 32, low 62 and 64.
    let ranges = [Pfn(128)..Pfn(4096), Pfn(4096)..Pfn(8192)];
    let mut books = Books::new::<InDescriptor>(&ranges, &WIDE);
    let mut allocator: FrameAllocator<'_> =
        FrameAllocator::new(&ranges, &WIDE, books.metadata()).unwrap();
    let _ = drain(&mut allocator, Gfp::KERNEL);
    let free: Vec<_> = allocator
        .buddy_info()
        .map(|info| (info.kind, info.free))
        .collect();
    // The upper zone is down to its min; the lower one keeps that and its own.
    assert_eq!(
        free,
        [(ZoneKind::Dma, 32 + 31 + 1), (ZoneKind::Dma32, 32 + 1)]
    );
    let dma = drain(&mut allocator, Gfp::KERNEL | Gfp::DMA);
    assert_eq!(dma.len(), 32);
    assert!(dma.iter().all(|pfn| pfn.0 < 4096));
}

#[test]
fn requests_for_low_frames_get_low_frames() {
    let normal = 4 << 18;
    let ranges = [
        Pfn(1)..Pfn(160),
        Pfn(256)..Pfn(8192),
        Pfn(normal)..Pfn(normal + 4096),
    ];
    let mut books = Books::new::<InDescriptor>(&ranges, &WIDE);
    let mut allocator: FrameAllocator<'_> =
        FrameAllocator::new(&ranges, &WIDE, books.metadata()).unwrap();
    for (gfp, below) in [
        (Gfp::DMA, 4096),
        (Gfp::DMA | Gfp::HIGHMEM, 4096),
        (Gfp::DMA32, normal),
        (Gfp::DMA32 | Gfp::HIGHMEM, normal),
    ] {
        let frames = drain(&mut allocator, Gfp::KERNEL | gfp | Gfp::MEMALLOC);
        assert!(frames.len() > 1000 && frames.iter().all(|pfn| pfn.0 < below));
        for pfn in frames {
            allocator.free_pages(pfn, Order::ZERO).unwrap();
        }
    }
}

#[test]
fn the_shrinker_is_called_within_bounds() {
    let mut books = Books::new::<InDescriptor>(&PLAIN, &WIDE);
    let mut allocator: FrameAllocator<'_> =
        FrameAllocator::new(&PLAIN, &WIDE, books.metadata()).unwrap();
    let mut held = drain(&mut allocator, Gfp::KERNEL);
    // It claims success and frees nothing: each kind of request gives up after its number of rounds.
    for (gfp, exponent, rounds) in [
        (Gfp::KERNEL, 0, SHRINK_ROUNDS),
        (Gfp::KERNEL, COSTLY_ORDER, SHRINK_ROUNDS),
        (Gfp::KERNEL, COSTLY_ORDER + 1, 1),
        (Gfp::ATOMIC, 7, 0),
    ] {
        let mut calls = 0;
        let result = allocator.alloc_pages_shrinking(gfp, order(exponent), |_, wanted| {
            assert_eq!(wanted, 1 << exponent);
            calls += 1;
            1
        });
        assert_eq!(
            (result.is_err(), calls),
            (true, rounds),
            "{gfp:?}, order {exponent}"
        );
    }
    // It frees nothing and says so: once is enough.
    let mut calls = 0;
    let result = allocator.alloc_pages_shrinking(Gfp::KERNEL, Order::ZERO, |_, _| {
        calls += 1;
        0
    });
    assert_eq!((result.is_err(), calls), (true, 1));
    // It frees one frame a call: a block of two comes about as soon as two buddies have met.
    held.sort_unstable();
    let block = allocator.alloc_pages_shrinking(Gfp::KERNEL, order(1), |allocator, _| {
        allocator
            .free_pages(held.pop().unwrap(), Order::ZERO)
            .unwrap();
        1
    });
    allocator.free(block.unwrap()).unwrap();
    allocator.validate().unwrap();
}

#[test]
fn starting_up_touches_one_chunk() {
    let ranges = [Pfn(1)..Pfn(159), Pfn(256)..Pfn(3 * 1024 + 5)];
    let mut books = Books::new::<PairBitmap>(&ranges, &ONE_ZONE);
    let junk = |books: &Books| {
        let untouched = |chunk: &[Descriptor]| chunk.iter().all(|word| word.word() == JUNK);
        let chunks = books.descriptors.chunks(CHUNK_FRAMES);
        (
            chunks.map(untouched).collect::<Vec<_>>(),
            books
                .words
                .iter()
                .filter(|word| word.load(core::sync::atomic::Ordering::Relaxed) == u64::MAX)
                .count(),
        )
    };
    let mut allocator =
        FrameAllocator::<PairBitmap>::new(&ranges, &ONE_ZONE, books.metadata()).unwrap();
    assert_eq!(allocator.free_frames(), 158 + 3 * 1024 + 5 - 256);
    let at_start: Vec<_> = allocator.buddy_info().collect();
    let block = allocator.alloc_page(Gfp::KERNEL).unwrap();
    allocator.free(block).unwrap();
    // What is not alive counts as what it will be.
    assert_eq!(allocator.buddy_info().collect::<Vec<_>>(), at_start);
    assert_eq!(junk(&books), (vec![false, true, true, true], 3 * 16));
    let mut allocator =
        FrameAllocator::<PairBitmap>::new(&ranges, &ONE_ZONE, books.metadata()).unwrap();
    allocator.bring_to_life();
    assert_eq!(allocator.buddy_info().collect::<Vec<_>>(), at_start);
}

#[test]
fn the_boot_time_allocator_hands_the_rest_over() {
    let mut ranges = [Pfn(16)..Pfn(32), Pfn(100)..Pfn(300), Pfn(1000)..Pfn(1004)];
    let mut early = BootAllocator::new(&mut ranges);
    let taken = [
        early.alloc(8, Pfn(u64::MAX)).unwrap(),
        early.alloc(4, Pfn(u64::MAX)).unwrap(),
        early.alloc(10, Pfn(200)).unwrap(),
    ];
    assert_eq!(
        early.alloc(300, Pfn(u64::MAX)),
        Err(BootError {
            frames: 300,
            below: Pfn(u64::MAX)
        })
    );
    let frames = |ranges: &[FrameRange]| -> u64 {
        ranges.iter().map(|range| range.end.0 - range.start.0).sum()
    };
    assert_eq!(frames(&taken), 22);
    assert!(taken[2].end <= Pfn(200));
    assert_eq!(frames(&ranges), 220 - 22);
    let kept = |pfn: Pfn| taken.iter().any(|range| range.contains(&pfn));
    let mut books = Books::new::<InDescriptor>(&ranges, &ONE_ZONE);
    let mut allocator: FrameAllocator<'_> =
        FrameAllocator::new(&ranges, &ONE_ZONE, books.metadata()).unwrap();
    let all = drain(&mut allocator, ALL);
    assert_eq!(all.len(), 198);
    assert!(!all.into_iter().any(kept));
}
