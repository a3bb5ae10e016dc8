//! The frame allocator with one thread and with two on this host, in ticks of the TSC: `cargo bench -p pagemark-peers --bench
//! threads`.
//!
//! | row | one operation |
//! | --- | --- |
//! | `pair/order=N` | a block taken and given back |
//! | `burst=8192/random` | one of 8,192 frames taken, and given back in a random order |
//! | `percentiles` | single operations of a thread that takes and gives back bursts: p50, p99, p99.9 of each |
//!
//! Throughput is of all threads together: with two, half the ticks are what sharing without cost shows. Each figure is the best of
//! many windows.

use std::arch::x86_64::_rdtsc;
use std::hint::black_box;
use std::sync::Barrier;
use std::thread;

use fastrand::Rng;
use pagemark::mm::address::{FrameRange, Order, Pfn};
use pagemark::mm::frame::{
    Batched, CachePolicy, Cacheable, Descriptor, FrameAllocator, FrameCache, Gfp, InDescriptor,
    Metadata, PairBitmap, SharedFrames, TreeFrames, WholeZone, ZoneKind,
};

/// 1 GiB.
const FRAMES: u64 = 1 << 18;
static RANGES: [FrameRange; 1] = [Pfn(0)..Pfn(FRAMES)];
const ZONES: [(ZoneKind, Pfn); 1] = [(ZoneKind::Normal, Pfn(u64::MAX))];
const THREADS: usize = 2;
const WINDOWS: usize = 60;
const PAIRS: u64 = 20_000;
const BURST: usize = 8192;

fn ticks() -> u64 {
    // SAFETY: every x86-64 CPU has it.
    unsafe { _rdtsc() }
}

fn shared<B: pagemark::mm::frame::Buddy>() -> SharedFrames<'static, B> {
    let size = FrameAllocator::<B>::metadata_size(&RANGES, &ZONES).unwrap();
    let descriptors: Vec<_> = (0..size.descriptors)
        .map(|_| Descriptor::default())
        .collect();
    let words: Vec<_> = (0..size.words).map(|_| 0.into()).collect();
    let metadata = Metadata {
        descriptors: descriptors.leak(),
        words: words.leak(),
    };
    let mut frames = FrameAllocator::new(&RANGES, &ZONES, metadata).unwrap();
    frames.bring_to_life();
    SharedFrames::new(frames)
}

fn tree() -> TreeFrames<'static> {
    let [frames] = &RANGES;
    let (descriptors, words) = TreeFrames::metadata_size(frames, THREADS);
    let descriptors: Vec<_> = (0..descriptors).map(|_| Descriptor::default()).collect();
    let words: Vec<_> = (0..words).map(|_| 0.into()).collect();
    TreeFrames::new(frames.clone(), THREADS, descriptors.leak(), words.leak()).unwrap()
}

/// What a thread takes from and gives to.
trait Source {
    fn take(&mut self, order: Order) -> Pfn;
    fn give(&mut self, pfn: Pfn, order: Order);
}

struct Zone<'z, Z>(&'z Z, usize);

impl<Z: WholeZone> Source for Zone<'_, Z> {
    fn take(&mut self, order: Order) -> Pfn {
        self.0.take(self.1, order).unwrap().into_raw().0
    }

    fn give(&mut self, pfn: Pfn, order: Order) {
        self.0.give(self.1, pfn, order).unwrap();
    }
}

struct Cached<'z, Z, P>(&'z Z, FrameCache<'static, P>);

impl<Z: Cacheable<'static>, P: CachePolicy> Source for Cached<'_, Z, P> {
    fn take(&mut self, order: Order) -> Pfn {
        let block = self.1.alloc_pages(self.0, Gfp::KERNEL, order);
        block.unwrap().into_raw().0
    }

    fn give(&mut self, pfn: Pfn, order: Order) {
        self.1.free_pages(self.0, pfn, order).unwrap();
    }
}

