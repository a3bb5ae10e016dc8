//! Areas on several CPUs: what one was given nobody else has, an address is flushed for before it is used again, all comes back, and
//! the lock is for what a part does not have.

use core::mem::MaybeUninit;
use core::sync::atomic::Ordering::Relaxed;
use std::sync::Mutex;
use std::thread;
use std::vec::Vec;

use super::*;
use crate::mm::address::{FrameRange, Pfn};
use crate::mm::frame::{Descriptor, FrameAllocator, InDescriptor, Metadata, WIDE};
use crate::mm::left_out::leave_out;
use crate::mm::model::{Arena, ModelTlb, SharedArena, own};
use crate::mm::tlb::Tlb;
use crate::mm::vmalloc::{GapTree, Lazy, TreeNode, TreeSlot};

const REGION: VirtAddr = VirtAddr(0xffff_8980_0000_0000);
const REGION_PAGES: u64 = 1 << 20;
const END: VirtAddr = VirtAddr(REGION.0 + REGION_PAGES * PAGE_SIZE);
/// Frames: 8 MiB. Frame 0 is the root table, and the allocator has all others.
const FRAMES: u64 = 2048;
const RAM: [FrameRange; 1] = [Pfn(1)..Pfn(FRAMES)];

fn uninitialised<T>(count: usize) -> Vec<MaybeUninit<T>> {
    (0..count).map(|_| MaybeUninit::uninit()).collect()
}

fn frames(descriptors: &mut [Descriptor]) -> FrameAllocator<'_> {
    let metadata = Metadata {
        descriptors,
        words: &mut [],
    };
    FrameAllocator::<InDescriptor>::new(&RAM, &WIDE, metadata).unwrap()
}

/// Binds the kernel's memory over an arena, and a vmalloc region of it.
macro_rules! kernel_and_region {
    ($kernel:ident, $vmalloc:ident, $arena:ident $(, $tlb:expr)?) => {
        let mut descriptors: Vec<_> = (0..FRAMES).map(|_| Descriptor::default()).collect();
        let mut $kernel = $arena.kernel_memory(&RAM, frames(&mut descriptors) $(, $tlb)?);
        let mut slots = uninitialised::<TreeSlot<Contents>>(64);
        let mut nodes = uninitialised(TreeNode::enough_for(64));
        let search = GapTree::new(REGION..END, &mut slots, &mut nodes);
        let owned = own(&$kernel.table, REGION..END);
        let mut $vmalloc = Vmalloc::new(owned, search, Lazy::new(64));
    };
}

fn cpu(number: usize) -> CpuId {
    CpuId::new(number).unwrap()
}

/// Two CPUs with parts and one without, by turns: sizes that have chunks and some that do not, freed by whichever.
#[test]
fn an_area_is_its_holder_s_and_its_addresses_are_flushed_for() {
    let arena = Arena::new(FRAMES);
    let model = ModelTlb::default();
    kernel_and_region!(kernel, vmalloc, arena, Tlb::new(&model, 33));
    let table = kernel.table;
    let before = kernel.free_frames() + kernel.table_frames();
    let parts = [0, 1].map(|_| Part::new(&kernel, 2));
    let shared = SharedKernel::new(&mut kernel, &mut vmalloc, &parts);
    let mut live: Vec<(SharedArea, Vec<Pfn>)> = Vec::new();
    let steps = if cfg!(miri) { 60 } else { 6000_usize };
    for step in 0..steps {
        let mixed = step.wrapping_mul(0x9e37_79b9) >> 7;
        if live.len() < 20 && mixed % 3 > 0 || live.is_empty() {
            let pages = [1, 1, 2, 4, 4, 8, 3, 16][mixed % 8];
            let area = shared
                .vmalloc(cpu(mixed / 8 % 3), pages * PAGE_SIZE)
                .unwrap();
            assert_eq!(area.bytes(), pages * PAGE_SIZE);
            let page = |number| VirtAddr(area.start().0 + number * PAGE_SIZE);
            // Whatever the CPUs knew of these addresses is gone.
            let found = |number| {
                let all = [0, 1].map(|on| model.access_on(on, &table, page(number)));
                assert_eq!(all[0], all[1]);
                all[0].unwrap().unwrap()
            };
            let frames: Vec<Pfn> = (0..pages).map(found).collect();
            for (other, others) in &live {
                assert!(frames.iter().all(|frame| !others.contains(frame)));
                let ends = |area: &SharedArea| area.start().0 + area.bytes() + PAGE_SIZE;
                assert!(area.start().0 >= ends(other) || other.start().0 >= ends(&area));
            }
            assert_eq!(
                model.access(&table, page(pages)),
                Ok(None),
                "the guard page"
            );
            live.push((area, frames));
        } else {
            let (area, _) = live.swap_remove(mixed / 3 % live.len());
            shared.vfree(cpu(mixed / 64 % 3), area).unwrap();
        }
    }
    let in_use = live
        .iter()
        .any(|(area, _)| matches!(area.0, From::Part { .. }));
    assert!(in_use);
    for (area, _) in live {
        shared.vfree(cpu(0), area).unwrap();
    }
    assert_eq!(shared.end(), 0);
    vmalloc.purge(&kernel);
    kernel.drain_frame_cache();
    assert_eq!(vmalloc.live(), 0);
    assert_eq!(kernel.free_frames() + kernel.table_frames(), before);
    kernel.frames.validate().unwrap();
    assert_eq!(model.stale_table(&table), None);
}

