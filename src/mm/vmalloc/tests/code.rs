//! Areas of code: no frame is writable by one address and executable by another, nor anybody else's while a CPU may execute it.

use super::failures::{feed, starve};
use super::*;
use crate::mm::kernel_map::{Aliases, Audit, writable_code};
use crate::mm::page_table::{ResizeError, TableFrames};

/// Where the direct map is.
const DIRECT: u64 = 0xffff_8880_0000_0000;

fn alias(frame: Pfn) -> VirtAddr {
    VirtAddr(DIRECT + frame.address().0)
}

/// A direct map of all frames, with large leaves.
fn with_direct_map(kernel: &mut Kernel<'_>) {
    let mut owned = own(&kernel.table, alias(Pfn(0))..alias(Pfn(FRAMES)));
    let (frames, protection) = (Pfn(0)..Pfn(FRAMES), Protection::READ_WRITE);
    owned
        .map(
            VirtAddr(DIRECT),
            frames,
            protection,
            PageSize::Size2M,
            &mut kernel.tables(),
        )
        .unwrap();
    kernel.set_aliases(Aliases::new(owned, Pfn(0)));
}

/// The frames of an area.
fn frames(area: &Area, kernel: &Kernel<'_>) -> Vec<Pfn> {
    let pages = (0..area.bytes()).step_by(PAGE_SIZE as usize);
    let frame = |offset| {
        kernel
            .table
            .translate(VirtAddr(area.start().0 + offset))
            .unwrap()
    };
    pages.map(|offset| frame(offset).address.frame()).collect()
}

/// Frames whose alias is read-only.
fn read_only(kernel: &Kernel<'_>) -> Vec<Pfn> {
    let writable = |frame: &Pfn| {
        let leaf = kernel.table.translate(alias(*frame)).unwrap();
        assert_eq!(leaf.address.frame(), *frame);
        leaf.protection().is_writable()
    };
    (0..FRAMES)
        .map(Pfn)
        .filter(|frame| !writable(frame))
        .collect()
}

fn sorted(mut frames: Vec<Pfn>) -> Vec<Pfn> {
    frames.sort();
    frames
}

#[test]
fn the_aliases_of_code_are_read_only_and_its_frames_wait_for_the_flush() {
    // A block, blocks of several sizes, and a large leaf's block.
    for pages in [1, 4, 7, 512] {
        each!(1 << 12, 16, |kernel, vmalloc, _arena, tlb| {
            with_direct_map(kernel);
            let free = accounted(kernel);
            let area = vmalloc.vmalloc(pages * PAGE_SIZE, kernel).unwrap();
            let (start, frames) = (area.start(), frames(&area, kernel));
            let touch = |kernel: &Kernel<'_>| {
                for frame in &frames {
                    assert_eq!(
                        tlb.access_on(1, &kernel.table, alias(*frame)),
                        Ok(Some(*frame))
                    );
                }
                assert_eq!(tlb.access_on(1, &kernel.table, start), Ok(Some(frames[0])));
            };
            let held = || {
                tlb.holds(|address, _| {
                    address == start || frames.iter().any(|frame| alias(*frame) == address)
                })
            };
            for _ in 0..2 {
                assert_eq!(read_only(kernel), []);
                touch(kernel);
                vmalloc
                    .protect(start, Protection::READ_EXECUTE, kernel)
                    .unwrap();
                assert!(!held(), "a CPU may still write to what it executes");
                assert_eq!(read_only(kernel), sorted(frames.clone()));
                assert_eq!(writable_code(&kernel.table), None);
                // Code of its own, beside it.
                touch(kernel);
                vmalloc
                    .protect(start, Protection::READ_WRITE, kernel)
                    .unwrap();
                assert!(!held());
                assert_eq!(Audit::of(&kernel.table).writable_executable, None);
            }
            vmalloc
                .protect(start, Protection::READ_EXECUTE, kernel)
                .unwrap();
            touch(kernel);
            let waiting = vmalloc.waiting();
            vmalloc.vfree(area, kernel).unwrap();
            assert!(!held(), "the frames are free while a CPU may execute them");
            assert_eq!((vmalloc.waiting(), vmalloc.live()), (waiting, 0));
            assert_eq!(read_only(kernel), []);
            assert_eq!(accounted(kernel), free);
            kernel.frames.validate().unwrap();
            // Its addresses are free, too.
            let again = vmalloc.vmalloc(pages * PAGE_SIZE, kernel).unwrap();
            assert_eq!(again.start(), start);
            vmalloc.vfree(again, kernel).unwrap();
        });
    }
}

