//! Which zone serves a request, down to which mark, and what is done before it fails.

use std::boxed::Box;
use std::vec::Vec;

use super::*;

/// The frames of [`PLAIN`], and its min mark; low is twice that, high three times.
///
/// Miri looks at every descriptor again at each call, so that its time grows with the square of this.
const FRAMES: u64 = if cfg!(miri) { 512 } else { 8192 };
const MIN: u64 = if cfg!(miri) { 20 } else { 64 };
const PLAIN: [FrameRange; 1] = [Pfn(1 << 20)..Pfn((1 << 20) + FRAMES)];

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
    let mut storage = Storage::new::<InDescriptor>(&PLAIN, &WIDE);
    let mut allocator: FrameAllocator<'_> =
        FrameAllocator::new(&PLAIN, &WIDE, storage.metadata()).unwrap();
    let balance =
        |allocator: &FrameAllocator<'_>| allocator.buddy_info().next().unwrap().need_balance;
    // Down to the low mark nobody has to hurry.
    for _ in 0..FRAMES - (2 * MIN + 1) {
        let _ = allocator.alloc_page(Gfp::KERNEL).unwrap().into_raw();
    }
    assert!(!balance(&allocator));
    let rest = drain(&mut allocator, Gfp::KERNEL);
    assert!(balance(&allocator));
    assert_eq!((rest.len() as u64, allocator.free_frames()), (MIN, MIN + 1));
    let rest = drain(&mut allocator, Gfp::ATOMIC);
    let last = MIN / 4 + 1;
    assert_eq!(
        (rest.len() as u64, allocator.free_frames()),
        (MIN + 1 - last, last)
    );
    let mut rest = drain(&mut allocator, Gfp::KERNEL | Gfp::MEMALLOC);
    assert_eq!((rest.len() as u64, allocator.free_frames()), (last, 0));
    assert_eq!(
        allocator.alloc_page(Gfp::ATOMIC),
        Err(AllocError::OutOfFrames { order: Order::ZERO })
    );
    // Balancing stops above the high mark.
    rest.extend((1 << 20..(1 << 20) + 3 * MIN).map(Pfn));
    rest.sort_unstable();
    rest.dedup();
    for pfn in rest {
        allocator.free_pages(pfn, Order::ZERO).unwrap();
    }
    assert_eq!(balance(&allocator), allocator.free_frames() <= 3 * MIN);
}

/// How many frames the book's three zones have here, and their min marks; low is twice that.
const BOOK_FRAMES: [u64; 3] = if cfg!(miri) {
    [200, 150, 150]
} else {
    [2560, 5120, 12_800]
};
const BOOK_MINS: [u64; 3] = if cfg!(miri) {
    [20, 20, 20]
} else {
    [20, 40, 100]
};
const BOOK: [FrameRange; 3] = [
    Pfn(0)..Pfn(BOOK_FRAMES[0]),
    Pfn(16 << 8)..Pfn((16 << 8) + BOOK_FRAMES[1]),
    Pfn(896 << 8)..Pfn((896 << 8) + BOOK_FRAMES[2]),
];

