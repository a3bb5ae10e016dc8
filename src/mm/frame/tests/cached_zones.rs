//! Caches in front of every back end, and many frames at once: the same tests for a zone behind a lock and for one without.

use std::collections::BTreeMap;
use std::vec::Vec;

use proptest::prelude::*;

use super::at_once::at_once;
use super::tree::TreeStorage;
use super::*;

const CPUS: usize = 4;
const MIB: u64 = 256;

/// What a back end is to pass.
trait Test {
    fn on<'m, Z: Cacheable<'m> + WholeZone + Sync>(&self, zone: &Z);
}

fn on_locked<B: Buddy + Send>(frames: u64, test: &impl Test) {
    let ranges = [Pfn(0)..Pfn(frames)];
    let mut storage = Storage::new::<B>(&ranges, &ONE_ZONE);
    let zone = FrameAllocator::<B>::new(&ranges, &ONE_ZONE, storage.metadata()).unwrap();
    let zone = SharedFrames::new(zone);
    test.on(&zone);
    let zone = zone.into_inner();
    zone.validate().unwrap();
    assert_eq!(zone.free_frames(), frames);
}

/// The test on every back end, over the given number of frames; afterwards all of them have to be free.
fn on_every_back_end(frames: u64, test: impl Test) {
    on_locked::<InDescriptor>(frames, &test);
    on_locked::<PairBitmap>(frames, &test);
    let span = Pfn(0)..Pfn(frames);
    let mut storage = TreeStorage::new(&span);
    let zone = storage.zone(span);
    test.on(&zone);
    WholeZone::validate(&zone).unwrap();
    assert_eq!(WholeZone::free_frames(&zone), frames);
}

fn slots<'m, Z: Cacheable<'m>, P: CachePolicy>(zone: &Z) -> Vec<Slot<'m, P>> {
    (0..CPUS).map(|cpu| Slot::new(zone, cpu, CPUS)).collect()
}

/// Random operations of CPUs in turn, by way of their caches: no block overlaps another, every frame is counted once, and a second
/// free is refused.
struct Churn<'o>(&'o [(u8, bool, u16)]);

impl Churn<'_> {
    fn through<'m, P: CachePolicy>(&self, zone: &(impl Cacheable<'m> + WholeZone)) {
        let slots = slots::<_, P>(zone);
        let cached = CachedZone::new(zone, &slots);
        let mut held: BTreeMap<u64, Order> = BTreeMap::new();
        for &(cpu, take, choice) in self.0 {
            let cpu = usize::from(cpu) % CPUS;
            let place = usize::from(choice) % held.len().max(1);
            if take {
                let order = order([0, 0, 0, 1, 2, 3, 5, 9][usize::from(choice) % 8]);
                let Ok(block) = cached.alloc_pages(cpu, Gfp::KERNEL, order) else {
                    assert_eq!(cached.cached_frames(), 0, "frames stay in caches");
                    continue;
                };
                let (pfn, order) = block.into_raw();
                assert!(pfn.0.is_multiple_of(order.frames()));
                let before = held.range(..pfn.0 + order.frames()).next_back();
                assert!(before.is_none_or(|(start, order)| start + order.frames() <= pfn.0));
                held.insert(pfn.0, order);
            } else if let Some((&pfn, &order)) = held.iter().nth(place) {
                held.remove(&pfn);
                cached.free_pages(cpu, Pfn(pfn), order).unwrap();
                let again = cached.free_pages((cpu + 1) % CPUS, Pfn(pfn), order);
                assert!(again.is_err(), "{pfn:#x} of order {order} twice");
            }
            let taken: u64 = held.values().map(|order| order.frames()).sum();
            let free = zone.free_frames() + cached.cached_frames() as u64;
            assert_eq!(free + taken, zone.present_frames());
        }
        for (pfn, order) in held {
            cached.free_pages(0, Pfn(pfn), order).unwrap();
        }
        cached.drain();
    }
}

impl Test for Churn<'_> {
    fn on<'m, Z: Cacheable<'m> + WholeZone + Sync>(&self, zone: &Z) {
        self.through::<Batched>(zone);
        self.through::<HotCold>(zone);
    }
}

/// Many frames taken in one call and given back in another order: each is there once, as many as asked for or all; a frame that is
/// given back twice is named.
struct Many<'o>(&'o [(u8, u16, u16)]);