/// Once a part has what it needs, the lock is taken for a flush, and that is for as many areas as its chunks have places.
#[test]
fn hundreds_of_areas_share_a_lock() {
    let arena = Arena::new(FRAMES);
    let model = ModelTlb::default();
    kernel_and_region!(kernel, vmalloc, arena, Tlb::new(&model, 33));
    let parts = [Part::new(&kernel, 1)];
    let shared = SharedKernel::new(&mut kernel, &mut vmalloc, &parts);
    let pair = || {
        let area = shared.vmalloc(cpu(0), 4 * PAGE_SIZE).unwrap();
        shared.vfree(cpu(0), area).unwrap();
    };
    // A chunk has 102 places.
    let places = 102 * CHUNKS as u64;
    (0..places).for_each(|_| pair());
    for round in 1..4 {
        let locks = shared.locks();
        (0..places).for_each(|_| pair());
        assert_eq!(shared.locks() - locks, 1, "round {round}");
    }
    assert_eq!(shared.end(), 0);
}

/// A proof in the image cannot see this flush, as the case does not access its areas: the host tool's tests of mutations call this one the
/// case's witness.
#[test]
fn without_its_flush_an_address_is_used_again_while_a_cpu_translates_it() {
    let arena = Arena::new(FRAMES);
    let model = ModelTlb::default();
    kernel_and_region!(kernel, vmalloc, arena, Tlb::new(&model, 33));
    let table = kernel.table;
    let parts = [Part::new(&kernel, 1)];
    let shared = SharedKernel::new(&mut kernel, &mut vmalloc, &parts);
    let alloc = || shared.vmalloc(cpu(0), 4 * PAGE_SIZE).unwrap();
    // Two at a time, so that an address has another block the next time. A chunk has 102 places.
    for _ in 0..51 * CHUNKS {
        let pair = [alloc(), alloc()];
        for area in &pair {
            assert!(model.access_on(0, &table, area.start()).unwrap().is_some());
        }
        let [first, second] = pair;
        shared.vfree(cpu(0), second).unwrap();
        shared.vfree(cpu(0), first).unwrap();
    }
    let mut areas = Vec::new();
    let left_out = leave_out(|| areas.extend([alloc(), alloc(), alloc()]));
    assert_eq!(left_out, 1);
    let access = |area: &SharedArea| model.access_on(0, &table, area.start());
    assert!(areas.iter().any(|area| access(area).is_err()));
}

/// Threads as CPUs, one of them without a part, at all that they share: no frame has two owners, and all comes back.
#[test]
fn threads_share_it() {
    const CPUS: usize = 3;
    let rounds = if cfg!(miri) { 6 } else { 1000 };
    let arena = SharedArena::new(FRAMES);
    kernel_and_region!(kernel, vmalloc, arena);
    let table = kernel.table;
    let before = kernel.free_frames() + kernel.table_frames();
    let parts = [0, 1].map(|_| Part::new(&kernel, CPUS));
    let shared = SharedKernel::new(&mut kernel, &mut vmalloc, &parts);
    // Areas that whichever CPU comes by frees.
    let handed_on: Mutex<Vec<(SharedArea, u64)>> = Mutex::new(Vec::new());
    let frame_of = |area: &SharedArea| table.translate(area.start()).unwrap().address.frame();
    let free = |on, area: SharedArea, mark| {
        assert_eq!(arena.word(frame_of(&area)).swap(0, Relaxed), mark);
        shared.vfree(on, area).unwrap();
    };
    thread::scope(|scope| {
        for number in 0..CPUS {
            let (shared, handed_on, arena) = (&shared, &handed_on, &arena);
            let (free, frame_of) = (&free, &frame_of);
            scope.spawn(move || {
                for round in 0..rounds {
                    let pages = [1, 4, 2, 8, 3][round % 5];
                    let area = shared.vmalloc(cpu(number), pages * PAGE_SIZE).unwrap();
                    let mark = (number * rounds + round + 1) as u64;
                    assert_eq!(arena.word(frame_of(&area)).swap(mark, Relaxed), 0);
                    let mut handed_on = handed_on.lock().unwrap();
                    handed_on.push((area, mark));
                    if handed_on.len() > 6 {
                        let (area, mark) = handed_on.swap_remove(round % 6);
                        drop(handed_on);
                        free(cpu(number), area, mark);
                    }
                }
            });
        }
    });
    for (area, mark) in handed_on.into_inner().unwrap() {
        free(cpu(1), area, mark);
    }
    assert_eq!(shared.end(), 0);
    vmalloc.purge(&kernel);
    kernel.drain_frame_cache();
    assert_eq!(vmalloc.live(), 0);
    assert_eq!(kernel.free_frames() + kernel.table_frames(), before);
    kernel.frames.validate().unwrap();
}
