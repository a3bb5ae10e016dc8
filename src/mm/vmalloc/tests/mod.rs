//! vmalloc on an arena, with TLBs that keep whatever they may keep.

mod access;
mod addresses;
mod bad_input;
mod code;
mod devices;
mod failures;
mod high_memory;
mod lazy;
mod model;
mod tables;

use core::ops::Range;
use std::mem::MaybeUninit;
use std::vec::Vec;

use super::*;
use crate::mm::address::{FrameRange, Pfn};
use crate::mm::frame::{Descriptor, FrameAllocator, InDescriptor, Metadata, WIDE};
use crate::mm::model::{Arena, ModelConfig, ModelTlb, own};
use crate::mm::page_table::{OwnedRange, Protection};
use crate::mm::tlb::Tlb;

const REGION: u64 = 0xffff_8980_0000_0000;
/// Frames of the arena: 6 MiB. Frame 0 is the root table, and the allocator has all others.
const FRAMES: u64 = 1536;
const USABLE: [FrameRange; 1] = [Pfn(1)..Pfn(FRAMES)];
const RAM: [FrameRange; 1] = [Pfn(0)..Pfn(FRAMES)];
/// Pages up to which a range is flushed page by page.
const CEILING: u64 = 8;

type Kernel<'a> = KernelMemory<'a, ModelConfig<'a>>;

/// What a kernel is made of.
struct Parts {
    arena: Arena,
    tlb: ModelTlb,
    descriptors: Vec<Descriptor>,
}

impl Parts {
    fn new(cpus: usize) -> Self {
        Parts {
            arena: Arena::new(FRAMES),
            tlb: ModelTlb::new(cpus),
            descriptors: (0..2048).map(|_| Descriptor::default()).collect(),
        }
    }

    fn kernel(&mut self) -> (Kernel<'_>, &Arena, &ModelTlb) {
        self.kernel_with(&RAM)
    }

    fn kernel_with(&mut self, ram: &'static [FrameRange]) -> (Kernel<'_>, &Arena, &ModelTlb) {
        let metadata = Metadata {
            descriptors: &mut self.descriptors,
            words: &mut [],
        };
        let frames = FrameAllocator::<InDescriptor>::new(&USABLE, &WIDE, metadata).unwrap();
        let kernel = self
            .arena
            .kernel_memory(ram, frames, Tlb::new(&self.tlb, CEILING));
        (kernel, &self.arena, &self.tlb)
    }
}

fn region(pages: u64) -> Range<VirtAddr> {
    VirtAddr(REGION)..page(pages)
}

/// The owner of the region's addresses.
fn owned<'a>(kernel: &Kernel<'a>, pages: u64) -> OwnedRange<&'a Arena> {
    own(&kernel.table, region(pages))
}

/// The address of a page of the region.
fn page(number: u64) -> VirtAddr {
    VirtAddr(REGION + number * PAGE_SIZE)
}

fn slots<S>(count: usize) -> Vec<MaybeUninit<S>> {
    (0..count).map(|_| MaybeUninit::uninit()).collect()
}

fn nodes(areas: usize) -> Vec<MaybeUninit<TreeNode>> {
    slots(TreeNode::enough_for(areas))
}

/// Runs the same test with every search and both policies: `each!(pages, areas, |kernel, vmalloc| { .. })`.
macro_rules! each {
    ($pages:expr, $areas:expr, |$kernel:ident, $vmalloc:ident $(, $arena:ident $(, $tlb:ident)?)?| $test:block) => {{
        // Never purges by itself.
        const LAZY: Lazy = Lazy::new(u64::MAX);
        each!(@ FirstFit, $pages, $areas, Eager, $kernel, $vmalloc, $test $(, $arena $(, $tlb)?)?);
        each!(@ FirstFit, $pages, $areas, LAZY, $kernel, $vmalloc, $test $(, $arena $(, $tlb)?)?);
        each!(@ GapTree, $pages, $areas, Eager, $kernel, $vmalloc, $test $(, $arena $(, $tlb)?)?);
        each!(@ GapTree, $pages, $areas, LAZY, $kernel, $vmalloc, $test $(, $arena $(, $tlb)?)?);
        each!(@ InstantFit, $pages, $areas, Eager, $kernel, $vmalloc, $test $(, $arena $(, $tlb)?)?);
        each!(@ InstantFit, $pages, $areas, LAZY, $kernel, $vmalloc, $test $(, $arena $(, $tlb)?)?);
    }};
    (@slots InstantFit, $areas:expr) => { TagSlot::<Contents>::enough_for($areas) };
    (@slots $search:ident, $areas:expr) => { $areas };
    (@ $search:ident, $pages:expr, $areas:expr, $freeing:expr, $kernel:ident, $vmalloc:ident, $test:block $(, $arena:ident $(, $tlb:ident)?)?) => {{
        let mut parts = Parts::new(2);
        let (mut kernel, _arena, _tlb) = parts.kernel();
        let (mut slots, mut nodes) = (slots(each!(@slots $search, $areas)), nodes($areas));
        let search = each!(@@ $search, region($pages), &mut slots, &mut nodes);
        let mut vmalloc = Vmalloc::new(owned(&kernel, $pages), search, $freeing);
        let ($kernel, $vmalloc) = (&mut kernel, &mut vmalloc);
        $(let $arena = _arena; $(let $tlb = _tlb;)?)?
        $test
    }};
    (@@ FirstFit, $region:expr, $slots:expr, $nodes:expr) => {{
        let _: &mut [_] = $nodes;
        FirstFit::new($region, $slots)
    }};
    (@@ GapTree, $region:expr, $slots:expr, $nodes:expr) => {
        GapTree::new($region, $slots, $nodes)
    };
    (@@ InstantFit, $region:expr, $slots:expr, $nodes:expr) => {{
        let _: &mut [_] = $nodes;
        InstantFit::new($region, $slots)
    }};
}
use each;

/// Frames that are free or have become tables: the same number whenever no area is live.
fn accounted(kernel: &Kernel<'_>) -> u64 {
    // The root is none of the allocator's frames.
    assert_eq!(kernel.tables_elsewhere(), -1, "a table is lost");
    assert_eq!(kernel.validate_cached_tables(), Ok(()));
    kernel.free_frames() + kernel.table_frames()
}
