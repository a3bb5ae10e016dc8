//! The allocator against a model that is too simple to be wrong: one boolean for each frame.
//!
//! Which frames are free determines everything else. A buddy system that merges all that can be merged has exactly one
//! state of its lists for them, block by block, and the marks say from free counts alone which zone serves a request.

use std::vec::Vec;

use proptest::prelude::*;

use super::*;

/// The zones of a small machine, each with an odd start, a hole and an odd end.
struct Layout {
    zones: &'static ZoneEnds,
    ranges: [FrameRange; 5],
}

/// Three zones of the direct map.
fn wide() -> Layout {
    let dma32 = 16 << 8;
    let normal = 4 << 18;
    Layout {
        zones: &WIDE,
        ranges: [
            Pfn(1)..Pfn(159),
            Pfn(256)..Pfn(700),
            Pfn(dma32 - 40)..Pfn(dma32 + 530),
            Pfn(dma32 + 531)..Pfn(dma32 + 600),
            Pfn(normal + 1000)..Pfn(normal + 2200),
        ],
    }
}

/// Two zones of the direct map and high memory.
fn classic() -> Layout {
    let normal = 16 << 8;
    let high = 896 << 8;
    Layout {
        zones: &CLASSIC,
        ranges: [
            Pfn(3)..Pfn(159),
            Pfn(256)..Pfn(700),
            Pfn(normal)..Pfn(normal + 1301),
            Pfn(high)..Pfn(high + 700),
            Pfn(high + 1025)..Pfn(high + 1500),
        ],
    }
}

/// One zone of the model.
struct ZoneModel {
    kind: ZoneKind,
    /// The usable frames, in order.
    frames: Vec<u64>,
    /// Whether each is free.
    free: Vec<bool>,
    /// The free blocks of each order, as they followed from that after the last step.
    blocks: [u64; 11],
}

impl ZoneModel {
    fn new(kind: ZoneKind, frames: Vec<u64>, largest: u32) -> Self {
        let free = vec![true; frames.len()];
        let mut zone = ZoneModel {
            kind,
            frames,
            free,
            blocks: [0; 11],
        };
        zone.count_blocks(largest);
        zone
    }

    fn present(&self) -> u64 {
        self.frames.len() as u64
    }

    fn free_frames(&self) -> u64 {
        self.free.iter().filter(|free| **free).count() as u64
    }

    /// Counts free blocks by trying every aligned block, largest first.
    fn count_blocks(&mut self, largest: u32) {
        let frames = self.frames.iter().zip(&self.free);
        let mut left: Vec<u64> = frames
            .filter(|(_, free)| **free)
            .map(|(pfn, _)| *pfn)
            .collect();
        self.blocks = [0; 11];
        for order in (0..=largest).rev() {
            let size = 1 << order;
            let mut rest = Vec::new();
            let mut at = 0;
            while at < left.len() {
                let last = left.get(at + size - 1);
                if left[at].is_multiple_of(size as u64)
                    && last == Some(&(left[at] + size as u64 - 1))
                {
                    self.blocks[order as usize] += 1;
                    at += size;
                } else {
                    rest.push(left[at]);
                    at += 1;
                }
            }
            left = rest;
        }
    }

    fn has_block(&self, order: u32) -> bool {
        self.blocks[order as usize..].iter().any(|&count| count > 0)
    }

    /// Marks a block's frames, if they are of this zone. They have to be in the opposite state, all of them.
    fn set(&mut self, pfn: Pfn, order: Order, free: bool) -> bool {
        let Ok(at) = self.frames.binary_search(&pfn.0) else {
            return false;
        };
        let size = order.frames() as usize;
        assert_eq!(self.frames[at + size - 1], pfn.0 + size as u64 - 1);
        assert!(self.free[at..at + size].iter().all(|&state| state != free));
        self.free[at..at + size].fill(free);
        true
    }
}

/// The machine of the model, and what is allocated.
struct Model {
    /// Lowest first.
    zones: Vec<ZoneModel>,
    largest: u32,
    live: Vec<(Pfn, Order)>,
}

impl Model {
    fn new(layout: &Layout, largest: u32) -> Self {
        let mut start = 0;
        let zones = layout.zones.iter().map(|&(kind, end)| {
            let ranges = layout.ranges.iter().cloned();
            let frames = ranges.flat_map(|range| range.start.0..range.end.0);
            let frames = frames.filter(|frame| (start..end.0).contains(frame));
            let zone = ZoneModel::new(kind, frames.collect(), largest);
            start = end.0;
            zone
        });
        let zones = zones.filter(|zone| zone.present() > 0).collect();
        Model {
            zones,
            largest,
            live: Vec::new(),
        }
    }

