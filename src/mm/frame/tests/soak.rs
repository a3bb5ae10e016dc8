//! A long random life, for bugs that need a rare state. Slow, so only on demand:
//! `cargo test --release --lib soak -- --ignored`.

use std::vec::Vec;

use super::*;

/// Blocks taken and given back; requests that cannot be served come on top.
const OPERATIONS: u64 = 100_000_000;
/// Operations between looks at everything.
const VALIDATE_EVERY: u64 = 1 << 20;
/// Operations between changes of mind about how full the machine should be.
const MOOD_EVERY: u64 = 1 << 15;
/// Steps between requests for up to 1,023 frames, on average.
const BULK_EVERY: u64 = 1 << 12;
/// Lists of such that are held at a time.
const LISTS: usize = 8;

const FRAMES: usize = 1 << 16;
/// DMA and DMA32, odd ends, and a hole.
const RANGES: [FrameRange; 3] = [
    Pfn(1)..Pfn(159),
    Pfn(256)..Pfn(20_001),
    Pfn(21_500)..Pfn(FRAMES as u64),
];

struct Life {
    taken: Vec<bool>,
    live: Vec<(Pfn, Order)>,
    lists: Vec<BlockList>,
    random: u64,
    operations: u64,
}

impl Life {
    /// Xorshift: Marsaglia, "Xorshift RNGs" (2003).
    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    fn mark(&mut self, pfn: Pfn, order: Order, taken: bool) {
        for frame in &mut self.taken[pfn.0 as usize..][..order.frames() as usize] {
            assert_ne!(*frame, taken, "{pfn:?} of order {order}");
            *frame = taken;
        }
    }

    fn step<B: Buddy>(&mut self, allocator: &mut FrameAllocator<'_, B>, fullness: u64) {
        let random = self.random();
        let full = allocator.free_frames() * 100 < (100 - fullness) * FRAMES as u64;
        // Mostly towards the wanted fullness, at times away from it.
        if full == (random.is_multiple_of(8)) {
            let order = order(((random >> 8 | 1 << 10).trailing_zeros()) as u8);
            let gfp = match random >> 60 {
                0 => Gfp::KERNEL | Gfp::DMA,
                1 => Gfp::ATOMIC,
                2 => ALL,
                _ => Gfp::KERNEL,
            };
            if order <= allocator.largest_order()
                && let Ok(block) = allocator.alloc_pages(gfp, order)
            {
                let (pfn, order) = block.into_raw();
                assert!(pfn.0 < 4096 || !gfp.contains(Gfp::DMA));
                self.mark(pfn, order, true);
                self.live.push((pfn, order));
                self.operations += 1;
            }
        } else if !self.live.is_empty() {
            let which = (random >> 8) as usize % self.live.len();
            let (pfn, order) = self.live.swap_remove(which);
            self.mark(pfn, order, false);
            self.operations += 1;
            allocator.free_pages(pfn, order).unwrap();
            if random.is_multiple_of(16) {
                allocator.free_pages(pfn, order).unwrap_err();
            }
        }
    }

    /// Takes many frames at once, or gives the oldest of such lists back.
    fn bulk<B: Buddy>(&mut self, allocator: &mut FrameAllocator<'_, B>) {
        let random = self.random();
        if self.lists.len() < LISTS {
            let largest = order((random >> 8) as u8 % 11);
            let Ok(list) = allocator.alloc_bulk(Gfp::KERNEL, random >> 54, largest) else {
                return;
            };
            for (pfn, order) in allocator.blocks(&list).collect::<Vec<_>>() {
                self.mark(pfn, order, true);
            }
            self.operations += list.blocks();
            self.lists.push(list);
        } else {
            let list = self.lists.remove(0);
            for (pfn, order) in allocator.blocks(&list).collect::<Vec<_>>() {
                self.mark(pfn, order, false);
            }
            self.operations += list.blocks();
            allocator.free_list(list).unwrap();
        }
    }
}

fn live_long<B: Buddy>() {
    let mut storage = Storage::new::<B>(&RANGES, &WIDE);
    let mut allocator = FrameAllocator::<B>::new(&RANGES, &WIDE, storage.metadata()).unwrap();
    let at_start: Vec<_> = allocator.buddy_info().map(|info| info.blocks).collect();
    let mut life = Life {
        taken: vec![true; FRAMES],
        live: Vec::new(),
        lists: Vec::new(),
        random: 0x9e37_79b9_7f4a_7c15,
        operations: 0,
    };
    for range in RANGES {
        life.taken[range.start.0 as usize..range.end.0 as usize].fill(false);
    }
    let (mut fullness, mut next_mood, mut next_look) = (50, 0, 0);
    while life.operations < OPERATIONS {
        if life.operations >= next_mood {
            fullness = life.random() % 101;
            next_mood += MOOD_EVERY;
        }
        if life.operations >= next_look {
            allocator.validate().unwrap();
            next_look += VALIDATE_EVERY;
        }
        life.step(&mut allocator, fullness);
        if life.random().is_multiple_of(BULK_EVERY) {
            life.bulk(&mut allocator);
        }
    }
    for list in life.lists {
        allocator.free_list(list).unwrap();
    }
    for (pfn, order) in life.live {
        allocator.free_pages(pfn, order).unwrap();
    }
    allocator.validate().unwrap();
    let at_end: Vec<_> = allocator.buddy_info().map(|info| info.blocks).collect();
    assert_eq!(at_end, at_start);
}

#[test]
#[ignore = "100 million operations"]
fn soak_todays_rule() {
    live_long::<InDescriptor>();
}

#[test]
#[ignore = "100 million operations"]
fn soak_the_books_rule() {
    live_long::<PairBitmap>();
}