/// Lazy freeing flushes for no area that was data, writable from the start.
#[test]
fn an_area_whose_protection_was_changed_is_flushed_for_before_its_frames_are_free() {
    each!(64, 16, |kernel, vmalloc, _arena, tlb| {
        let lazy = {
            let area = vmalloc.vmalloc(2 * PAGE_SIZE, kernel).unwrap();
            vmalloc.vfree(area, kernel).unwrap();
            vmalloc.waiting().areas
        };
        vmalloc.purge(kernel);
        let area = vmalloc.vmalloc(2 * PAGE_SIZE, kernel).unwrap();
        let start = area.start();
        for protection in [Protection::READ, Protection::READ_WRITE] {
            vmalloc.protect(start, protection, kernel).unwrap();
        }
        tlb.access_on(1, &kernel.table, start).unwrap();
        vmalloc.vfree(area, kernel).unwrap();
        assert!(!tlb.holds(|address, _| address == start));
        assert_eq!((vmalloc.waiting().areas, lazy <= 1), (0, true));
    });
}

#[test]
fn an_area_can_be_code_from_the_start() {
    each!(64, 16, |kernel, vmalloc| {
        with_direct_map(kernel);
        let free = accounted(kernel);
        for pages in [1, 3, 8] {
            let request = Request::new(pages * PAGE_SIZE).protection(Protection::READ_EXECUTE);
            let area = vmalloc.vmalloc_with(request, kernel).unwrap();
            let leaf = kernel.table.translate(area.start()).unwrap();
            assert_eq!(leaf.protection(), Protection::READ_EXECUTE);
            assert_eq!(read_only(kernel), sorted(frames(&area, kernel)));
            assert_eq!(writable_code(&kernel.table), None);
            vmalloc.vfree_at(area.into_raw(), kernel).unwrap();
            assert_eq!((read_only(kernel).len(), accounted(kernel)), (0, free));
        }
        let frame = [Pfn(5)];
        for frames in [&frame[..], &[Pfn(5), Pfn(6)]] {
            let refused = vmalloc.vmap(frames, Protection::READ_EXECUTE, kernel);
            assert_eq!(refused, Err(VmapError::Code));
        }
    });
}

#[test]
fn without_a_table_to_split_the_direct_map_nothing_becomes_executable() {
    each!(64, 16, |kernel, vmalloc| {
        with_direct_map(kernel);
        let area = vmalloc.vmalloc(2 * PAGE_SIZE, kernel).unwrap();
        let start = area.start();
        let kept = starve(kernel, 0);
        let cached = kernel.cached_tables();
        let held = kernel.tables().allocate_tables(cached).unwrap();
        let refused = vmalloc.protect(start, Protection::READ_EXECUTE, kernel);
        let error = ProtectError::Aliases(ResizeError::OutOfTables {
            address: alias(frames(&area, kernel)[0]),
        });
        assert_eq!(refused, Err(error));
        let leaf = kernel.table.translate(start).unwrap();
        assert_eq!(leaf.protection(), Protection::READ_WRITE);
        assert_eq!(read_only(kernel), []);
        feed(kernel, kept);
        kernel.free_tables(held).unwrap();
        vmalloc
            .protect(start, Protection::READ_EXECUTE, kernel)
            .unwrap();
        assert_eq!(read_only(kernel), sorted(frames(&area, kernel)));
        vmalloc.vfree(area, kernel).unwrap();
    });
}
