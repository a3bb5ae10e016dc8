//! Per-CPU caches of single frames: lists that one CPU takes from and gives to without touching the free lists that all share.
//!
//! Two generations, as a type parameter. [`HotCold`] is 2.6.0's: a hot list, whose frames may still be in the CPU's cache, and a
//! cold one for callers that do not mind (the printed book, 6.6). [`Batched`] is today's single list with its larger batch.
//! Both serve the zone that ordinary requests start at; all other requests, and every larger block, pass by.
//!
//! A cached frame has a descriptor state of its own, so that freeing it once more is found out as any double free. To the
//! zone's counters it is allocated; whoever needs blocks whole again calls [`FrameCache::drain`].

#![forbid(unsafe_code)]

use arrayvec::ArrayVec;

use super::buddy::Buddy;
use super::descriptor::{ALLOCATED, CACHED};
use super::{AllocError, Block, FrameAllocator, FreeError, Gfp};

/// Most frames that a list can hold.
const ROOM: usize = 512;

/// When a list takes from the free lists, when it gives back, and how many frames each time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rule {
    /// With so many frames or fewer, an allocation first takes a batch.
    pub low: usize,
    /// With so many frames or more, a free first gives a batch back.
    pub high: usize,
    /// Frames at a time.
    pub batch: usize,
}

impl Rule {
    /// 2.6.0's hot list for a zone of `frames` frames: a batch is one in 4,096 of them, 1 to 16.
    #[must_use]
    pub fn hot(frames: u64) -> Rule {
        let batch = (frames / 1024).clamp(1, 64).div_euclid(4).max(1) as usize;
        Rule {
            low: 2 * batch,
            high: 6 * batch,
            batch,
        }
    }

    /// 2.6.0's cold list.
    #[must_use]
    pub fn cold(frames: u64) -> Rule {
        let Rule { batch, .. } = Rule::hot(frames);
        Rule {
            low: 0,
            high: 2 * batch,
            batch,
        }
    }

    /// The list of 6.x: a batch is one in 4,096 frames, at most 64, brought to the nearest 2^n - 1; the list holds four.
    #[must_use]
    pub fn modern(frames: u64) -> Rule {
        let batch = (frames / 4096).clamp(1, 64);
        let batch = ((1 << (batch + batch / 2).ilog2()) - 1).max(1) as usize;
        Rule {
            low: 0,
            high: 4 * batch,
            batch,
        }
    }
}

/// One list: frames by their index in the zone, the most recent last.
#[derive(Debug)]
pub struct List {
    frames: ArrayVec<u32, ROOM>,
    rule: Rule,
}

impl List {
    fn new(rule: Rule) -> Self {
        List {
            frames: ArrayVec::new(),
            rule,
        }
    }
}

/// Which lists a cache has.
pub trait CachePolicy {
    /// Empty lists for a zone of `frames` frames.
    fn new(frames: u64) -> Self;

    /// The list that serves a request.
    fn list(&mut self, gfp: Gfp) -> &mut List;

    /// All lists.
    fn lists(&mut self) -> impl Iterator<Item = &mut List>;
}

/// 2.6.0: hot and cold.
#[derive(Debug)]
pub struct HotCold([List; 2]);

impl CachePolicy for HotCold {
    fn new(frames: u64) -> Self {
        HotCold([Rule::hot(frames), Rule::cold(frames)].map(List::new))
    }

    #[inline(always)]
    fn list(&mut self, gfp: Gfp) -> &mut List {
        &mut self.0[usize::from(gfp.contains(Gfp::COLD))]
    }

    fn lists(&mut self) -> impl Iterator<Item = &mut List> {
        self.0.iter_mut()
    }
}

/// 6.x: one list.
#[derive(Debug)]
pub struct Batched(List);

impl CachePolicy for Batched {
    fn new(frames: u64) -> Self {
        Batched(List::new(Rule::modern(frames)))
    }

