//! vmalloc on an arena, with a TLB that keeps whatever it may keep.

use std::collections::BTreeMap;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::mm::address::{FrameRange, Pfn, PhysAddr};
use crate::mm::frame::{Descriptor, FrameAllocator, InDescriptor, Metadata, WIDE};
use crate::mm::model::{Arena, ModelTlb};
use crate::mm::tlb::Tlb;

const REGION: u64 = 0xffff_8980_0000_0000;
/// Frames of the arena: 6 MiB. Frame 0 is the root table, and the allocator has all others.
const FRAMES: u64 = 1536;
const USABLE: [FrameRange; 1] = [Pfn(1)..Pfn(FRAMES)];
const RAM: [FrameRange; 1] = [Pfn(0)..Pfn(FRAMES)];

type Kernel<'a> = KernelMemory<'a, &'a Arena, &'a ModelTlb>;
type Slots = Vec<Slot<Contents>>;

/// Runs `test` on a kernel whose region has `pages` pages.
fn with_kernel<R>(
    pages: u64,
    test: impl FnOnce(&mut Kernel<'_>, &mut Vmalloc<FirstFit<'_, Contents>>, &Arena, &ModelTlb) -> R,
) -> R {
    let arena = Arena::new(FRAMES);
    let cache = ModelTlb::default();
    let mut descriptors: Vec<_> = (0..2048).map(|_| Descriptor::default()).collect();
    let metadata = Metadata {
        descriptors: &mut descriptors,
        words: &mut [],
    };
    let frames = FrameAllocator::<InDescriptor>::new(&USABLE, &WIDE, metadata).unwrap();
    let mut slots: Slots = (0..16).map(|_| Slot::UNUSED).collect();
    let region = VirtAddr(REGION)..VirtAddr(REGION + pages * PAGE_SIZE);
    let mut vmalloc = Vmalloc::new(FirstFit::new(region, &mut slots));
    let mut kernel = arena.kernel_memory(&RAM, frames, Tlb::new(&cache, 8));
    test(&mut kernel, &mut vmalloc, &arena, &cache)
}

/// Frames that are free or have become tables: the same number whenever no area is live.
fn accounted(kernel: &Kernel<'_>) -> u64 {
    kernel.frames.free_frames() + kernel.table_frames()
}

#[test]
fn the_lowest_gap_is_taken_and_guard_pages_lie_between() {
    with_kernel(1 << 20, |kernel, vmalloc, _, _| {
        let mut allocate = |pages: u64| vmalloc.vmalloc(pages * PAGE_SIZE, kernel).unwrap();
        // 2.4's `get_vm_area`, step by step.
        let areas = [allocate(1), allocate(2), allocate(3), allocate(1)];
        assert_eq!(
            areas.each_ref().map(|area| area.start().0 - REGION),
            [0, 0x2000, 0x5000, 0x9000]
        );
        let [_, second, third, _] = areas;
        for area in [&second, &third] {
            assert_eq!(kernel.table.translate(area.guard_page()), None);
        }
        vmalloc.vfree(second, kernel).unwrap();
        let one = vmalloc.vmalloc(PAGE_SIZE, kernel).unwrap();
        let two = vmalloc.vmalloc(2 * PAGE_SIZE, kernel).unwrap();
        assert_eq!(
            (one.start().0 - REGION, two.start().0 - REGION),
            (0x2000, 0xb000)
        );
    });
}

#[test]
fn bad_requests_are_named_and_change_nothing() {
    with_kernel(64, |kernel, vmalloc, _, _| {
        let before = accounted(kernel);
        let present = kernel.frames.present_frames() * PAGE_SIZE;
        for (bytes, error) in [
            (0, VmallocError::NoBytes),
            (
                u64::MAX,
                VmallocError::MoreThanRam {
                    bytes: u64::MAX,
                    present,
                },
            ),
            (
                present + 1,
                VmallocError::MoreThanRam {
                    bytes: present + 1,
                    present,
                },
            ),
            // The first request of all, larger than the region: 2.4 lets it pass.
            (
                64 * PAGE_SIZE,
                VmallocError::Search(SearchError::NoGap { pages: 65 }),
            ),
        ] {
            assert_eq!(vmalloc.vmalloc(bytes, kernel), Err(error), "{bytes}");
        }
        let whole = vmalloc.vmalloc(63 * PAGE_SIZE, kernel).unwrap();
        let start = whole.start();
        for (address, error) in [
            (
                VirtAddr(0),
                VfreeError::NoArea {
                    address: VirtAddr(0),
                },
            ),
            (
                VirtAddr(start.0 + 8),
                VfreeError::Misaligned {
                    address: VirtAddr(start.0 + 8),
                },
            ),
            (
                VirtAddr(start.0 + 4096),
                VfreeError::NoArea {
                    address: VirtAddr(start.0 + 4096),
                },
            ),
        ] {
            assert_eq!(vmalloc.vfree_at(address, kernel), Err(error));
        }
        assert_eq!(vmalloc.live(), 1);
        vmalloc.vfree(whole, kernel).unwrap();
        assert_eq!(
            vmalloc.vfree_at(start, kernel),
            Err(VfreeError::NoArea { address: start })
        );
        assert_eq!(accounted(kernel), before);
    });
}

