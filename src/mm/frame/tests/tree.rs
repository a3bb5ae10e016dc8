//! The zone without a lock: against a set of blocks, with CPUs at it at once, and bad frees. The same for the back ends behind the
//! lock, as far as both do the same.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64 as Owner, Ordering};
use std::thread;

use proptest::prelude::*;

use super::at_once::at_once;
use super::*;

const CPUS: usize = 4;

/// The memory of a zone without a lock; it holds junk at first.
pub(super) struct TreeStorage(Vec<Descriptor>, Vec<AtomicU64>);

impl TreeStorage {
    pub(super) fn new(frames: &FrameRange) -> Self {
        let (descriptors, words) = TreeFrames::metadata_size(frames, CPUS);
        let junk = || {
            let descriptor = Descriptor::default();
            descriptor.set(JUNK);
            descriptor
        };
        TreeStorage(
            iter::repeat_with(junk).take(descriptors).collect(),
            (0..words).map(|_| AtomicU64::new(u64::MAX)).collect(),
        )
    }

    pub(super) fn zone(&mut self, frames: FrameRange) -> TreeFrames<'_> {
        TreeFrames::new(frames, CPUS, &mut self.0, &mut self.1).unwrap()
    }
}

/// Random operations: no block overlaps another, counts agree, and in the end all frames are to be had as the largest blocks.
fn against_a_set_of_blocks(zone: &impl WholeZone, operations: &[(u8, u8, u16)]) {
    let present = zone.present_frames();
    let mut held: BTreeMap<u64, Order> = BTreeMap::new();
    for &(cpu, kind, choice) in operations {
        let cpu = usize::from(cpu) % CPUS;
        if kind % 2 == 0 {
            let order = order((choice % 11) as u8);
            let Some(block) = zone.take(cpu, order) else {
                continue;
            };
            let (pfn, order) = block.into_raw();
            assert!(pfn.0.is_multiple_of(order.frames()));
            let before = held.range(..pfn.0 + order.frames()).next_back();
            assert!(before.is_none_or(|(start, order)| start + order.frames() <= pfn.0));
            held.insert(pfn.0, order);
        } else if let Some((&pfn, &order)) =
            held.iter().nth(usize::from(choice) % held.len().max(1))
        {
            held.remove(&pfn);
            zone.give(cpu, Pfn(pfn), order).unwrap();
            let again = zone.give(cpu, Pfn(pfn), order);
            assert!(again.is_err(), "{pfn:#x} of order {order} twice");
        }
        let taken: u64 = held.values().map(|order| order.frames()).sum();
        assert_eq!(zone.free_frames() + taken, present);
    }
    zone.validate().unwrap();
    for (pfn, order) in held {
        zone.give(0, Pfn(pfn), order).unwrap();
    }
    zone.validate().unwrap();
    assert_eq!(zone.free_frames(), present);
}

const FRAMES: FrameRange = Pfn(0x1000)..Pfn(0x1000 + 3 * 4096 + 1024);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 1 } else { 48 }))]

    #[test]
    fn blocks_never_overlap(operations in prop::collection::vec(any::<(u8, u8, u16)>(), 1..if cfg!(miri) { 20 } else { 400 })) {
        let mut storage = TreeStorage::new(&FRAMES);
        against_a_set_of_blocks(&storage.zone(FRAMES), &operations);
        let ranges = [FRAMES];
        let mut storage = Storage::new::<InDescriptor>(&ranges, &ONE_ZONE);
        let zone = FrameAllocator::<InDescriptor>::new(&ranges, &ONE_ZONE, storage.metadata()).unwrap();
        against_a_set_of_blocks(&SharedFrames::new(zone), &operations);
    }
}

/// Every frame can be taken by one CPU, whichever CPU reserved it or gave it back, at every order; and no more.
#[test]
fn the_last_block_of_every_order_is_to_be_had() {
    if cfg!(miri) {
        return;
    }
    // With ends that no block of 2 MiB has.
    let frames = Pfn(0x400 + 3)..Pfn(0x400 + 2 * 4096 + 77);
    let mut storage = TreeStorage::new(&frames);
    let zone = storage.zone(frames.clone());
    for exponent in 0..=10 {
        let size = 1 << exponent;
        let blocks = frames.end.0 / size - frames.start.0.div_ceil(size);
        let mut taken = Vec::new();
        for number in 0.. {
            // The others have reservations that they use no more.
            let cpu = if number < 8 { number % CPUS } else { 0 };
            match zone.take(cpu, order(exponent)) {
                Some(block) => taken.push(block.into_raw()),
                None => break,
            }
        }
        assert_eq!(taken.len() as u64, blocks, "order {exponent}");
        for (number, (pfn, order)) in taken.into_iter().enumerate() {
            zone.give(number % CPUS, pfn, order).unwrap();
        }
        zone.validate().unwrap();
        assert_eq!(zone.free_frames(), frames.end.0 - frames.start.0);
    }
}

