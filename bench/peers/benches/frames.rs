//! Frame allocators beside one another on this host: `cargo bench -p pagemark-peers`.
//!
//! Every allocator goes through the same shapes. Figures are times, so they are of this host, and only those of one run belong
//! together.
//!
//! | shape | one iteration |
//! | --- | --- |
//! | `pair` | a frame taken from a whole zone and given back; `pair/order=3` and `pair/order=9` a block |
//! | `stream` | a frame taken, and the one given back that was taken 64 iterations before |
//! | `burst/…` | 512 frames taken, and given back in the same order, the opposite one, or a random one |
//! | `churn` | in a zone that has aged, one of 4,096 frames at random is given back and replaced |
//! | `fill_and_drain` | every frame that there is taken, and given back |

mod turns;

use std::alloc::{Layout, alloc_zeroed};
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use fastrand::Rng;
use pagemark::mm::address::{FrameRange, Order, Pfn};
use pagemark::mm::frame::{
    Batched, Descriptor, FrameAllocator, FrameCache, Gfp, InDescriptor, Metadata, SharedFrames,
    TreeFrames, WholeZone, ZoneKind,
};
use pagemark_peers::{
    ALIGN, Bitmap, Bits, BuddySlab, BuddySystemFrames, BuddySystemHeap, FRAMES, Frames,
    REGION_BYTES, Talc,
};

use turns::Turns;

/// Of the random numbers: the same for everybody.
const SEED: u64 = 0;

/// Ours, as a CPU of several uses it: its cache in front of the locked allocator, every free checked. Blocks are frame numbers.
struct Cached {
    shared: SharedFrames<'static>,
    cache: FrameCache<'static, Batched>,
}

/// Ours without the cache: lock, buddy, checks.
struct Direct(SharedFrames<'static>);

/// Ours without a lock: every change a compare-exchange, every free checked.
struct Tree(TreeFrames<'static>);

static RANGES: [FrameRange; 1] = [Pfn(FRAMES as u64)..Pfn(2 * FRAMES as u64)];
const ZONES: [(ZoneKind, Pfn); 1] = [(ZoneKind::Normal, Pfn(u64::MAX))];
/// The whole zone is to be had, as with the peers.
const ALL: Gfp = Gfp::KERNEL.union(Gfp::MEMALLOC);

fn shared() -> SharedFrames<'static> {
    let size = FrameAllocator::<InDescriptor>::metadata_size(&RANGES, &ZONES).unwrap();
    let descriptors: Vec<_> = (0..size.descriptors)
        .map(|_| Descriptor::default())
        .collect();
    let metadata = Metadata {
        descriptors: descriptors.leak(),
        words: &mut [],
    };
    let mut frames = FrameAllocator::new(&RANGES, &ZONES, metadata).unwrap();
    frames.bring_to_life();
    SharedFrames::new(frames)
}

fn order(order: u32) -> Order {
    Order::new(order as u8).unwrap()
}

impl Cached {
    fn new() -> Self {
        let shared = shared();
        let cache = FrameCache::new(&shared, 1);
        Cached { shared, cache }
    }
}

impl Frames for Cached {
    #[inline]
    fn alloc(&mut self, exponent: u32) -> usize {
        let block = self.cache.alloc_pages(&self.shared, ALL, order(exponent));
        block.map_or(0, |block| block.into_raw().0.0 as usize)
    }

    #[inline]
    unsafe fn free(&mut self, block: usize, exponent: u32) {
        let pfn = Pfn(block as u64);
        let freed = self.cache.free_pages(&self.shared, pfn, order(exponent));
        freed.expect("a block that was taken");
    }
}

impl Frames for Direct {
    #[inline]
    fn alloc(&mut self, exponent: u32) -> usize {
        let block = self.0.alloc_pages(ALL, order(exponent));
        block.map_or(0, |block| block.into_raw().0.0 as usize)
    }

    #[inline]
    unsafe fn free(&mut self, block: usize, exponent: u32) {
        let freed = self.0.free_pages(Pfn(block as u64), order(exponent));
        freed.expect("a block that was taken");
    }
}

impl Tree {
    fn new() -> Self {
        let [frames] = &RANGES;
        let (descriptors, words) = TreeFrames::metadata_size(frames, 1);
        let descriptors: Vec<_> = (0..descriptors).map(|_| Descriptor::default()).collect();
        let words: Vec<_> = (0..words).map(|_| 0.into()).collect();
        Tree(TreeFrames::new(frames.clone(), 1, descriptors.leak(), words.leak()).unwrap())
    }
}

impl Frames for Tree {
    #[inline]
    fn alloc(&mut self, exponent: u32) -> usize {
        let block = self.0.take(0, order(exponent));
        block.map_or(0, |block| block.into_raw().0.0 as usize)
    }

    #[inline]
    unsafe fn free(&mut self, block: usize, exponent: u32) {
        let freed = self.0.give(0, Pfn(block as u64), order(exponent));
        freed.expect("a block that was taken");
    }
}

/// Memory that is never given back.
fn region(bytes: usize) -> *mut u8 {
    let layout = Layout::from_size_align(bytes, ALIGN).unwrap();
    // SAFETY: the size is not 0.
    let region = unsafe { alloc_zeroed(layout) };
    assert!(!region.is_null());
    region
}

fn bits() -> &'static mut Bits {
    Box::leak(Box::default())
}

fn take<F: Frames>(frames: &mut F) -> usize {
    let block = frames.alloc(0);
    assert_ne!(block, 0);
    block
}