    /// The zones of a request, best first.
    fn zonelist(&self, gfp: Gfp) -> Vec<&ZoneModel> {
        let has_dma32 = self.zones.iter().any(|zone| zone.kind == ZoneKind::Dma32);
        let highest = if gfp.contains(Gfp::DMA) {
            ZoneKind::Dma
        } else if gfp.contains(Gfp::DMA32) && has_dma32 {
            ZoneKind::Dma32
        } else if gfp.contains(Gfp::HIGHMEM) && !gfp.contains(Gfp::DMA32) {
            ZoneKind::HighMem
        } else {
            ZoneKind::Normal
        };
        self.zones
            .iter()
            .rev()
            .filter(|zone| zone.kind <= highest)
            .collect()
    }

    /// The zone that has to serve a request.
    fn serving(&self, gfp: Gfp, order: u32) -> Option<ZoneKind> {
        if order > self.largest {
            return None;
        }
        let walk = |mark: &dyn Fn(Watermarks) -> u64| {
            let mut needed = 1 << order;
            self.zonelist(gfp).into_iter().find(|zone| {
                needed += mark(Watermarks::for_zone(zone.present()));
                zone.free_frames() > needed && zone.has_block(order)
            })
        };
        let quarter = if gfp.contains(Gfp::WAIT) { 1 } else { 4 };
        let zone = walk(&|marks| marks.low).or_else(|| walk(&|marks| marks.min / quarter));
        let zone = zone.or_else(|| {
            let mut all = self.zonelist(gfp).into_iter();
            let last = |zone: &&ZoneModel| gfp.contains(Gfp::MEMALLOC) && zone.has_block(order);
            all.find(last)
        });
        zone.map(|zone| zone.kind)
    }

    /// Marks a block's frames as taken or free, and says of which zone they are.
    fn set(&mut self, pfn: Pfn, order: Order, free: bool) -> ZoneKind {
        assert!(pfn.0.is_multiple_of(order.frames()), "{pfn:?} of {order:?}");
        let mut zones = self.zones.iter_mut();
        let zone = zones.find_map(|zone| zone.set(pfn, order, free).then_some(zone.kind));
        zone.unwrap_or_else(|| panic!("{pfn:?} is in no zone"))
    }

    /// Ends a step: draws the conclusions from the frames that changed, and compares.
    fn check<B: Buddy>(&mut self, allocator: &FrameAllocator<'_, B>) {
        for zone in &mut self.zones {
            zone.count_blocks(self.largest);
        }
        allocator.validate().unwrap();
        let infos: Vec<_> = allocator.buddy_info().collect();
        assert_eq!(infos.len(), self.zones.len());
        for (info, zone) in infos.iter().zip(&self.zones) {
            assert_eq!((info.kind, info.present), (zone.kind, zone.present()));
            assert_eq!(info.free, zone.free_frames(), "{}", zone.kind);
            assert_eq!(info.blocks, zone.blocks, "{}", zone.kind);
        }
    }
}

/// One step. Numbers pick from whatever there is at that moment.
#[derive(Clone, Debug)]
enum Step {
    Alloc {
        gfp: Gfp,
        order: u8,
    },
    Free {
        which: usize,
    },
    FreeBadly {
        which: usize,
        offset: i64,
        order: u8,
    },
    Bulk {
        gfp: Gfp,
        frames: u64,
        largest: u8,
    },
    FreeList,
    BringToLife,
}

fn gfp() -> impl Strategy<Value = Gfp> {
    let sets = [
        Gfp::KERNEL,
        Gfp::ATOMIC,
        Gfp::HIGHUSER,
        Gfp::KERNEL | Gfp::DMA,
        Gfp::KERNEL | Gfp::DMA32,
        Gfp::DMA32 | Gfp::HIGHMEM,
        Gfp::KERNEL | Gfp::MEMALLOC,
        Gfp::HIGHUSER | Gfp::MEMALLOC,
    ];
    prop::sample::select(sets.to_vec())
}

fn step() -> impl Strategy<Value = Step> {
    // Small blocks more often.
    let order = || prop_oneof![4 => 0..3u8, 2 => 3..9u8, 1 => 9..12u8];
    prop_oneof![
        8 => (gfp(), order()).prop_map(|(gfp, order)| Step::Alloc { gfp, order }),
        6 => any::<usize>().prop_map(|which| Step::Free { which }),
        2 => (any::<usize>(), -3..4i64, order())
            .prop_map(|(which, offset, order)| Step::FreeBadly { which, offset, order }),
        1 => (gfp(), 1..900u64, 0..11u8)
            .prop_map(|(gfp, frames, largest)| Step::Bulk { gfp, frames, largest }),
        1 => Just(Step::FreeList),
        1 => Just(Step::BringToLife),
    ]
}

