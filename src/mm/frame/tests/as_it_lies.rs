//! Requests whose frames are taken as they lie: single frames in chains, blocks among them, and their way back, against the set of
//! frames that are taken.

use std::collections::BTreeSet;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;

const FRAMES: u64 = 2048;

/// A step of a test. Indices are taken modulo what there is.
#[derive(Clone, Debug)]
enum Step {
    /// Takes a list of `frames` frames.
    Take(u64),
    /// Gives a list back.
    Give(usize),
    /// Gives the first block of a list back.
    GiveFirst(usize),
    /// Moves one list to the end of another.
    Append(usize, usize),
    /// Gives one of the frames back that were kept apart.
    Release(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let any = || any::<usize>();
    let step = prop_oneof![
        (1..300_u64).prop_map(Step::Take),
        any().prop_map(Step::Give),
        any().prop_map(Step::GiveFirst),
        (any(), any()).prop_map(|(from, to)| Step::Append(from, to)),
        any().prop_map(Step::Release),
    ];
    let most = if cfg!(miri) { 12 } else { 64 };
    proptest::collection::vec(step, 1..most)
}

/// The frames of a list, by its blocks.
fn frames_of<B: Buddy>(allocator: &FrameAllocator<'_, B>, list: &BlockList) -> Vec<u64> {
    let blocks = allocator.blocks(list);
    let frames = blocks.flat_map(|(pfn, order)| pfn.0..pfn.0 + order.frames());
    frames.collect()
}

fn run<B: Buddy>(kept: &[u64], steps: &[Step]) {
    let ranges = [Pfn(0)..Pfn(FRAMES)];
    let mut storage = Storage::new::<B>(&ranges, &ONE_ZONE);
    let mut allocator: FrameAllocator<'_, B> =
        FrameAllocator::new(&ranges, &ONE_ZONE, storage.metadata()).unwrap();
    // All frames are taken, and but for those that are kept apart they go back one by one.
    let count = allocator.free_frames();
    let mut all = allocator.alloc_bulk(ALL, count, Order::ZERO).unwrap();
    let mut kept_blocks = Vec::new();
    while let Some(block) = allocator.pop(&mut all) {
        match kept.contains(&block.pfn().0) {
            true => kept_blocks.push(block),
            false => allocator.free(block).unwrap(),
        }
    }
    let mut taken: BTreeSet<u64> = kept.iter().copied().collect();
    let mut lists = Vec::new();
    for step in steps {
        match *step {
            Step::Take(frames) => {
                let mut out = Vec::new();
                let Some(mut taking) = allocator.take_as_it_lies(Gfp::KERNEL, frames) else {
                    continue;
                };
                while (out.len() as u64) < frames {
                    let missing = frames - out.len() as u64;
                    match taking.run(missing.min(100)) {
                        Some(run) => out.extend(run.start.0..run.end.0),
                        None => {
                            let places = 0..missing.min(70) as usize;
                            assert!(taking.singles(places, |_, pfn| out.push(pfn.0)) > 0);
                        }
                    }
                }
                let list = taking.list();
                assert_eq!(list.frames(), frames);
                assert_eq!(frames_of(&allocator, &list), out);
                for frame in out {
                    assert!(taken.insert(frame), "frame {frame} was handed out twice");
                }
                lists.push(list);
            }
            Step::Give(list) if !lists.is_empty() => {
                let list = lists.swap_remove(list % lists.len());
                for frame in frames_of(&allocator, &list) {
                    taken.remove(&frame);
                }
                allocator.free_list(list).unwrap();
            }
            Step::GiveFirst(list) if !lists.is_empty() => {
                let list = list % lists.len();
                if let Some(block) = allocator.pop(&mut lists[list]) {
                    let (pfn, order) = block.into_raw();
                    for frame in pfn.0..pfn.0 + order.frames() {
                        taken.remove(&frame);
                    }
                    allocator.free_pages(pfn, order).unwrap();
                }
            }
            Step::Append(from, to) if lists.len() > 1 => {
                let from = lists.swap_remove(from % lists.len());
                let to = to % lists.len();
                allocator.append(&mut lists[to], from);
            }
            Step::Release(block) if !kept_blocks.is_empty() => {
                let block = kept_blocks.swap_remove(block % kept_blocks.len());
                taken.remove(&block.pfn().0);
                allocator.free(block).unwrap();
            }
            _ => {}
        }
        allocator.validate().unwrap();
        assert_eq!(allocator.free_frames(), FRAMES - taken.len() as u64);
    }
    for list in lists {
        allocator.free_list(list).unwrap();
    }
    for block in kept_blocks {
        allocator.free(block).unwrap();
    }
    allocator.validate().unwrap();
    let info = allocator.buddy_info().next().unwrap();
    assert_eq!(info.blocks.iter().sum::<u64>(), FRAMES >> B::LARGEST);
}

/// Every second frame: no two that are free are buddies. Or any: some merge when they go back.
fn kept() -> impl Strategy<Value = Vec<u64>> {
    let every_second = Just((0..FRAMES).step_by(2).collect::<Vec<_>>());
    let most = FRAMES as usize / 3;
    let any = proptest::collection::btree_set(0..FRAMES, 1..most);
    prop_oneof![
        every_second,
        any.prop_map(|kept| kept.into_iter().collect())
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 1 } else { 48 }))]

    #[test]
    fn frames_taken_as_they_lie_are_their_owners_alone(kept in kept(), steps in steps()) {
        run::<InDescriptor>(&kept, &steps);
        run::<PairBitmap>(&kept, &steps);
    }
}

/// A zone that has as many frames above its low mark as are asked for, and not one more, serves no such request.
#[test]
fn the_low_mark_stays_free() {
    let ranges = [Pfn(0)..Pfn(FRAMES)];
    let mut storage = Storage::new::<InDescriptor>(&ranges, &ONE_ZONE);
    let mut allocator: FrameAllocator<'_> =
        FrameAllocator::new(&ranges, &ONE_ZONE, storage.metadata()).unwrap();
    let above = FRAMES - Watermarks::for_zone(FRAMES).low;
    assert!(allocator.take_as_it_lies(Gfp::KERNEL, above).is_none());
    let low = Gfp::KERNEL | Gfp::DMA;
    assert!(allocator.take_as_it_lies(low, 1).is_none());
    let mut taking = allocator.take_as_it_lies(Gfp::KERNEL, above - 1).unwrap();
    while taking.run(FRAMES).is_some() {}
    let list = taking.list();
    assert_eq!(allocator.free_frames(), FRAMES - (above - 1));
    allocator.free_list(list).unwrap();
}
