//! Calls that must be refused: each has an error of its own, and nothing has changed after any.

use super::*;
use crate::mm::address::PhysAddr;
use crate::mm::page_table::ChangeError;

fn no_gap(pages: u64) -> VmallocError {
    VmallocError::Search(SearchError::NoGap {
        pages,
        align: PAGE_SIZE,
    })
}

/// Expects `request` to be refused, with nothing changed.
macro_rules! refused {
    ($request:expr, $error:expr) => {
        each!(64, 16, |kernel, vmalloc| {
            let before = accounted(kernel);
            let error = vmalloc.vmalloc_with($request, kernel);
            assert_eq!(error, Err($error));
            assert_eq!((accounted(kernel), vmalloc.live()), (before, 0));
        })
    };
}

const PRESENT: u64 = (FRAMES - 1) * PAGE_SIZE;

#[test]
fn vmalloc_of_0() {
    refused!(Request::new(0), VmallocError::NoBytes);
}

#[test]
fn vmalloc_of_the_largest_number() {
    let (bytes, present) = (u64::MAX, PRESENT);
    refused!(
        Request::new(bytes),
        VmallocError::MoreThanRam { bytes, present }
    );
}

#[test]
fn vmalloc_of_more_pages_than_the_machine_has() {
    let (bytes, present) = (PRESENT + 1, PRESENT);
    refused!(
        Request::new(bytes),
        VmallocError::MoreThanRam { bytes, present }
    );
}

/// 2.4's missing check: its first request of all can be larger than the window.
#[test]
fn a_first_request_larger_than_the_window() {
    refused!(Request::new(64 * PAGE_SIZE), no_gap(65));
    refused!(Request::new(65 * PAGE_SIZE).no_guard(), no_gap(65));
}

#[test]
fn vmalloc_at_a_multiple_that_is_no_power_of_two() {
    for align in [0, 3, 12288] {
        refused!(
            Request::new(1).align(align),
            VmallocError::Alignment { align }
        );
    }
}

/// Without its guard page an area may have all of the window; sizes round up to pages.
#[test]
fn sizes_around_a_page_and_around_the_window() {
    each!(64, 16, |kernel, vmalloc| {
        for (bytes, pages) in [
            (1, 1),
            (4095, 1),
            (4096, 1),
            (4097, 2),
            (63 * PAGE_SIZE, 63),
        ] {
            let area = vmalloc.vmalloc(bytes, kernel).unwrap();
            assert_eq!(area.bytes(), pages * PAGE_SIZE);
            vmalloc.vfree(area, kernel).unwrap();
        }
        let request = Request::new(64 * PAGE_SIZE).no_guard();
        let area = vmalloc.vmalloc_with(request, kernel).unwrap();
        assert_eq!((area.start(), area.guard_page()), (page(0), page(64)));
        vmalloc.vfree(area, kernel).unwrap();
    });
}

#[test]
fn vfree_of_null() {
    each!(64, 16, |kernel, vmalloc| {
        assert_eq!(vmalloc.vfree_at(VirtAddr(0), kernel), Err(VfreeError::Null));
    });
}

#[test]
fn vfree_of_a_misaligned_address() {
    each!(64, 16, |kernel, vmalloc| {
        let area = vmalloc.vmalloc(PAGE_SIZE, kernel).unwrap();
        let address = VirtAddr(area.start().0 + 8);
        let error = vmalloc.vfree_at(address, kernel);
        assert_eq!(error, Err(VfreeError::Misaligned { address }));
        vmalloc.vfree(area, kernel).unwrap();
    });
}

#[test]
fn vfree_inside_an_area() {
    each!(64, 16, |kernel, vmalloc| {
        let area = vmalloc.vmalloc(3 * PAGE_SIZE, kernel).unwrap();
        let start = area.start();
        // The last page, and the guard page, which is the area's, too.
        for address in [page(2), area.guard_page()] {
            let error = vmalloc.vfree_at(address, kernel);
            assert_eq!(error, Err(VfreeError::InsideArea { address, start }));
        }
        vmalloc.vfree(area, kernel).unwrap();
    });
}

