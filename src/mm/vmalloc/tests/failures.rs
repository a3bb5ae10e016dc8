//! Whatever is wanting half-way, at whatever point, nothing stays: no frame, no area, no entry. (Later 2.4 undid the wrong
//! range here, and lost pages.)

use super::*;
use crate::mm::frame::Block;

/// Takes frames until only `left` can still be had.
pub(super) fn starve(kernel: &mut Kernel<'_>, left: usize) -> Vec<Block> {
    kernel.drain_frame_cache();
    let mut kept = Vec::new();
    while let Ok(block) = kernel.frames.alloc_page(Gfp::KERNEL) {
        kept.push(block);
    }
    for _ in 0..left {
        kernel.frames.free(kept.pop().unwrap()).unwrap();
    }
    kept
}

pub(super) fn feed(kernel: &mut Kernel<'_>, kept: Vec<Block>) {
    for block in kept {
        kernel.frames.free(block).unwrap();
    }
}

/// With tables to make, one page takes a frame, a PDPT, a PD and a PT. The k-th of them fails, for every k.
#[test]
fn the_frame_and_the_kth_table_after_it() {
    for k in 0..4 {
        each!(1 << 20, 16, |kernel, vmalloc| {
            let before = accounted(kernel);
            let kept = starve(kernel, k);
            let free = kernel.frames.free_frames();
            let error = vmalloc.vmalloc(1, kernel);
            match k {
                0 => assert!(matches!(error, Err(VmallocError::Frame(_))), "{error:?}"),
                _ => assert!(matches!(error, Err(VmallocError::Table(_))), "{error:?}"),
            }
            assert_eq!(vmalloc.live(), 0);
            assert_eq!(kernel.table.translate(page(0)), None);
            // Tables that were to be had are in the cache.
            let cached = kernel.cached_tables();
            assert_eq!(kernel.free_frames() + cached, free);
            feed(kernel, kept);
            assert_eq!(accounted(kernel), before);
            kernel.frames.validate().unwrap();
            let area = vmalloc.vmalloc(1, kernel).unwrap();
            assert_eq!(area.start(), page(0));
            vmalloc.vfree(area, kernel).unwrap();
        });
    }
}

/// An area of 1,100 pages, three PTs of which one is there; the k-th of the others fails.
#[test]
fn the_kth_of_many_tables() {
    const PAGES: u64 = 1100;
    for k in 0..2 {
        each!(1 << 20, 16, |kernel, vmalloc| {
            let area = vmalloc.vmalloc(1, kernel).unwrap();
            vmalloc.vfree(area, kernel).unwrap();
            vmalloc.purge(kernel);
            let before = accounted(kernel);
            let kept = starve(kernel, PAGES as usize + k);
            let error = vmalloc.vmalloc(PAGES * PAGE_SIZE, kernel);
            assert!(matches!(error, Err(VmallocError::Table(_))), "{error:?}");
            for number in [0, 511, 512, PAGES - 1] {
                assert_eq!(kernel.table.translate(page(number)), None);
            }
            feed(kernel, kept);
            assert_eq!((accounted(kernel), vmalloc.live()), (before, 0));
            kernel.frames.validate().unwrap();
        });
    }
}

/// An area of 20 pages, or of 16, which could be one block, whose k-th frame fails, for every k.
#[test]
fn the_kth_frame() {
    for (pages, k) in (0..20).map(|k| (20, k)).chain((0..16).map(|k| (16, k))) {
        each!(1 << 20, 16, |kernel, vmalloc| {
            let area = vmalloc.vmalloc(1, kernel).unwrap();
            vmalloc.vfree(area, kernel).unwrap();
            vmalloc.purge(kernel);
            let before = accounted(kernel);
            let kept = starve(kernel, k as usize);
            let error = vmalloc.vmalloc(pages * PAGE_SIZE, kernel);
            let Err(VmallocError::Frames(error)) = error else {
                panic!("{error:?}");
            };
            assert_eq!((error.frames, error.available), (pages, k));
            assert_eq!(vmalloc.live(), 0);
            for number in 0..pages {
                assert_eq!(kernel.table.translate(page(number)), None);
            }
            feed(kernel, kept);
            assert_eq!(accounted(kernel), before);
            kernel.frames.validate().unwrap();
        });
    }
}

/// The tables for the lowest gap are wanting, but those for addresses that wait for a flush are there.
#[test]
fn addresses_that_wait_have_tables() {
    let mut parts = Parts::new(1);
    let (mut kernel, ..) = parts.kernel();
    let (mut slots, mut nodes) = (slots(16), nodes(16));
    let mut vmalloc = Vmalloc::new(
        owned(&kernel, 1 << 20),
        GapTree::new(region(1 << 20), &mut slots, &mut nodes),
        Lazy::new(u64::MAX),
    );
    let area = vmalloc.vmalloc(511 * PAGE_SIZE, &mut kernel).unwrap();
    vmalloc.vfree(area, &mut kernel).unwrap();
    // Any other address than those needs another PT.
    let kept = starve(&mut kernel, 0);
    let area = vmalloc
        .vmap(&[Pfn(1)], Protection::READ, &mut kernel)
        .unwrap();
    assert_eq!((area.start(), vmalloc.waiting().areas), (page(0), 0));
    vmalloc.vunmap(area, &mut kernel).unwrap();
    feed(&mut kernel, kept);
}