/// The fewest ticks an operation in a window, from the first thread's start to the last one's end, of all threads together.
fn best<S: Source>(
    threads: usize,
    source: impl Fn(usize) -> S + Sync,
    operations: u64,
    work: impl Fn(&mut S) + Sync,
) -> f64 {
    let barrier = Barrier::new(threads);
    // A thread may wake up late from the barrier, when another has done its work already.
    let window = |thread: usize| {
        let mut source = source(thread);
        work(&mut source);
        let windows = (0..WINDOWS).map(|_| {
            barrier.wait();
            let start = ticks();
            work(&mut source);
            (start, ticks())
        });
        windows.collect::<Vec<_>>()
    };
    let all: Vec<_> = thread::scope(|scope| {
        let window = &window;
        let others: Vec<_> = (1..threads)
            .map(|thread| scope.spawn(move || window(thread)))
            .collect();
        let mut all = vec![window(0)];
        all.extend(others.into_iter().map(|other| other.join().unwrap()));
        all
    });
    let length = |number: usize| {
        let of_window = || all.iter().map(|windows| windows[number]);
        let start = of_window().map(|(start, _)| start).min();
        let end = of_window().map(|(_, end)| end).max();
        end.zip(start).map_or(u64::MAX, |(end, start)| end - start)
    };
    let best = (0..WINDOWS).map(length).min().unwrap_or(u64::MAX);
    best as f64 / (operations * threads as u64) as f64
}

fn rows<S: Source>(name: &str, source: impl Fn(usize) -> S + Sync) {
    let mut places: Vec<usize> = (0..BURST).collect();
    Rng::with_seed(0).shuffle(&mut places);
    for exponent in [0, 3, 9] {
        let order = Order::new(exponent).unwrap();
        let pairs = |source: &mut S| {
            for _ in 0..PAIRS {
                let pfn = source.take(order);
                source.give(black_box(pfn), order);
            }
        };
        let [one, two] = [1, THREADS].map(|threads| best(threads, &source, PAIRS, pairs));
        println!("{name:>19}  pair/order={exponent:<10} {one:8.1} -> {two:.1}");
    }
    let burst = |source: &mut S| {
        let held: Vec<Pfn> = (0..BURST).map(|_| source.take(Order::ZERO)).collect();
        for &place in &places {
            source.give(held[place], Order::ZERO);
        }
    };
    let [one, two] = [1, THREADS].map(|threads| best(threads, &source, BURST as u64, burst));
    println!("{name:>19}  burst={BURST}/random   {one:8.1} -> {two:.1}");
    percentiles(name, source(0), &places);
}

/// Single operations, timed one by one; the time of an empty bracket is taken off.
fn percentiles<S: Source>(name: &str, mut source: S, places: &[usize]) {
    let bracket = (0..1000).map(|_| {
        let start = ticks();
        ticks() - start
    });
    let bracket = bracket.min().unwrap_or(0);
    let (mut taken, mut given) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        let mut held = Vec::with_capacity(BURST);
        for _ in 0..BURST {
            let start = ticks();
            held.push(source.take(Order::ZERO));
            taken.push((ticks() - start).saturating_sub(bracket));
        }
        for &place in places {
            let start = ticks();
            source.give(held[place], Order::ZERO);
            given.push((ticks() - start).saturating_sub(bracket));
        }
    }
    for (what, mut ticks) in [("take", taken), ("give", given)] {
        ticks.sort_unstable();
        let at = |share: f64| ticks[(ticks.len() as f64 * share) as usize];
        let figures = (at(0.5), at(0.99), at(0.999));
        println!("{name:>19}  percentiles/{what}    {figures:?}");
    }
}

/// The rows of a zone through a cache for each thread. The zone is theirs alone: caches that are dropped keep their frames.
fn cached<P: CachePolicy>(name: &str, zone: impl Cacheable<'static> + Sync) {
    rows(name, |thread| {
        let cache = FrameCache::<P>::new(&zone, THREADS as u64);
        Cached(&zone, cache.of_cpu(thread))
    });
}

fn main() {
    println!("ticks an operation, of all threads together: one thread -> two");
    cached::<Batched>("descriptor, batched", shared::<InDescriptor>());
    cached::<Batched>("tree, batched", tree());
    let zone = shared::<InDescriptor>();
    rows("descriptor", |thread| Zone(&zone, thread));
    let zone = shared::<PairBitmap>();
    rows("pair_bit", |thread| Zone(&zone, thread));
    let zone = tree();
    rows("tree", |thread| Zone(&zone, thread));
}