#[test]
fn vfree_of_what_was_freed() {
    each!(64, 16, |kernel, vmalloc| {
        let before = accounted(kernel);
        let area = vmalloc.vmalloc(3 * PAGE_SIZE, kernel).unwrap();
        let address = area.start();
        vmalloc.vfree_at(address, kernel).unwrap();
        let error = vmalloc.vfree(area, kernel);
        if vmalloc.waiting().areas == 1 {
            assert_eq!(error, Err(VfreeError::AlreadyFreed { address }));
            vmalloc.purge(kernel);
        }
        let error = vmalloc.vfree_at(address, kernel);
        assert_eq!(error, Err(VfreeError::NoArea { address }));
        assert_eq!((accounted(kernel), vmalloc.live()), (before, 0));
    });
}

/// Of the direct map and of kmap, for example.
#[test]
fn vfree_outside_the_region() {
    each!(64, 16, |kernel, vmalloc| {
        for address in [
            VirtAddr(0xffff_8880_0000_0000),
            page(64),
            VirtAddr(0xffff_ffff_fe00_0000),
        ] {
            let error = vmalloc.vfree_at(address, kernel);
            assert_eq!(error, Err(VfreeError::OutsideRegion { address }));
        }
    });
}

#[test]
fn every_kind_of_area_has_a_call_of_its_own_to_free_it() {
    each!(64, 16, |kernel, vmalloc| {
        let made = vmalloc.vmalloc(2 * PAGE_SIZE, kernel).unwrap();
        let mapped = vmalloc.vmap(&[Pfn(7)], Protection::READ, kernel).unwrap();
        let device = vmalloc
            .ioremap(PhysAddr(0xfed0_0000), 8, Caching::Uncached, kernel)
            .unwrap();
        let before = (accounted(kernel), vmalloc.live());
        let wrong = |address, wanted, found| {
            Err(VfreeError::WrongKind {
                address,
                wanted,
                found,
            })
        };
        let (vmalloc_at, vmap_at, ioremap_at) = (made.start(), mapped.start(), device.address());
        use Kind::{Ioremap, Vmalloc, Vmap};
        for (address, found) in [(vmap_at, Vmap), (ioremap_at, Ioremap)] {
            let error = vmalloc.vfree_at(address, kernel);
            assert_eq!(error, wrong(address, Vmalloc, found));
        }
        for (address, found) in [(vmalloc_at, Vmalloc), (ioremap_at, Ioremap)] {
            let error = vmalloc.vunmap_at(address, kernel);
            assert_eq!(error, wrong(address, Vmap, found));
        }
        for (address, found) in [(vmalloc_at, Vmalloc), (vmap_at, Vmap)] {
            let error = vmalloc.iounmap_at(address, kernel);
            assert_eq!(error, wrong(address, Ioremap, found));
        }
        // An owner's value does not help either.
        let area = Area { ..mapped };
        assert_eq!(vmalloc.vfree(area, kernel), wrong(vmap_at, Vmalloc, Vmap));
        assert_eq!((accounted(kernel), vmalloc.live()), before);
        vmalloc.vfree(made, kernel).unwrap();
        vmalloc.vunmap_at(vmap_at, kernel).unwrap();
        vmalloc.iounmap(device, kernel).unwrap();
    });
}

#[test]
fn vmap_of_nothing_and_of_too_much() {
    each!(64, 16, |kernel, vmalloc| {
        let mut map = |frames: &[Pfn]| vmalloc.vmap(frames, Protection::READ, kernel);
        assert_eq!(map(&[]), Err(VmapError::NoFrames));
        let (count, present) = (FRAMES, FRAMES - 1);
        let error = map(&std::vec![Pfn(1); count as usize]);
        assert_eq!(error, Err(VmapError::MoreThanRam { count, present }));
        let error = map(&[Pfn(1); 64]);
        let no_gap = SearchError::NoGap {
            pages: 65,
            align: PAGE_SIZE,
        };
        assert_eq!(error, Err(VmapError::Search(no_gap)));
        assert_eq!(vmalloc.live(), 0);
    });
}