fn give<F: Frames>(frames: &mut F, block: usize) {
    // SAFETY: every caller gives back what it took, once.
    unsafe { frames.free(block, 0) };
}

fn pair<const ORDER: u32>(turns: &mut Turns<'_>, name: &str, mut frames: impl Frames + 'static) {
    turns.row(name, move || {
        let block = frames.alloc(ORDER);
        assert_ne!(block, 0);
        // SAFETY: just taken.
        unsafe { frames.free(black_box(block), ORDER) };
    });
}

fn stream(turns: &mut Turns<'_>, name: &str, mut frames: impl Frames + 'static) {
    let mut held = [0; 64];
    for block in &mut held {
        *block = take(&mut frames);
    }
    let mut at = 0;
    turns.row(name, move || {
        give(&mut frames, held[at]);
        held[at] = take(&mut frames);
        at = (at + 1) % 64;
    });
}

/// Frames of a burst.
const BURST: usize = 512;

/// `places`: which frame of the burst goes back first, second, ...
fn burst(turns: &mut Turns<'_>, name: &str, places: &[usize], mut frames: impl Frames + 'static) {
    let places = places.to_vec();
    let mut held = [0; BURST];
    turns.row(name, move || {
        for block in &mut held {
            *block = take(&mut frames);
        }
        for &place in &places {
            give(&mut frames, held[place]);
        }
    });
}

fn churn(turns: &mut Turns<'_>, name: &str, mut frames: impl Frames + 'static) {
    let mut random = Rng::with_seed(SEED);
    // Blocks of orders 0 to 3, smaller ones more often, up to half of the memory.
    let mut blocks = Vec::new();
    let mut taken = 0;
    for _ in 0..100_000 {
        if random.usize(..FRAMES) >= taken {
            let order = (random.usize(..8) | 8).trailing_zeros();
            // Where memory lies in pieces there may be no such block.
            let block = frames.alloc(order);
            if block != 0 {
                blocks.push((block, order));
                taken += 1 << order;
            }
        } else {
            let (block, order) = blocks.swap_remove(random.usize(..blocks.len()));
            // SAFETY: it was taken so, and is given back once.
            unsafe { frames.free(block, order) };
            taken -= 1 << order;
        }
    }
    let mut held: Vec<_> = (0..4096).map(|_| take(&mut frames)).collect();
    turns.row(name, move || {
        let place = random.usize(..held.len());
        give(&mut frames, held[place]);
        held[place] = take(&mut frames);
    });
}

fn fill_and_drain(turns: &mut Turns<'_>, name: &str, mut frames: impl Frames + 'static) {
    let mut held = Vec::with_capacity(2 * FRAMES);
    turns.row(name, move || {
        loop {
            match frames.alloc(0) {
                0 => break,
                block => held.push(block),
            }
        }
        assert!(held.len() >= FRAMES);
        for block in held.drain(..) {
            give(&mut frames, block);
        }
    });
}

/// Calls `$shape` for everybody; all see whole memory of their own. An iteration of it handles the given number of frames.
macro_rules! everybody {
    ($criterion:expr, $name:expr, $count:expr, |$turns:ident, $who:ident, $frames:ident| $shape:expr) => {{
        let mut turns = Turns::new($criterion, $name, $count as u64);
        macro_rules! with {
            ($label:expr, $new:expr) => {{
                let ($turns, $who, $frames) = (&mut turns, $label, $new);
                $shape;
            }};
        }
        with!("pagemark", Cached::new());
        with!("pagemark, no cache", Direct(shared()));
        with!("pagemark, no lock", Tree::new());
        with!("bitmap-allocator", Bitmap::new(bits()));
        // SAFETY: nobody else has the region.
        with!("buddy-slab-allocator", unsafe {
            BuddySlab::new(region(BuddySlab::REGION_BYTES))
        });
        with!("buddy_system_allocator frames", BuddySystemFrames::new());
        // SAFETY: nobody else has the region.
        with!("buddy_system_allocator heap", unsafe {
            BuddySystemHeap::new(region(REGION_BYTES))
        });
        // SAFETY: nobody else has the region.
        with!("talc", unsafe { Talc::new(region(Talc::REGION_BYTES)) });
        turns.finish();
    }};
}

fn all(criterion: &mut Criterion) {
    everybody!(criterion, "pair", 1, |turns, who, frames| pair::<0>(
        turns, who, frames
    ));
    everybody!(
        criterion,
        "pair/order=3",
        1,
        |turns, who, frames| pair::<3>(turns, who, frames)
    );
    everybody!(
        criterion,
        "pair/order=9",
        1,
        |turns, who, frames| pair::<9>(turns, who, frames)
    );
    everybody!(criterion, "stream", 1, |turns, who, frames| stream(
        turns, who, frames
    ));
    let forward: Vec<usize> = (0..BURST).collect();
    let backward: Vec<usize> = (0..BURST).rev().collect();
    let mut random = forward.clone();
    Rng::with_seed(SEED).shuffle(&mut random);
    for (name, places) in [
        ("burst/same", forward),
        ("burst/opposite", backward),
        ("burst/random", random),
    ] {
        everybody!(criterion, name, BURST, |turns, who, frames| burst(
            turns, who, &places, frames
        ));
    }
    everybody!(criterion, "churn", 1, |turns, who, frames| churn(
        turns, who, frames
    ));
    everybody!(criterion, "fill_and_drain", FRAMES, |turns, who, frames| {
        fill_and_drain(turns, who, frames)
    });
}

criterion_group!(benches, all);
criterion_main!(benches);