#[test]
fn every_slot_and_every_frame_comes_back() {
    with_kernel(1 << 20, |kernel, vmalloc, _, _| {
        let before = accounted(kernel);
        let areas: Vec<_> = (0..16)
            .map(|_| vmalloc.vmalloc(1, kernel).unwrap())
            .collect();
        assert_eq!(
            vmalloc.vmalloc(1, kernel),
            Err(VmallocError::Search(SearchError::NoSlot { slots: 16 }))
        );
        for area in areas {
            vmalloc.vfree(area, kernel).unwrap();
        }
        // Nearly all frames but those that the watermark keeps: the bulk request fails half-way and gives back.
        let most = kernel.frames.free_frames() - 10;
        assert!(matches!(
            vmalloc.vmalloc(most * PAGE_SIZE, kernel),
            Err(VmallocError::Frames(_))
        ));
        assert_eq!((accounted(kernel), vmalloc.live()), (before, 0));
        kernel.frames.validate().unwrap();
    });
}

#[test]
fn whatever_is_wanting_nothing_stays() {
    with_kernel(1 << 20, |kernel, vmalloc, _, _| {
        let before = accounted(kernel);
        let mut kept = Vec::new();
        while let Ok(block) = kernel.frames.alloc_page(Gfp::KERNEL) {
            kept.push(block);
        }
        // One page takes a frame, a PDPT, a PD and a PT: with fewer frames one of them is wanting.
        let mut errors = Vec::new();
        let area = loop {
            let free = accounted(kernel);
            match vmalloc.vmalloc(1, kernel) {
                Ok(area) => break area,
                Err(error) => errors.push(error),
            }
            assert_eq!((accounted(kernel), vmalloc.live()), (free, 0));
            kernel.frames.free(kept.pop().unwrap()).unwrap();
        };
        assert!(
            errors
                .iter()
                .any(|error| matches!(error, VmallocError::Table(_))),
            "{errors:?}"
        );
        assert!(
            errors
                .iter()
                .any(|error| matches!(error, VmallocError::Frames(_))),
            "{errors:?}"
        );
        vmalloc.vfree(area, kernel).unwrap();
        for block in kept {
            kernel.frames.free(block).unwrap();
        }
        assert_eq!(accounted(kernel), before);
        kernel.frames.validate().unwrap();
    });
}

#[derive(Clone, Debug)]
enum Operation {
    Vmalloc(u64),
    Vfree(usize),
    /// Writes a word through one page of an area and reads it back through physical memory.
    Touch(usize, u64),
}

fn operations() -> impl Strategy<Value = Operation> {
    prop_oneof![
        (1u64..40 * PAGE_SIZE).prop_map(Operation::Vmalloc),
        (0usize..16).prop_map(Operation::Vfree),
        (0usize..16, any::<u64>()).prop_map(|(area, word)| Operation::Touch(area, word)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 3 } else { 64 }))]

    /// No access ever meets a stale translation, no two areas share a frame or an address, and what one area holds stays
    /// whatever happens to others.
    #[test]
    fn areas_are_their_owners_alone(operations in prop::collection::vec(operations(), 1..80)) {
        with_kernel(200, |kernel, vmalloc, arena, cache| {
            let before = accounted(kernel);
            let mut areas: Vec<(Area, BTreeMap<u64, u64>)> = Vec::new();
            for operation in operations {
                match operation {
                    Operation::Vmalloc(bytes) => {
                        if let Ok(area) = vmalloc.vmalloc(bytes, kernel) {
                            areas.push((area, BTreeMap::new()));
                        }
                    }
                    Operation::Vfree(number) if number < areas.len() => {
                        let (area, _) = areas.swap_remove(number);
                        let (start, guard) = (area.start(), area.guard_page());
                        vmalloc.vfree(area, kernel).unwrap();
                        let mut page = start;
                        while page < guard {
                            prop_assert_eq!(cache.access(&kernel.table, page), Ok(None));
                            page.0 += PAGE_SIZE;
                        }
                    }
                    Operation::Touch(number, word) if number < areas.len() => {
                        let (area, written) = &mut areas[number];
                        let page = word % (area.bytes() / PAGE_SIZE);
                        let address = VirtAddr(area.start().0 + page * PAGE_SIZE);
                        let frame = cache.access(&kernel.table, address).unwrap().unwrap();
                        arena.write(frame.address(), word);
                        written.insert(page, word);
                    }
                    _ => {}
                }
                let mut frames = Vec::new();
                for (area, written) in &areas {
                    for page in 0..area.bytes() / PAGE_SIZE {
                        let address = VirtAddr(area.start().0 + page * PAGE_SIZE);
                        let frame = cache.access(&kernel.table, address).unwrap().unwrap();
                        frames.push(frame);
                        if let Some(&word) = written.get(&page) {
                            prop_assert_eq!(arena.read(PhysAddr(frame.address().0)), word);
                        }
                    }
                    prop_assert_eq!(cache.access(&kernel.table, area.guard_page()), Ok(None));
                }
                let count = frames.len();
                frames.sort_unstable();
                frames.dedup();
                prop_assert_eq!(frames.len(), count, "a frame in two areas");
                kernel.frames.validate().unwrap();
            }
            for (area, _) in areas {
                vmalloc.vfree(area, kernel).unwrap();
            }
            prop_assert_eq!((accounted(kernel), vmalloc.live()), (before, 0));
            Ok(())
        })?;
    }
}