#[test]
fn a_bad_free_names_what_is_wrong_and_changes_nothing() {
    let mut storage = TreeStorage::new(&FRAMES);
    let zone = storage.zone(FRAMES);
    for exponent in [0, 3, 6, 8, 9, 10] {
        let order = order(exponent);
        let pfn = zone.take(0, order).unwrap().into_raw().0;
        let free = zone.free_frames();
        let wrong = Order::new(exponent.abs_diff(1)).unwrap();
        let error = FreeError::WrongOrder {
            pfn,
            order: wrong,
            allocated: order,
        };
        if pfn.0.is_multiple_of(wrong.frames()) {
            assert_eq!(zone.give(1, pfn, wrong), Err(error));
        }
        if exponent > 0 {
            let inside = pfn.add(1);
            let error = FreeError::InsideBlock { pfn: inside, order };
            assert_eq!(zone.give(1, inside, Order::ZERO), Err(error));
            let (pfn, error) = (inside, FreeError::Misaligned { pfn: inside, order });
            assert_eq!(zone.give(1, pfn, order), Err(error));
        }
        assert_eq!(zone.free_frames(), free);
        zone.give(1, pfn, order).unwrap();
        let error = FreeError::AlreadyFree { pfn };
        assert_eq!(zone.give(1, pfn, order), Err(error));
        zone.validate().unwrap();
    }
    let pfn = FRAMES.end;
    let error = FreeError::OutOfRange { pfn };
    assert_eq!(zone.give(0, pfn, Order::ZERO), Err(error));
    let pfn = Pfn(0);
    let error = FreeError::OutOfRange { pfn };
    assert_eq!(zone.give(0, pfn, Order::ZERO), Err(error));
}

/// CPUs take, hand on and give back at once: a frame has one owner at a time.
#[test]
fn cpus_at_once_never_share_a_frame() {
    let steps = if cfg!(miri) { 40 } else { 100_000 };
    let frames = Pfn(0)..Pfn(if cfg!(miri) { 1024 } else { 2 * 4096 });
    let mut storage = TreeStorage::new(&frames);
    let zone = storage.zone(frames.clone());
    at_once(
        CPUS,
        steps,
        frames.end.0,
        [0, 0, 0, 1, 3, 6, 7, 9],
        |cpu, order| zone.take(cpu, order),
        |cpu, pfn, order| zone.give(cpu, pfn, order).unwrap(),
    );
    zone.validate().unwrap();
    assert_eq!(zone.free_frames(), frames.end.0);
}

/// Of two CPUs that free a block at the same moment one is refused.
#[test]
fn a_block_is_freed_once_by_cpus_at_once() {
    let rounds = if cfg!(miri) { 5 } else { 20_000 };
    let frames = Pfn(0)..Pfn(1024);
    let mut storage = TreeStorage::new(&frames);
    let zone = storage.zone(frames);
    let exponents = [0, 3, 7, 9];
    let (next, freed) = (Owner::new(0), Owner::new(0));
    let barrier = std::sync::Barrier::new(2);
    let round = |cpu: usize| {
        for round in 0..rounds {
            let order = order(exponents[round % 4]);
            if cpu == 0 {
                let pfn = zone.take(0, order).unwrap().into_raw().0;
                next.store(pfn.0, Ordering::Relaxed);
            }
            barrier.wait();
            let pfn = Pfn(next.load(Ordering::Relaxed));
            if zone.give(cpu, pfn, order).is_ok() {
                freed.fetch_add(1, Ordering::Relaxed);
            }
            barrier.wait();
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| round(1));
        round(0);
    });
    assert_eq!(freed.load(Ordering::Relaxed), rounds as u64);
    zone.validate().unwrap();
    assert_eq!(zone.free_frames(), 1024);
}
