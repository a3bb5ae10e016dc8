//! Interleavings of two CPUs, each with its cache: all in which a CPU loses its turn at most [`PREEMPTIONS`] times in places where
//! it could go on, and in them every value that a relaxed load may see. A bug that needs more switches than that is not found:
//! `RUSTFLAGS="--cfg loom" cargo test --release --lib interleavings --target-dir target/loom`.
//!
//! Each frame has a content that only its owner touches: `loom` fails a test if two CPUs do without one knowing of the other,
//! so a frame given out twice, or passed on without the lock's ordering, is found.

use loom::cell::UnsafeCell;
use loom::model::Builder;
use loom::thread;

use super::*;

/// All frames of the zone: one block of two. With so few a cache never takes a batch, so the CPUs meet at the lock.
const FRAMES: u64 = 2;
static RANGES: [FrameRange; 1] = [Pfn(0)..Pfn(FRAMES)];

/// How often a CPU is made to wait where it could go on. Each one more multiplies the number of interleavings, and nearly all
/// bugs need two at most (Musuvathi and Qadeer, PLDI 2007).
const PREEMPTIONS: usize = 3;

struct Machine<B: 'static> {
    frames: SharedFrames<'static, B>,
    contents: [UnsafeCell<u64>; FRAMES as usize],
}

// SAFETY: what this promises of the contents is what the tests are to find out.
unsafe impl<B> Sync for Machine<B> {}

impl<B: Buddy + 'static> Machine<B> {
    fn new() -> &'static Self {
        let books = Box::leak(Box::new(Books::new::<B>(&RANGES, &ONE_ZONE)));
        let mut frames = FrameAllocator::new(&RANGES, &ONE_ZONE, books.metadata()).unwrap();
        frames.bring_to_life();
        Box::leak(Box::new(Machine {
            frames: SharedFrames::new(frames),
            contents: [(); FRAMES as usize].map(|()| UnsafeCell::new(0)),
        }))
    }

    /// Writes to every frame of a block, as its owner may.
    fn touch(&self, pfn: Pfn, order: Order) {
        for frame in pfn.0..pfn.0 + order.frames() {
            // SAFETY: see `Sync`; loom checks it.
            self.contents[frame as usize].with_mut(|content| unsafe { *content += 1 });
        }
    }

    /// Runs two CPUs, the second one on this thread, and expects all frames to be free and whole afterwards.
    fn run(&'static self, cpus: [fn(&'static Self, &mut FrameCache<'static, HotCold>); 2]) {
        let cpu = move |work: fn(&'static Self, &mut FrameCache<'static, HotCold>)| {
            let mut cache = FrameCache::new(&self.frames, 2);
            work(self, &mut cache);
            cache.drain(&self.frames);
        };
        let [first, second] = cpus;
        let first = thread::spawn(move || cpu(first));
        cpu(second);
        first.join().unwrap();
        let frames = self.frames.lock();
        frames.validate().unwrap();
        assert_eq!(frames.buddy_info().next().unwrap().blocks[1], 1);
    }
}

/// As many branches as bringing a chunk to life takes, and some.
fn model(test: fn()) {
    let mut builder = Builder::new();
    builder.max_branches = 100_000;
    builder.preemption_bound = Some(PREEMPTIONS);
    builder.check(test);
}

/// A frame from the lock, into the cache, out of it, and into it again; the other CPU may have taken all frames.
fn frames_of_its_own<B: Buddy + 'static>(
    machine: &'static Machine<B>,
    cache: &mut FrameCache<'static, HotCold>,
) {
    for _ in 0..2 {
        if let Ok(block) = cache.alloc_page(&machine.frames, ALL) {
            machine.touch(block.pfn(), block.order());
            cache.free(&machine.frames, block).unwrap();
        }
    }
}

/// A block of two frames past the cache, which needs both to have merged.
fn a_larger_block<B: Buddy + 'static>(
    machine: &'static Machine<B>,
    _: &mut FrameCache<'static, HotCold>,
) {
    if let Ok(block) = machine.frames.alloc_pages(ALL, order(1)) {
        machine.touch(block.pfn(), block.order());
        machine.frames.free(block).unwrap();
    }
}

fn check<B: Buddy + 'static>() {
    Machine::<B>::new().run([frames_of_its_own, frames_of_its_own]);
}

#[test]
fn two_caches_over_todays_rule() {
    model(check::<InDescriptor>);
}

#[test]
fn two_caches_over_the_books_rule() {
    model(check::<PairBitmap>);
}

#[test]
fn a_cache_beside_the_buddy_of_its_frame() {
    model(|| Machine::<InDescriptor>::new().run([frames_of_its_own, a_larger_block]));
}

#[test]
fn a_frame_freed_on_another_cpu() {
    model(|| {
        let machine = Machine::<InDescriptor>::new();
        let mut cache = FrameCache::<HotCold>::new(&machine.frames, 2);
        let pfn = cache.alloc_page(&machine.frames, ALL).unwrap().into_raw().0;
        machine.touch(pfn, Order::ZERO);
        // Starting the other CPU tells it the frame.
        let other = thread::spawn(move || {
            let mut cache = FrameCache::<HotCold>::new(&machine.frames, 2);
            machine.touch(pfn, Order::ZERO);
            cache.free_page(&machine.frames, pfn).unwrap();
            let again = cache.free_page(&machine.frames, pfn);
            assert_eq!(again, Err(FreeError::AlreadyFree { pfn }));
            cache.drain(&machine.frames);
        });
        frames_of_its_own(machine, &mut cache);
        cache.drain(&machine.frames);
        other.join().unwrap();
        machine.frames.lock().validate().unwrap();
        assert_eq!(machine.frames.lock().free_frames(), FRAMES);
    });
}