#[test]
fn a_device_keeps_its_offset_and_its_caching() {
    with_kernel(64, |kernel, vmalloc, _, cache| {
        let device = PhysAddr(0xfee0_0320);
        let io = vmalloc
            .ioremap(device, PAGE_SIZE, Caching::Uncached, kernel)
            .unwrap();
        assert_eq!((io.address().0, io.bytes()), (REGION + 0x320, PAGE_SIZE));
        let mapped = kernel.table.translate(io.address()).unwrap();
        assert_eq!(
            (mapped.address, mapped.protection),
            (device, Protection::DEVICE)
        );
        // It reaches into a second page, and no further.
        let second = VirtAddr(REGION + PAGE_SIZE);
        assert_eq!(cache.access(&kernel.table, second), Ok(Some(Pfn(0xf_ee01))));
        assert_eq!(
            kernel.table.translate(VirtAddr(REGION + 2 * PAGE_SIZE)),
            None
        );
        let (start, found) = (VirtAddr(REGION), Kind::Ioremap);
        assert_eq!(
            vmalloc.vfree_at(start, kernel),
            Err(VfreeError::WrongKind {
                address: start,
                found
            })
        );
        let free = accounted(kernel);
        vmalloc.iounmap(io, kernel).unwrap();
        assert_eq!(cache.access(&kernel.table, second), Ok(None));
        assert_eq!((accounted(kernel), vmalloc.live()), (free, 0));
        assert_eq!(
            vmalloc.iounmap_at(VirtAddr(REGION + 0x320), kernel),
            Err(VfreeError::NoArea { address: start })
        );
    });
}

#[test]
fn what_is_no_device_is_refused() {
    with_kernel(64, |kernel, vmalloc, _, _| {
        let first = PhysAddr(FRAMES * PAGE_SIZE);
        for (physical, bytes, error) in [
            (first, 0, IoremapError::NoBytes),
            (
                PhysAddr(u64::MAX),
                2,
                IoremapError::BeyondPhysical {
                    address: PhysAddr(u64::MAX),
                    bytes: 2,
                },
            ),
            (
                PhysAddr((1 << 52) - 1),
                2,
                IoremapError::BeyondPhysical {
                    address: PhysAddr((1 << 52) - 1),
                    bytes: 2,
                },
            ),
            // The last byte of RAM, and the first.
            (
                PhysAddr(first.0 - 1),
                4096,
                IoremapError::Ram {
                    frame: Pfn(FRAMES - 1),
                },
            ),
            (PhysAddr(0), 1 << 40, IoremapError::Ram { frame: Pfn(0) }),
            (
                first,
                64 * PAGE_SIZE,
                IoremapError::Search(SearchError::NoGap { pages: 65 }),
            ),
        ] {
            let refused = vmalloc.ioremap(physical, bytes, Caching::Uncached, kernel);
            assert_eq!(refused, Err(error), "{physical}");
        }
        let area = vmalloc.vmalloc(1, kernel).unwrap();
        let (address, found) = (area.start(), Kind::Vmalloc);
        assert_eq!(
            vmalloc.iounmap_at(address, kernel),
            Err(VfreeError::WrongKind { address, found })
        );
        vmalloc.vfree(area, kernel).unwrap();
    });
}
