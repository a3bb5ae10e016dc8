//! Random calls, with TLBs that keep every translation that they may keep.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::mm::frame::Block;

#[derive(Clone, Debug)]
enum Operation {
    Vmalloc {
        bytes: u64,
        align: u64,
        guard: bool,
    },
    Vmap(Vec<usize>),
    /// Frees an area by the call for its kind, by value or by address.
    Free {
        area: usize,
        by_address: bool,
    },
    /// Writes a word through one page of an area on one CPU, and reads it back through physical memory.
    Touch {
        cpu: usize,
        area: usize,
        word: u64,
    },
    Purge,
}

fn operations() -> impl Strategy<Value = Operation> {
    let align = prop_oneof![3 => Just(1u64), 1 => (12u32..20).prop_map(|shift| 1 << shift)];
    prop_oneof![
        4 => (1u64..40 * PAGE_SIZE, align, any::<bool>())
            .prop_map(|(bytes, align, guard)| Operation::Vmalloc { bytes, align, guard }),
        2 => prop::collection::vec(0usize..8, 1..12).prop_map(Operation::Vmap),
        4 => (0usize..16, any::<bool>())
            .prop_map(|(area, by_address)| Operation::Free { area, by_address }),
        6 => (0usize..4, 0usize..16, any::<u64>())
            .prop_map(|(cpu, area, word)| Operation::Touch { cpu, area, word }),
        1 => Just(Operation::Purge),
    ]
}

/// An area as its owner knows it.
struct Owned {
    area: Area,
    kind: Kind,
    /// The frame behind each page.
    frames: Vec<Pfn>,
    /// What was written to each page. (Frames of vmap areas are shared: nothing stays there.)
    written: BTreeMap<usize, u64>,
}

/// What a test does not know about the policy that it runs under.
trait Policy: Freeing {
    /// Whether frames may be reached through old addresses until the flush.
    const FRAMES_BEFORE_FLUSH: bool;
}

impl Policy for Eager {
    const FRAMES_BEFORE_FLUSH: bool = false;
}

impl Policy for Lazy {
    const FRAMES_BEFORE_FLUSH: bool = true;
}

/// Pages of the region.
const PAGES: u64 = 250;

fn run<S: AreaSearch<Contents = Contents>, P: Policy>(
    cpus: usize,
    operations: &[Operation],
    search: S,
    freeing: P,
) {
    let mut parts = Parts::new(cpus);
    let (mut kernel, arena, tlb) = parts.kernel();
    let mut vmalloc = Vmalloc::new(owned(&kernel, PAGES), search, freeing);
    let shared: Vec<Block> = (0..8)
        .map(|_| kernel.frames.alloc_page(Gfp::KERNEL).unwrap())
        .collect();
    let before = accounted(&kernel);
    let mut areas: Vec<Owned> = Vec::new();
    for operation in operations {
        match operation {
            &Operation::Vmalloc {
                bytes,
                align,
                guard,
            } => {
                let request = Request::new(bytes).align(align);
                let request = if guard { request } else { request.no_guard() };
                if let Ok(area) = vmalloc.vmalloc_with(request, &mut kernel) {
                    assert!(area.start().is_aligned(align));
                    areas.push(own(area, Kind::Vmalloc, &kernel, tlb));
                }
            }
            Operation::Vmap(numbers) => {
                let frames: Vec<Pfn> = numbers.iter().map(|&number| shared[number].pfn()).collect();
                let protection = Protection::READ_WRITE;
                if let Ok(area) = vmalloc.vmap(&frames, protection, &mut kernel) {
                    let owned = own(area, Kind::Vmap, &kernel, tlb);
                    assert_eq!(owned.frames, frames);
                    areas.push(owned);
                }
            }
            &Operation::Free { area, by_address } if area < areas.len() => {
                let freed = areas.swap_remove(area);
                let (start, pages) = (freed.area.start(), freed.frames.len() as u64);
                match (freed.kind, by_address) {
                    (Kind::Vmap, false) => vmalloc.vunmap(freed.area, &mut kernel),
                    (Kind::Vmap, true) => vmalloc.vunmap_at(start, &mut kernel),
                    (_, false) => vmalloc.vfree(freed.area, &mut kernel),
                    (_, true) => vmalloc.vfree_at(start, &mut kernel),
                }
                .unwrap();
                for number in 0..pages {
                    let address = VirtAddr(start.0 + number * PAGE_SIZE);
                    assert_eq!(kernel.table.translate(address), None);
                }
                if !P::FRAMES_BEFORE_FLUSH {
                    let end = VirtAddr(start.0 + pages * PAGE_SIZE);
                    assert!(!tlb.holds(|address, _| start <= address && address < end));
                }
            }
            &Operation::Touch { cpu, area, word } if area < areas.len() => {
                let owned = &mut areas[area];
                let number = word as usize % owned.frames.len();
                let address = VirtAddr(owned.area.start().0 + number as u64 * PAGE_SIZE);
                let frame = tlb.access_on(cpu, &kernel.table, address).unwrap();
                assert_eq!(frame, Some(owned.frames[number]));
                arena.write(owned.frames[number].address(), word);
                if owned.kind == Kind::Vmalloc {
                    owned.written.insert(number, word);
                }
            }
            Operation::Purge => {
                vmalloc.purge(&kernel);
                assert_eq!(vmalloc.waiting(), Waiting::default());
            }
            _ => {}
        }
        assert_eq!(vmalloc.live(), areas.len());
        assert_eq!(tlb.stale_table(&kernel.table), None);
        check(&areas, &kernel, arena, tlb, cpus);
    }
    for owned in areas {
        match owned.kind {
            Kind::Vmap => vmalloc.vunmap(owned.area, &mut kernel).unwrap(),
            _ => vmalloc.vfree(owned.area, &mut kernel).unwrap(),
        }
    }
    assert_eq!((accounted(&kernel), vmalloc.live()), (before, 0));
    // With all addresses free again, the next area is the lowest.
    vmalloc.purge(&kernel);
    assert_eq!(vmalloc.vmalloc(1, &mut kernel).unwrap().start(), page(0));
    kernel.frames.validate().unwrap();
}