    #[inline(always)]
    fn list(&mut self, _: Gfp) -> &mut List {
        &mut self.0
    }

    fn lists(&mut self) -> impl Iterator<Item = &mut List> {
        core::iter::once(&mut self.0)
    }
}

/// The cache of one CPU.
#[derive(Debug)]
pub struct FrameCache<P> {
    policy: P,
}

impl<P: CachePolicy> FrameCache<P> {
    /// An empty cache for the zone that ordinary requests start at.
    #[must_use]
    pub fn new<B: Buddy>(allocator: &FrameAllocator<'_, B>) -> Self {
        FrameCache {
            policy: P::new(allocator.zones[0].present),
        }
    }

    /// Frames on the lists.
    pub fn frames(&mut self) -> usize {
        self.policy.lists().map(|list| list.frames.len()).sum()
    }

    /// Allocates one frame.
    ///
    /// # Errors
    ///
    /// As for [`FrameAllocator::alloc_page`].
    #[inline(always)]
    pub fn alloc_page<B: Buddy>(
        &mut self,
        allocator: &mut FrameAllocator<'_, B>,
        gfp: Gfp,
    ) -> Result<Block, AllocError> {
        let list = self.policy.list(gfp);
        if !gfp.intersects(Gfp::ZONE_MODIFIERS)
            && list.frames.len() > list.rule.low
            && let Some(index) = list.frames.pop()
            && let Some(descriptor) = allocator.zones[0].lists.table.get(index as usize)
        {
            descriptor.set(ALLOCATED);
            return Ok(allocator.zones[0].block(index as usize, 0));
        }
        refill(list, allocator, gfp)
    }

    /// Frees a block: a single frame of the cached zone to the hot list, any other to the allocator.
    ///
    /// # Errors
    ///
    /// As for [`FrameAllocator::free`].
    #[inline(always)]
    pub fn free<B: Buddy>(
        &mut self,
        allocator: &mut FrameAllocator<'_, B>,
        block: Block,
    ) -> Result<(), FreeError> {
        let list = self.policy.list(Gfp::empty());
        let index = allocator.zones[0].index(block.frame());
        if let Some(descriptor) = allocator.zones[0].lists.table.get(index)
            && descriptor.word() == ALLOCATED
        {
            if list.frames.len() >= list.rule.high {
                give_back(list, list.rule.batch, allocator);
            }
            if list.frames.try_push(index as u32).is_ok() {
                descriptor.set(CACHED);
                return Ok(());
            }
        }
        allocator.free(block)
    }

    /// Gives every frame back to the free lists, where it merges.
    pub fn drain<B: Buddy>(&mut self, allocator: &mut FrameAllocator<'_, B>) {
        for list in self.policy.lists() {
            give_back(list, list.frames.len(), allocator);
        }
    }
}

/// Takes a batch, and serves the request from the list, or past it if the free lists have nothing to spare.
#[cold]
#[inline(never)]
fn refill<B: Buddy>(
    list: &mut List,
    allocator: &mut FrameAllocator<'_, B>,
    gfp: Gfp,
) -> Result<Block, AllocError> {
    if gfp.intersects(Gfp::ZONE_MODIFIERS) {
        return allocator.alloc_page(gfp);
    }
    let mut taken = 0;
    for _ in 0..list.rule.batch.min(list.frames.remaining_capacity()) {
        let zone = &mut allocator.zones[0];
        if zone.free() <= zone.marks.low + 1 {
            break;
        }
        let Some(index) = zone.take(0) else {
            break;
        };
        if let Some(descriptor) = zone.lists.table.get(index) {
            descriptor.set(CACHED);
        }
        list.frames.push(index as u32);
        taken += 1;
    }
    // The newest frames are taken first: a batch goes below them.
    list.frames.rotate_right(taken);
    let zone = &mut allocator.zones[0];
    match list.frames.pop() {
        Some(index) => {
            if let Some(descriptor) = zone.lists.table.get(index as usize) {
                descriptor.set(ALLOCATED);
            }
            Ok(zone.block(index as usize, 0))
        }
        None => allocator.alloc_page(gfp),
    }
}