/// Every hole is shorter than the request; then freed areas that wait for a flush are what makes room.
#[test]
fn an_exhausted_window_and_its_recovery() {
    each!(40, 16, |kernel, vmalloc| {
        let before = accounted(kernel);
        let mut areas: Vec<_> = (0..10)
            .map(|_| Some(vmalloc.vmalloc(3 * PAGE_SIZE, kernel).unwrap()))
            .collect();
        assert_eq!(vmalloc.vmalloc(1, kernel), Err(no_gap(2)));
        for area in areas.iter_mut().step_by(2) {
            vmalloc.vfree(area.take().unwrap(), kernel).unwrap();
        }
        vmalloc.purge(kernel);
        // Five holes of four pages.
        assert_eq!(vmalloc.vmalloc(4 * PAGE_SIZE, kernel), Err(no_gap(5)));
        assert_eq!(vmalloc.live(), 5);
        // Two more, freed now, make one of 12.
        for area in &mut areas[1..=3] {
            if let Some(area) = area.take() {
                vmalloc.vfree(area, kernel).unwrap();
            }
        }
        let large = vmalloc.vmalloc(11 * PAGE_SIZE, kernel).unwrap();
        assert_eq!((large.start(), vmalloc.waiting().areas), (page(0), 0));
        vmalloc.vfree(large, kernel).unwrap();
        for area in areas.into_iter().flatten() {
            vmalloc.vfree(area, kernel).unwrap();
        }
        assert_eq!((accounted(kernel), vmalloc.live()), (before, 0));
    });
}

#[test]
fn no_slot_for_another_area_and_its_recovery() {
    each!(1 << 20, 16, |kernel, vmalloc| {
        let before = accounted(kernel);
        let mut areas: Vec<_> = (0..16)
            .map(|_| vmalloc.vmalloc(1, kernel).unwrap())
            .collect();
        let no_slot = VmallocError::Search(SearchError::NoSlot { slots: 16 });
        assert_eq!(vmalloc.vmalloc(1, kernel), Err(no_slot));
        vmalloc.vfree(areas.remove(3), kernel).unwrap();
        areas.push(vmalloc.vmalloc(1, kernel).unwrap());
        for area in areas {
            vmalloc.vfree(area, kernel).unwrap();
        }
        assert_eq!((accounted(kernel), vmalloc.live()), (before, 0));
    });
}

#[test]
fn pages_that_were_unmapped_behind_our_back() {
    // A page, a list of blocks, one block; and the last page of each.
    for pages in [1, 3, 4, 16] {
        each!(64, 16, |kernel, vmalloc| {
            let before = accounted(kernel);
            let area = vmalloc.vmalloc(pages * PAGE_SIZE, kernel).unwrap();
            let (start, last) = (area.start(), page(pages - 1));
            let frame = vmalloc.vmalloc_to_page(last).unwrap();
            vmalloc.owned.unmap(last, 1).unwrap().flush(&kernel.tlb);
            let free = accounted(kernel);
            let address = last;
            assert_eq!(
                vmalloc.vfree(area, kernel),
                Err(VfreeError::Pages(ChangeError::NotMapped { address }))
            );
            assert_eq!((accounted(kernel), vmalloc.live()), (free, 1));
            let frames = frame..frame.add(1);
            let (protection, small) = (Protection::READ_WRITE, PageSize::Size4K);
            vmalloc
                .owned
                .map(last, frames, protection, small, &mut kernel.tables())
                .unwrap();
            vmalloc.vfree_at(start, kernel).unwrap();
            assert_eq!((accounted(kernel), vmalloc.live()), (before, 0));
        });
    }
}
