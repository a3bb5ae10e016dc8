//! Frame allocators. None of them locks or detects a bad free, so their figures do not include these, and pagemark's do.

#[cfg(target_os = "none")]
use core::alloc::{GlobalAlloc, Layout};
use core::slice;

use pagemark::machine::{Machine, pages_of};
use pagemark::mm::address::PAGE_SIZE;
use pagemark_peers::{
    ALIGN, BitAlloc, Bitmap, Bits, BuddySlab, BuddySystemHeap, FRAMES, Frames, Talc,
};
use spin::Mutex;

use crate::harness::case::{Case, Failure, expect_eq};
use crate::harness::random::Random;
use crate::harness::run::Run;

/// Frames of a burst.
const BURST: usize = 512;
/// Random steps until memory counts as aged.
const AGE_STEPS: u32 = 20_000;
/// The largest region that a peer asks for.
const LARGEST_REGION: usize = Talc::REGION_BYTES;

/// Too large for the stack.
static BITS: Mutex<Bits> = Mutex::new(Bits::DEFAULT);

/// One of the crates links `alloc`, though nothing here allocates: a heap that has no memory. A process has its own.
#[cfg(target_os = "none")]
struct NoHeap;

#[cfg(target_os = "none")]
#[global_allocator]
static HEAP: NoHeap = NoHeap;

// SAFETY: an allocator may always fail.
#[cfg(target_os = "none")]
unsafe impl GlobalAlloc for NoHeap {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        core::ptr::null_mut()
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

/// The names of one peer's cases: alloc and free of each shape.
struct Names {
    whole: [&'static str; 2],
    whole_9: [&'static str; 2],
    aged: [&'static str; 2],
    burst: [&'static str; 2],
}

macro_rules! names {
    ($peer:literal) => {
        Names {
            whole: names!($peer, "order=0/zone=whole"),
            whole_9: names!($peer, "order=9/zone=whole"),
            aged: names!($peer, "order=0/zone=aged"),
            burst: names!($peer, "burst=512"),
        }
    };
    ($peer:literal, $shape:literal) => {
        [
            concat!("peer/", $peer, "/alloc/", $shape),
            concat!("peer/", $peer, "/free/", $shape),
        ]
    };
}

impl Names {
    fn any(&self, run: &Run) -> bool {
        let all = [self.whole, self.whole_9, self.aged, self.burst];
        all.as_flattened().iter().any(|name| run.would(name))
    }
}

/// A block that was taken; 0 is none.
fn taken(block: usize) -> Result<usize, Failure> {
    match block {
        0 => Err(Failure::new(format_args!("no block was to be had"))),
        block => Ok(block),
    }
}

/// One block is taken, in memory that `age` changes between samples.
struct Alloc<'f, 'a, F> {
    frames: &'f mut F,
    order: u32,
    age: Option<Age<'a>>,
    block: usize,
}

impl<F: Frames> Case for Alloc<'_, '_, F> {
    fn prepare(&mut self) -> Result<(), Failure> {
        self.age
            .as_mut()
            .map_or(Ok(()), |age| age.step(self.frames))
    }

    fn operation(&mut self) {
        self.block = self.frames.alloc(self.order);
    }

    fn restore(&mut self) -> Result<(), Failure> {
        let block = taken(self.block)?;
        // SAFETY: it was taken by the operation, so.
        unsafe { self.frames.free(block, self.order) };
        Ok(())
    }
}

/// One block is given back.
struct Free<'f, 'a, F> {
    frames: &'f mut F,
    order: u32,
    age: Option<Age<'a>>,
    block: usize,
}

impl<F: Frames> Case for Free<'_, '_, F> {
    fn prepare(&mut self) -> Result<(), Failure> {
        if let Some(age) = &mut self.age {
            age.step(self.frames)?;
        }
        self.block = taken(self.frames.alloc(self.order))?;
        Ok(())
    }

    fn operation(&mut self) {
        // SAFETY: `prepare` took it, so.
        unsafe { self.frames.free(self.block, self.order) };
    }
}

/// The frames of a burst.
struct Held<'a, F> {
    frames: &'a mut F,
    blocks: [usize; BURST],
}

impl<F: Frames> Held<'_, F> {
    #[inline(always)]
    fn take(&mut self) {
        for block in &mut self.blocks {
            *block = self.frames.alloc(0);
        }
    }

    #[inline(always)]
    fn give_back(&mut self) {
        for &block in &self.blocks {
            // SAFETY: `take` took it, and it goes back once a burst.
            unsafe { self.frames.free(block, 0) };
        }
    }

    fn shuffle(&mut self) -> Result<(), Failure> {
        expect_eq!(
            "a block that was not to be had",
            self.blocks.contains(&0),
            false
        );
        let mut random = Random::new();
        for last in (1..BURST).rev() {
            self.blocks
                .swap(last, random.below(last as u64 + 1) as usize);
        }
        Ok(())
    }
}

struct BurstAlloc<'a, F>(Held<'a, F>);

impl<F: Frames> Case for BurstAlloc<'_, F> {
    fn operation(&mut self) {
        self.0.take();
    }

    fn restore(&mut self) -> Result<(), Failure> {
        self.0.shuffle()?;
        self.0.give_back();
        Ok(())
    }
}

struct BurstFree<'a, F>(Held<'a, F>);

impl<F: Frames> Case for BurstFree<'_, F> {
    fn prepare(&mut self) -> Result<(), Failure> {
        self.0.take();
        self.0.shuffle()
    }

    fn operation(&mut self) {
        self.0.give_back();
    }
}

