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
        let storage = Box::leak(Box::new(Storage::new::<B>(&RANGES, &ONE_ZONE)));
        let mut frames = FrameAllocator::new(&RANGES, &ONE_ZONE, storage.metadata()).unwrap();
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
        // Starting the other CPU hands it the frame.
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

/// A zone without a lock, two huge frames of it, whose frames are all taken but for two.
fn a_tree() -> &'static TreeFrames<'static> {
    const FRAMES: FrameRange = Pfn(0)..Pfn(2);
    let (descriptors, words) = TreeFrames::metadata_size(&FRAMES, 2);
    let descriptors: Vec<_> = iter::repeat_with(Descriptor::default)
        .take(descriptors)
        .collect();
    let words: Vec<_> = (0..words).map(|_| AtomicU64::new(0)).collect();
    Box::leak(Box::new(
        TreeFrames::new(FRAMES, 2, descriptors.leak(), words.leak()).unwrap(),
    ))
}

/// Runs two CPUs, each with the frames' contents, and expects all frames to be free and whole afterwards.
fn on_a_tree(works: [fn(&TreeFrames<'_>, usize, &dyn Fn(Pfn, Order)); 2]) {
    struct Contents([UnsafeCell<u64>; 2]);
    // SAFETY: what this promises is what the test is to find out.
    unsafe impl Sync for Contents {}
    let zone = a_tree();
    let contents: &'static Contents =
        Box::leak(Box::new(Contents([(); 2].map(|()| UnsafeCell::new(0)))));
    let touch = move |pfn: Pfn, order: Order| {
        for frame in pfn.0..pfn.0 + order.frames() {
            // SAFETY: see `Sync`; loom checks it.
            contents.0[frame as usize].with_mut(|content| unsafe { *content += 1 });
        }
    };
    let [first, second] = works;
    let first = thread::spawn(move || first(zone, 0, &touch));
    second(zone, 1, &touch);
    first.join().unwrap();
    zone.validate().unwrap();
    assert_eq!(zone.free_frames(), 2);
    zone.give(0, zone.take(0, order(1)).unwrap().into_raw().0, order(1))
        .unwrap();
}

fn single_frames(zone: &TreeFrames<'_>, cpu: usize, touch: &dyn Fn(Pfn, Order)) {
    for _ in 0..2 {
        if let Some(block) = zone.take(cpu, Order::ZERO) {
            touch(block.pfn(), Order::ZERO);
            zone.give(cpu, block.into_raw().0, Order::ZERO).unwrap();
        }
    }
}

fn a_pair_of_frames(zone: &TreeFrames<'_>, cpu: usize, touch: &dyn Fn(Pfn, Order)) {
    if let Some(block) = zone.take(cpu, order(1)) {
        touch(block.pfn(), order(1));
        zone.give(cpu, block.into_raw().0, order(1)).unwrap();
    }
}

#[test]
fn two_cpus_on_a_tree() {
    model(|| on_a_tree([single_frames, single_frames]));
}

#[test]
fn a_single_frame_beside_a_pair_on_a_tree() {
    model(|| on_a_tree([single_frames, a_pair_of_frames]));
}

/// Both frames in one exchange, and back in one.
fn many_frames(zone: &TreeFrames<'_>, cpu: usize, touch: &dyn Fn(Pfn, Order)) {
    let mut frames = [Pfn(0); 2];
    let taken = zone.take_many(cpu, &mut frames);
    for &pfn in &frames[..taken] {
        touch(pfn, Order::ZERO);
    }
    zone.give_many(cpu, &frames[..taken]).unwrap();
}

#[test]
fn a_single_frame_beside_many_on_a_tree() {
    model(|| on_a_tree([single_frames, many_frames]));
}

#[test]
fn many_beside_a_pair_on_a_tree() {
    model(|| on_a_tree([many_frames, a_pair_of_frames]));
}