fn agree<B: Buddy>(layout: &Layout, steps: &[Step]) {
    let mut storage = Storage::new::<B>(&layout.ranges, layout.zones);
    let mut allocator =
        FrameAllocator::<B>::new(&layout.ranges, layout.zones, storage.metadata()).unwrap();
    let mut model = Model::new(layout, B::LARGEST);
    let mut list = BlockList::EMPTY;
    model.check(&allocator);
    for step in steps {
        match *step {
            Step::Alloc { gfp, order } => {
                let order = super::order(order.min(Order::MAX.get()));
                let expected = model.serving(gfp, order.get().into());
                match allocator.alloc_pages(gfp, order) {
                    Ok(block) => {
                        let (pfn, given) = block.into_raw();
                        assert_eq!(given, order);
                        assert_eq!(Some(model.set(pfn, order, false)), expected);
                        model.live.push((pfn, order));
                    }
                    Err(AllocError::OutOfFrames { order: reported }) => {
                        assert_eq!((expected, reported), (None, order));
                    }
                    Err(AllocError::OrderTooLarge { .. }) => {
                        assert!(u32::from(order.get()) > B::LARGEST);
                    }
                }
            }
            Step::Free { which } => {
                if !model.live.is_empty() {
                    let (pfn, order) = model.live.swap_remove(which % model.live.len());
                    allocator.free_pages(pfn, order).unwrap();
                    model.set(pfn, order, true);
                }
            }
            Step::FreeBadly {
                which,
                offset,
                order,
            } => {
                let order = super::order(order.min(Order::MAX.get()));
                let (pfn, _) = match model.live.len() {
                    0 => (Pfn(256), Order::ZERO),
                    live => model.live[which % live],
                };
                let pfn = Pfn(pfn.0.wrapping_add_signed(offset));
                if !model.live.contains(&(pfn, order)) {
                    allocator.free_pages(pfn, order).unwrap_err();
                }
            }
            Step::Bulk {
                gfp,
                frames,
                largest,
            } => {
                let largest = order(largest);
                match allocator.alloc_bulk(gfp, frames, largest) {
                    Ok(more) => {
                        assert_eq!(more.frames(), frames);
                        let blocks: Vec<_> = allocator.blocks(&more).collect();
                        assert_eq!(blocks.len() as u64, more.blocks());
                        for (pfn, order) in blocks {
                            assert!(order <= largest);
                            let zone = model.set(pfn, order, false);
                            let allowed = model.zonelist(gfp);
                            assert!(allowed.iter().any(|model| model.kind == zone), "{zone}");
                            // It goes back with its list, and only so.
                            let alone = allocator.free_pages(pfn, order);
                            assert_eq!(alone, Err(FreeError::OnList { pfn }));
                        }
                        allocator.append(&mut list, more);
                    }
                    Err(error) => assert!(error.available < frames),
                }
            }
            Step::FreeList => {
                for (pfn, order) in allocator.blocks(&list).collect::<Vec<_>>() {
                    model.set(pfn, order, true);
                }
                allocator
                    .free_list(core::mem::replace(&mut list, BlockList::EMPTY))
                    .unwrap();
            }
            Step::BringToLife => allocator.bring_to_life(),
        }
        model.check(&allocator);
    }
    allocator.free_list(list).unwrap();
    for (pfn, order) in model.live {
        allocator.free_pages(pfn, order).unwrap();
    }
    Model::new(layout, B::LARGEST).check(&allocator);
}

/// Steps of a test; Miri takes its time.
const STEPS: core::ops::Range<usize> = if cfg!(miri) { 1..5 } else { 1..60 };

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 1 } else { 96 }))]

    #[test]
    fn todays_rule_agrees_with_the_model(steps in prop::collection::vec(step(), STEPS)) {
        agree::<InDescriptor>(&wide(), &steps);
        agree::<InDescriptor<9>>(&classic(), &steps);
    }

    #[test]
    fn the_books_rule_agrees_with_the_model(steps in prop::collection::vec(step(), STEPS)) {
        agree::<PairBitmap>(&classic(), &steps);
        agree::<PairBitmap<10>>(&wide(), &steps);
    }
}