/// What memory has lived through: small blocks taken and given back at random, half of it taken on average.
struct Age<'a> {
    live: &'a mut [(usize, u32)],
    count: usize,
    /// Frames in them.
    taken: usize,
    random: Random,
}

impl<'a> Age<'a> {
    fn of(frames: &mut impl Frames, live: &'a mut [(usize, u32)]) -> Result<Self, Failure> {
        let mut age = Age {
            live,
            count: 0,
            taken: 0,
            random: Random::new(),
        };
        for _ in 0..AGE_STEPS {
            age.step(frames)?;
        }
        Ok(age)
    }

    fn step(&mut self, frames: &mut impl Frames) -> Result<(), Failure> {
        let random = self.random.next();
        if (random >> 32) as usize % FRAMES >= self.taken {
            let order = (random >> 16 | 8).trailing_zeros();
            self.live[self.count] = (taken(frames.alloc(order))?, order);
            self.count += 1;
            self.taken += 1 << order;
        } else {
            let place = (random >> 8) as usize % self.count;
            let (block, order) = self.live[place];
            self.count -= 1;
            self.live[place] = self.live[self.count];
            self.taken -= 1 << order;
            // SAFETY: a step took it so, and it is no longer among the live ones.
            unsafe { frames.free(block, order) };
        }
        Ok(())
    }
}

/// Where peers are measured.
struct Memory {
    region: *mut u8,
    live: *mut (usize, u32),
}

impl Memory {
    fn measure<F: Frames>(
        &self,
        run: &mut Run,
        names: &Names,
        mut frames: F,
    ) -> Result<(), Failure> {
        let frames = &mut frames;
        pair(run, names.whole, frames, 0);
        pair(run, names.whole_9, frames, 9);
        let [alloc, free] = names.burst;
        let blocks = [0; BURST];
        run.measure(alloc, &mut BurstAlloc(Held { frames, blocks }));
        run.measure(free, &mut BurstFree(Held { frames, blocks }));
        let live = || {
            // SAFETY: the memory is there for `FRAMES` of them, any bits are valid values, and one age lives at a time.
            unsafe { slice::from_raw_parts_mut(self.live, FRAMES) }
        };
        let age = Age::of(frames, live())?;
        let [alloc, free] = names.aged;
        let mut case = Alloc {
            frames,
            order: 0,
            age: Some(age),
            block: 0,
        };
        run.measure(alloc, &mut case);
        let mut case = Free {
            frames: case.frames,
            order: 0,
            age: case.age,
            block: 0,
        };
        run.measure(free, &mut case);
        Ok(())
    }
}

fn pair<F: Frames>(run: &mut Run, [alloc, free]: [&'static str; 2], frames: &mut F, order: u32) {
    let mut case = Alloc {
        frames,
        order,
        age: None,
        block: 0,
    };
    run.measure(alloc, &mut case);
    let mut case = Free {
        frames,
        order,
        age: None,
        block: 0,
    };
    run.measure(free, &mut case);
}

/// All of them, each on whole memory.
pub(super) fn run(machine: &mut Machine, run: &mut Run) {
    let bitmap = names!("bitmap-allocator");
    let buddy_slab = names!("buddy-slab-allocator");
    let buddy_system = names!("buddy_system_allocator");
    let talc = names!("talc");
    let all = [&bitmap, &buddy_slab, &buddy_system, &talc];
    if !all.iter().any(|names| names.any(run)) {
        return;
    }
    let live_bytes = FRAMES * size_of::<(usize, u32)>();
    let bytes = (ALIGN + LARGEST_REGION + live_bytes) as u64;
    if machine.kernel.frames.free_frames() < bytes / PAGE_SIZE * 9 / 8 {
        run.skip(bitmap.whole[0], "too little memory for the peers");
        return;
    }
    let area = match machine.vmalloc.vmalloc(bytes, &mut machine.kernel) {
        Ok(area) => area,
        Err(error) => return run.check("peer/memory", Err(error.into())),
    };
    let pages = match pages_of(&area) {
        Ok(pages) => pages,
        Err(reason) => {
            let failure = Failure::new(format_args!("{reason}"));
            return run.check("peer/memory", Err(failure));
        }
    };
    let region = (pages.0 as usize).next_multiple_of(ALIGN);
    let memory = Memory {
        region: region as *mut u8,
        live: (region + LARGEST_REGION) as *mut (usize, u32),
    };
    let outcome = memory.measure(run, &bitmap, Bitmap::new(&mut BITS.lock()));
    run.check("peer/bitmap-allocator", outcome);
    // SAFETY: the region is aligned and large enough, and nobody else's.
    let peer = unsafe { BuddySlab::new(memory.region) };
    let outcome = memory.measure(run, &buddy_slab, peer);
    run.check("peer/buddy-slab-allocator", outcome);
    // SAFETY: as above: the one before is gone.
    let peer = unsafe { BuddySystemHeap::new(memory.region) };
    let outcome = memory.measure(run, &buddy_system, peer);
    run.check("peer/buddy_system_allocator", outcome);
    // SAFETY: as above: the one before is gone.
    let peer = unsafe { Talc::new(memory.region) };
    let outcome = memory.measure(run, &talc, peer);
    run.check("peer/talc", outcome);
    let freed = machine.vmalloc.vfree(area, &mut machine.kernel);
    run.check("peer/memory", freed.map_err(Failure::from));
}