impl Test for Many<'_> {
    fn on<'m, Z: Cacheable<'m> + WholeZone + Sync>(&self, zone: &Z) {
        let mut held = Vec::new();
        for &(cpu, count, choice) in self.0 {
            let cpu = usize::from(cpu) % CPUS;
            let count = usize::from(count) % 700;
            let free = zone.free_frames();
            if choice.is_multiple_of(2) {
                let mut frames = std::vec![Pfn(u64::MAX); count];
                let taken = zone.take_many(cpu, &mut frames);
                assert_eq!(taken as u64, free.min(count as u64));
                assert!(frames[taken..].iter().all(|pfn| pfn.0 == u64::MAX));
                held.extend_from_slice(&frames[..taken]);
                assert_eq!(zone.free_frames(), free - taken as u64);
            } else {
                let count = count.min(held.len());
                let start = usize::from(choice) % (held.len() - count + 1);
                let mut frames: Vec<_> = held.drain(start..start + count).collect();
                frames.reverse();
                zone.give_many(cpu, &frames).unwrap();
                assert_eq!(zone.free_frames(), free + count as u64);
                if let Some(&pfn) = frames.last() {
                    let error = FreeError::AlreadyFree { pfn };
                    assert_eq!(zone.give_many(cpu, &[pfn]), Err(error));
                }
            }
            let mut sorted = held.clone();
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!(sorted.len(), held.len(), "a frame was given out twice");
            zone.validate().unwrap();
        }
        zone.give_many(0, &held).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 1 } else { 32 }))]

    #[test]
    fn caches_lose_no_frame_over_any_back_end(operations in prop::collection::vec(any::<(u8, bool, u16)>(), 1..if cfg!(miri) { 20 } else { 300 })) {
        on_every_back_end(4 * MIB, Churn(&operations));
        // Too little for all requests, so that caches are emptied for others.
        on_every_back_end(1024, Churn(&operations));
    }

    #[test]
    fn many_frames_come_and_go(operations in prop::collection::vec(any::<(u8, u16, u16)>(), 1..if cfg!(miri) { 6 } else { 40 })) {
        on_every_back_end(16 * MIB, Many(&operations));
    }
}

/// The frames before a bad one have gone back, and those behind it have not.
struct OneBad;

impl Test for OneBad {
    fn on<'m, Z: Cacheable<'m> + WholeZone + Sync>(&self, zone: &Z) {
        let mut frames = [Pfn(0); 5];
        assert_eq!(zone.take_many(0, &mut frames), 5);
        zone.give(0, frames[2], Order::ZERO).unwrap();
        let free = zone.free_frames();
        let pfn = frames[2];
        assert_eq!(
            zone.give_many(1, &frames),
            Err(FreeError::AlreadyFree { pfn })
        );
        assert_eq!(zone.free_frames(), free + 2);
        zone.give_many(1, &frames[3..]).unwrap();
    }
}

#[test]
fn a_bad_frame_among_many_is_named() {
    on_every_back_end(MIB, OneBad);
}

/// A block that needs what another CPU's cache holds: that is emptied first.
struct RemoteDrain;

impl Test for RemoteDrain {
    fn on<'m, Z: Cacheable<'m> + WholeZone + Sync>(&self, zone: &Z) {
        let slots = slots::<_, Batched>(zone);
        let cached = CachedZone::new(zone, &slots);
        let gfp = Gfp::KERNEL | Gfp::MEMALLOC;
        let largest = order(9);
        let block = cached.alloc_pages(3, gfp, Order::ZERO).unwrap();
        cached
            .free_pages(3, block.into_raw().0, Order::ZERO)
            .unwrap();
        assert!(cached.cached_frames() > 0);
        let mut blocks = Vec::new();
        while let Ok(block) = cached.alloc_pages(0, gfp, largest) {
            blocks.push(block.into_raw().0);
        }
        assert_eq!(blocks.len() as u64, zone.present_frames() / 512);
        for pfn in blocks {
            cached.free_pages(0, pfn, largest).unwrap();
        }
    }
}

#[test]
fn a_request_gets_what_other_cpus_caches_hold() {
    on_every_back_end(16 * MIB, RemoteDrain);
}

/// CPUs at once, each by way of its cache, which turns frames of its own between "allocated" and "cached" while another CPU reads those
/// words as a buddy's. Under Miri this finds data races, too.
struct AtOnce {
    steps: usize,
}

impl Test for AtOnce {
    fn on<'m, Z: Cacheable<'m> + WholeZone + Sync>(&self, zone: &Z) {
        let slots = slots::<_, Batched>(zone);
        let cached = CachedZone::new(zone, &slots);
        at_once(
            CPUS,
            self.steps,
            zone.present_frames(),
            [0, 0, 0, 1, 1, 3, 4, 9],
            |cpu, order| cached.alloc_pages(cpu, Gfp::KERNEL, order).ok(),
            |cpu, pfn, order| cached.free_pages(cpu, pfn, order).unwrap(),
        );
        cached.drain();
    }
}

#[test]
fn cpus_with_a_cache_each_never_share_a_frame() {
    let steps = if cfg!(miri) { 60 } else { 30_000 };
    on_every_back_end(4096, AtOnce { steps });
}

/// A long run of [`AtOnce`]: 10^8 operations on each back end, by four CPUs. Slow, so only on demand:
/// `cargo test --release --lib soak -- --ignored`.
#[test]
#[ignore = "takes minutes"]
fn soak_cpus_with_a_cache_each() {
    let steps = 100_000_000 / CPUS;
    on_every_back_end(16 * MIB, AtOnce { steps });
}