/// Gives the oldest `count` frames back.
#[cold]
#[inline(never)]
fn give_back<B: Buddy>(list: &mut List, count: usize, allocator: &mut FrameAllocator<'_, B>) {
    let zone = &mut allocator.zones[0];
    for index in list.frames.drain(..count.min(list.frames.len())) {
        let index = index as usize;
        if let Some(descriptor) = zone.lists.table.get(index) {
            descriptor.set(ALLOCATED);
            zone.give(index, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Books;
    use super::super::{InDescriptor, WIDE, ZoneKind};
    use super::*;
    use crate::mm::address::{Order, Pfn};
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::vec::Vec;

    const MIB: u64 = 256;
    /// One zone.
    const ONE_ZONE: [(ZoneKind, Pfn); 1] = [(ZoneKind::Normal, Pfn(u64::MAX))];

    #[test]
    fn the_figures_of_both_generations() {
        for (mib, batch, low, high) in [
            (64, 4, 8, 24),
            (256, 16, 32, 96),
            (4096, 16, 32, 96),
            (1, 1, 2, 6),
        ] {
            assert_eq!(Rule::hot(mib * MIB), Rule { low, high, batch }, "{mib} MiB");
            assert_eq!(
                Rule::cold(mib * MIB),
                Rule {
                    low: 0,
                    high: 2 * batch,
                    batch
                },
                "{mib} MiB"
            );
        }
        for (mib, batch) in [
            (47, 1),
            (64, 3),
            (128, 7),
            (256, 15),
            (512, 31),
            (1024, 63),
            (8192, 63),
        ] {
            assert_eq!(Rule::modern(mib * MIB).batch, batch, "{mib} MiB");
        }
    }

    fn with_cache<P: CachePolicy, R>(
        test: impl FnOnce(&mut FrameAllocator<'_>, &mut FrameCache<P>) -> R,
    ) -> R {
        let ranges = [Pfn(0)..Pfn(64 * MIB)];
        let mut books = Books::new::<InDescriptor>(&ranges, &ONE_ZONE);
        let mut allocator = FrameAllocator::new(&ranges, &ONE_ZONE, books.metadata()).unwrap();
        let mut cache = FrameCache::new(&allocator);
        let result = test(&mut allocator, &mut cache);
        cache.drain(&mut allocator);
        assert_eq!(cache.frames(), 0);
        allocator.validate().unwrap();
        result
    }

    #[test]
    fn hot_lists_are_refilled_and_emptied_at_their_marks() {
        with_cache::<HotCold, _>(|allocator, cache| {
            // 64 MiB: batch 4, low 8, high 24. Up to 8 frames on the list each request takes a batch and gives out one.
            let mut lengths = Vec::new();
            let mut blocks = Vec::new();
            for _ in 0..6 {
                blocks.push(cache.alloc_page(allocator, Gfp::KERNEL).unwrap());
                lengths.push(cache.frames());
            }
            assert_eq!(lengths, [3, 6, 9, 8, 11, 10]);
            // The cold list starts empty, and takes one batch at a time.
            blocks.push(
                cache
                    .alloc_page(allocator, Gfp::KERNEL | Gfp::COLD)
                    .unwrap(),
            );
            assert_eq!(cache.frames(), 13);
            while cache.frames() < 27 {
                let block = allocator.alloc_page(Gfp::KERNEL).unwrap();
                cache.free(allocator, block).unwrap();
            }
            // 24 hot ones: the next free gives four back first.
            cache.free(allocator, blocks.pop().unwrap()).unwrap();
            assert_eq!(cache.frames(), 24);
            for block in blocks {
                cache.free(allocator, block).unwrap();
            }
        });
    }

    #[test]
    fn what_was_freed_last_is_given_out_first() {
        with_cache::<Batched, _>(|allocator, cache| {
            let [first, second] =
                [(); 2].map(|()| cache.alloc_page(allocator, Gfp::KERNEL).unwrap());
            let (first_frame, second_frame) = (first.pfn(), second.pfn());
            cache.free(allocator, first).unwrap();
            cache.free(allocator, second).unwrap();
            let [third, fourth] =
                [(); 2].map(|()| cache.alloc_page(allocator, Gfp::KERNEL).unwrap());
            assert_eq!((third.pfn(), fourth.pfn()), (second_frame, first_frame));
            cache.free(allocator, third).unwrap();
            cache.free(allocator, fourth).unwrap();
        });
    }

    #[test]
    fn a_cached_frame_is_free_to_whoever_frees_it_again() {
        with_cache::<Batched, _>(|allocator, cache| {
            let block = cache.alloc_page(allocator, Gfp::KERNEL).unwrap();
            let pfn = block.pfn();
            cache.free(allocator, block).unwrap();
            let frames = cache.frames();
            assert_eq!(
                allocator.free_pages(pfn, Order::ZERO),
                Err(FreeError::AlreadyFree { pfn })
            );
            assert_eq!(cache.frames(), frames);
        });
    }

    #[test]
    fn the_last_frames_are_to_be_had_past_the_cache() {
        with_cache::<Batched, _>(|allocator, cache| {
            let all = allocator.free_frames();
            let gfp = Gfp::KERNEL | Gfp::MEMALLOC;
            let blocks: Vec<_> =
                core::iter::from_fn(|| cache.alloc_page(allocator, gfp).ok()).collect();
            assert_eq!(blocks.len() as u64, all);
            let different: BTreeSet<_> = blocks.iter().map(|block| block.pfn()).collect();
            assert_eq!(different.len(), blocks.len());
            for block in blocks {
                cache.free(allocator, block).unwrap();
            }
        });
    }

    #[test]
    fn requests_for_other_zones_pass_by() {
        let ranges = [Pfn(0)..Pfn(64 * MIB)];
        let mut books = Books::new::<InDescriptor>(&ranges, &WIDE);
        let mut allocator: FrameAllocator<'_> =
            FrameAllocator::new(&ranges, &WIDE, books.metadata()).unwrap();
        let mut cache = FrameCache::<HotCold>::new(&allocator);
        let block = cache
            .alloc_page(&mut allocator, Gfp::KERNEL | Gfp::DMA)
            .unwrap();
        assert!(block.pfn() < Pfn(16 * MIB));
        cache.free(&mut allocator, block).unwrap();
        assert_eq!(cache.frames(), 0);
        allocator.validate().unwrap();
    }

    fn churn<P: CachePolicy>(operations: &[(bool, bool, u8)]) {
        with_cache::<P, _>(|allocator, cache| {
            let before = allocator.free_frames();
            let mut blocks: Vec<Block> = Vec::new();
            for &(alloc, cold, choice) in operations {
                if alloc || blocks.is_empty() {
                    let gfp = if cold {
                        Gfp::KERNEL | Gfp::COLD
                    } else {
                        Gfp::KERNEL
                    };
                    let block = cache.alloc_page(allocator, gfp).unwrap();
                    assert!(
                        blocks.iter().all(|other| other.pfn() != block.pfn()),
                        "given out twice"
                    );
                    blocks.push(block);
                } else {
                    let block = blocks.swap_remove(usize::from(choice) % blocks.len());
                    cache.free(allocator, block).unwrap();
                }
                let held = (blocks.len() + cache.frames()) as u64;
                assert_eq!(allocator.free_frames() + held, before);
            }
            for block in blocks {
                cache.free(allocator, block).unwrap();
            }
        });
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 64 }))]

        #[test]
        fn no_frame_is_lost_or_given_out_twice(operations in prop::collection::vec(any::<(bool, bool, u8)>(), 1..300)) {
            churn::<HotCold>(&operations);
            churn::<Batched>(&operations);
        }
    }
}