#[test]
fn each_kind_of_request_falls_back_at_its_levels() {
    use ZoneKind::{Dma, HighMem, Normal};
    for (frames, min) in BOOK_FRAMES.into_iter().zip(BOOK_MINS) {
        assert_eq!(Watermarks::for_zone(frames).min, min);
    }
    // What a request leaves in each zone of its list is one frame more than the sum of the marks so far.
    let [dma, normal, high] = BOOK_FRAMES;
    let d = BOOK_MINS[0];
    // From NORMAL on, and from HIGHMEM on.
    let (n, nd) = (BOOK_MINS[1], BOOK_MINS[1] + d);
    let (h, hn) = (BOOK_MINS[2], BOOK_MINS[2] + n);
    let hnd = hn + d;
    // Frames taken one by one until there are no more: how many in turn come from which zone.
    let to_low = [
        (HighMem, high - 2 * h - 1),
        (Normal, normal - 2 * hn - 1),
        (Dma, dma - 2 * hnd - 1),
    ];
    let to_min = [(HighMem, h), (Normal, hn), (Dma, hnd)];
    let to_quarter = [
        (HighMem, 2 * h - h / 4),
        (Normal, 2 * hn - hn / 4),
        (Dma, 2 * hnd - hnd / 4),
    ];
    let to_last = [(HighMem, h + 1), (Normal, hn + 1), (Dma, hnd + 1)];
    let normal_to_low = [(Normal, normal - 2 * n - 1), (Dma, dma - 2 * nd - 1)];
    let normal_to_min = [(Normal, n), (Dma, nd)];
    let normal_to_quarter = [(Normal, 2 * n - n / 4), (Dma, 2 * nd - nd / 4)];
    for (gfp, expected) in [
        (Gfp::HIGHUSER, [to_low, to_min].concat()),
        (
            Gfp::HIGHUSER | Gfp::MEMALLOC,
            [to_low, to_min, to_last].concat(),
        ),
        (Gfp::ATOMIC | Gfp::HIGHMEM, [to_low, to_quarter].concat()),
        (Gfp::KERNEL, [normal_to_low, normal_to_min].concat()),
        (Gfp::ATOMIC, [normal_to_low, normal_to_quarter].concat()),
        (Gfp::KERNEL | Gfp::DMA, [(Dma, dma - d - 1)].to_vec()),
        (Gfp::HIGHUSER | Gfp::DMA, [(Dma, dma - d - 1)].to_vec()),
        (Gfp::ATOMIC | Gfp::DMA, [(Dma, dma - d / 4 - 1)].to_vec()),
        // All of NORMAL lies below 4 GiB on that machine.
        (
            Gfp::KERNEL | Gfp::DMA32,
            [normal_to_low, normal_to_min].concat(),
        ),
    ] {
        let mut storage = Storage::new::<InDescriptor>(&BOOK, &CLASSIC);
        let mut allocator: FrameAllocator<'_> =
            FrameAllocator::new(&BOOK, &CLASSIC, storage.metadata()).unwrap();
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
    let mut storage = Storage::new::<InDescriptor>(&PLAIN, &WIDE);
    let mut allocator: FrameAllocator<'_> =
        FrameAllocator::new(&PLAIN, &WIDE, storage.metadata()).unwrap();
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
    assert_eq!(allocator.free_frames(), FRAMES);
}

#[test]
fn the_marks_of_zones_passed_by_add_up() {
    // Two zones of 4,096 frames less a little: min 31 and 32, low 62 and 64.
    let (ranges, below, above) = if cfg!(miri) {
        ([Pfn(3900)..Pfn(4096), Pfn(4096)..Pfn(4300)], 20, 20)
    } else {
        ([Pfn(128)..Pfn(4096), Pfn(4096)..Pfn(8192)], 31, 32)
    };
    let mut storage = Storage::new::<InDescriptor>(&ranges, &WIDE);
    let mut allocator: FrameAllocator<'_> =
        FrameAllocator::new(&ranges, &WIDE, storage.metadata()).unwrap();
    let _ = drain(&mut allocator, Gfp::KERNEL);
    let free: Vec<_> = allocator
        .buddy_info()
        .map(|info| (info.kind, info.free))
        .collect();
    // The upper zone is down to its min; the lower one keeps that and its own.
    assert_eq!(
        free,
        [
            (ZoneKind::Dma, above + below + 1),
            (ZoneKind::Dma32, above + 1)
        ]
    );
    let dma = drain(&mut allocator, Gfp::KERNEL | Gfp::DMA);
    assert_eq!(dma.len() as u64, above);
    assert!(dma.iter().all(|pfn| pfn.0 < 4096));
}

#[test]
fn requests_for_low_frames_get_low_frames() {
    let normal = 4 << 18;
    let ranges = if cfg!(miri) {
        [
            Pfn(4000)..Pfn(4010),
            Pfn(4050)..Pfn(4200),
            Pfn(normal)..Pfn(normal + 64),
        ]
    } else {
        [
            Pfn(1)..Pfn(160),
            Pfn(256)..Pfn(8192),
            Pfn(normal)..Pfn(normal + 4096),
        ]
    };
    let mut storage = Storage::new::<InDescriptor>(&ranges, &WIDE);
    let mut allocator: FrameAllocator<'_> =
        FrameAllocator::new(&ranges, &WIDE, storage.metadata()).unwrap();
    for (gfp, below) in [
        (Gfp::DMA, 4096),
        (Gfp::DMA | Gfp::HIGHMEM, 4096),
        (Gfp::DMA32, normal),
        (Gfp::DMA32 | Gfp::HIGHMEM, normal),
    ] {
        let mut frames = drain(&mut allocator, Gfp::KERNEL | gfp | Gfp::MEMALLOC);
        frames.sort_unstable();
        // All of them, and no others.
        let low = ranges
            .iter()
            .flat_map(|range| range.start.0..range.end.0)
            .filter(|&pfn| pfn < below);
        assert_eq!(frames, low.map(Pfn).collect::<Vec<_>>(), "{gfp:?}");
        for pfn in frames {
            allocator.free_pages(pfn, Order::ZERO).unwrap();
        }
    }
}

#[test]
fn the_shrinker_is_called_within_bounds() {
    let mut storage = Storage::new::<InDescriptor>(&PLAIN, &WIDE);
    let mut allocator: FrameAllocator<'_> =
        FrameAllocator::new(&PLAIN, &WIDE, storage.metadata()).unwrap();
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
    let mut storage = Storage::new::<PairBitmap>(&ranges, &ONE_ZONE);
    let junk = |storage: &Storage| {
        let untouched = |chunk: &[Descriptor]| chunk.iter().all(|word| word.word() == JUNK);
        let chunks = storage.descriptors.chunks(CHUNK_FRAMES);
        (
            chunks.map(untouched).collect::<Vec<_>>(),
            storage
                .words
                .iter()
                .filter(|word| word.load(core::sync::atomic::Ordering::Relaxed) == u64::MAX)
                .count(),
        )
    };
    let mut allocator =
        FrameAllocator::<PairBitmap>::new(&ranges, &ONE_ZONE, storage.metadata()).unwrap();
    assert_eq!(allocator.free_frames(), 158 + 3 * 1024 + 5 - 256);
    let at_start: Vec<_> = allocator.buddy_info().collect();
    let block = allocator.alloc_page(Gfp::KERNEL).unwrap();
    allocator.free(block).unwrap();
    // What is not alive counts as what it will be.
    assert_eq!(allocator.buddy_info().collect::<Vec<_>>(), at_start);
    assert_eq!(junk(&storage), (vec![false, true, true, true], 3 * 16));
    let mut allocator =
        FrameAllocator::<PairBitmap>::new(&ranges, &ONE_ZONE, storage.metadata()).unwrap();
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
    let mut storage = Storage::new::<InDescriptor>(&ranges, &ONE_ZONE);
    let mut allocator: FrameAllocator<'_> =
        FrameAllocator::new(&ranges, &ONE_ZONE, storage.metadata()).unwrap();
    let all = drain(&mut allocator, ALL);
    assert_eq!(all.len(), 198);
    assert!(!all.into_iter().any(kept));
}

/// Some frames in each TiB of 64, the most that four levels of tables map.
#[test]
fn memory_of_64_tib_is_allocated_and_freed_to_the_last_frame() {
    const TIB: u64 = 1 << 28;
    const FRAMES: u64 = if cfg!(miri) { 30 } else { 1500 };
    let start = |tib: u64| (tib + 1) * TIB - 7 * (tib + 1) - FRAMES;
    let ranges: Vec<_> = (0..64)
        .map(|tib| Pfn(start(tib))..Pfn(start(tib) + FRAMES))
        .collect();
    let ranges = ranges.leak();
    let storage = Box::leak(Box::new(Storage::new::<InDescriptor>(ranges, &WIDE)));
    let more = FrameAllocator::<InDescriptor>::more_zones(ranges, &WIDE).unwrap();
    let more: Vec<_> = iter::repeat_with(Zone::empty).take(more).collect();
    let mut allocator: FrameAllocator<'_> =
        FrameAllocator::with_more_zones(ranges, &WIDE, storage.metadata(), more.leak()).unwrap();
    assert_eq!(
        (allocator.free_frames(), allocator.clipped()),
        (64 * FRAMES, 0)
    );
    let normal = |info: &BuddyInfo| info.kind == ZoneKind::Normal && info.present == FRAMES;
    assert_eq!(allocator.buddy_info().filter(normal).count(), 64);
    let taken = drain(&mut allocator, Gfp::KERNEL | Gfp::MEMALLOC);
    let mut sorted = taken.clone();
    sorted.sort_unstable();
    assert!(
        sorted.iter().copied().eq(ranges
            .iter()
            .flat_map(|range| { (range.start.0..range.end.0).map(Pfn) }))
    );
    allocator.validate().unwrap();
    let pfn = Pfn(40 * TIB);
    let free = allocator.free_pages(pfn, Order::ZERO);
    assert_eq!(free, Err(FreeError::OutOfRange { pfn }));
    for pfn in taken {
        allocator.free_pages(pfn, Order::ZERO).unwrap();
    }
    assert_eq!(allocator.free_frames(), 64 * FRAMES);
    allocator.validate().unwrap();
}

/// Frames of many small blocks in the zone that a request prefers go before the large blocks of a zone below.
#[test]
fn a_bulk_takes_the_single_frames_of_its_zone_before_another_zone_s_blocks() {
    const LOW: u64 = 16 << 8;
    let ranges = [Pfn(0)..Pfn(LOW), Pfn(LOW)..Pfn(LOW + FRAMES)];
    let mut storage = Storage::new::<InDescriptor>(&ranges, &WIDE);
    let mut allocator: FrameAllocator<'_> =
        FrameAllocator::new(&ranges, &WIDE, storage.metadata()).unwrap();
    let info = |allocator: &FrameAllocator<'_>, kind| {
        allocator
            .buddy_info()
            .find(|info| info.kind == kind)
            .unwrap()
    };
    // Every other frame of the upper zone is taken.
    let mut all = allocator
        .alloc_bulk(ALL, LOW + FRAMES, Order::ZERO)
        .unwrap();
    let mut kept = BlockList::EMPTY;
    while let Some(block) = allocator.pop(&mut all) {
        match block.pfn() {
            Pfn(number) if number >= LOW && number % 2 == 0 => {
                allocator.push(&mut kept, block).unwrap();
            }
            _ => allocator.free(block).unwrap(),
        }
    }
    let dma = info(&allocator, ZoneKind::Dma).free;
    let upper = info(&allocator, ZoneKind::Dma32).free;
    assert_eq!((dma, upper), (LOW, FRAMES / 2));
    let wanted = upper - 2 * MIN - 1;
    let list = allocator
        .alloc_bulk(Gfp::KERNEL, wanted, Order::MAX)
        .unwrap();
    assert_eq!((list.blocks(), list.frames()), (wanted, wanted));
    assert_eq!(info(&allocator, ZoneKind::Dma).free, dma);
    // What the zone does not have above its low mark comes from below, in blocks.
    let more = allocator.alloc_bulk(Gfp::KERNEL, 1024, Order::MAX).unwrap();
    assert!(more.blocks() <= 2, "{}", more.blocks());
    assert_eq!(info(&allocator, ZoneKind::Dma).free, dma - 1024);
    for list in [list, more, kept] {
        allocator.free_list(list).unwrap();
    }
    allocator.validate().unwrap();
    assert_eq!(allocator.free_frames(), LOW + FRAMES);
}