/// A new area: no TLB knows its addresses.
fn own(area: Area, kind: Kind, kernel: &Kernel<'_>, tlb: &ModelTlb) -> Owned {
    let (start, end) = (area.start(), area.guard_page());
    assert!(
        !tlb.holds(|address, _| start <= address && address < end),
        "addresses given out before their flush"
    );
    let pages = area.bytes() / PAGE_SIZE;
    let frame = |number| {
        kernel
            .table
            .translate(VirtAddr(start.0 + number * PAGE_SIZE))
    };
    Owned {
        frames: (0..pages)
            .map(|number| frame(number).unwrap().address.frame())
            .collect(),
        area,
        kind,
        written: BTreeMap::new(),
    }
}

/// Every area is as its owner left it, seen from any CPU; no frame is in two of them.
fn check(areas: &[Owned], kernel: &Kernel<'_>, arena: &Arena, tlb: &ModelTlb, cpus: usize) {
    let mut frames: Vec<Pfn> = Vec::new();
    for owned in areas {
        for (number, &frame) in owned.frames.iter().enumerate() {
            let address = VirtAddr(owned.area.start().0 + number as u64 * PAGE_SIZE);
            // Not through the TLB: it would know every page at once. Touching is an operation of its own.
            let translation = kernel.table.translate(address).unwrap();
            assert_eq!(translation.address, frame.address());
            if let Some(&word) = owned.written.get(&number) {
                assert_eq!(arena.read(frame.address()), word);
            }
        }
        let first = owned.area.start();
        let frame = tlb.access_on(owned.frames.len() % cpus, &kernel.table, first);
        assert_eq!(frame, Ok(Some(owned.frames[0])));
        if owned.kind == Kind::Vmalloc {
            frames.extend(&owned.frames);
        }
    }
    let count = frames.len();
    frames.sort_unstable();
    frames.dedup();
    assert_eq!(frames.len(), count, "a frame in two areas");
    kernel.frames.validate().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 48 }))]

    /// No access ever meets a stale translation, no two areas share a frame or an address, and what one area holds stays
    /// whatever happens to others.
    #[test]
    fn areas_are_their_owners_alone(
        cpus in 1usize..4,
        max_pages in prop_oneof![Just(0u64), 1u64..100, Just(u64::MAX)],
        operations in prop::collection::vec(operations(), 1..80),
    ) {
        const TAGS: usize = TagSlot::<Contents>::enough_for(16);
        run(cpus, &operations, FirstFit::new(region(PAGES), &mut slots(16)), Eager);
        run(cpus, &operations, FirstFit::new(region(PAGES), &mut slots(16)), Lazy::new(max_pages));
        run(cpus, &operations, GapTree::new(region(PAGES), &mut slots(16), &mut nodes(16)), Eager);
        run(cpus, &operations, GapTree::new(region(PAGES), &mut slots(16), &mut nodes(16)), Lazy::new(max_pages));
        run(cpus, &operations, InstantFit::new(region(PAGES), &mut slots(TAGS)), Eager);
        run(cpus, &operations, InstantFit::new(region(PAGES), &mut slots(TAGS)), Lazy::new(max_pages));
    }
}
