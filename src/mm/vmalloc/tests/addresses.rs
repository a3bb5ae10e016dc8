//! Where areas go, and what lies between them.

use super::*;

#[test]
fn the_lowest_gap_is_taken_and_guard_pages_lie_between() {
    each!(1 << 20, 16, |kernel, vmalloc| {
        let mut allocate = |pages: u64| vmalloc.vmalloc(pages * PAGE_SIZE, kernel).unwrap();
        // 2.4's `get_vm_area`, step by step.
        let areas = [allocate(1), allocate(2), allocate(3), allocate(1)];
        assert_eq!(
            areas.each_ref().map(|area| area.start()),
            [0, 2, 5, 9].map(page)
        );
        let [_, second, third, _] = areas;
        for area in [&second, &third] {
            assert_eq!(kernel.table.translate(area.guard_page()), None);
        }
        vmalloc.vfree(second, kernel).unwrap();
        vmalloc.purge(kernel);
        let one = vmalloc.vmalloc(PAGE_SIZE, kernel).unwrap();
        let two = vmalloc.vmalloc(2 * PAGE_SIZE, kernel).unwrap();
        assert_eq!([one.start(), two.start()], [2, 11].map(page));
    });
}

#[test]
fn requests_are_followed() {
    each!(1 << 20, 16, |kernel, vmalloc, arena| {
        let mut allocate = |request: Request| vmalloc.vmalloc_with(request, kernel).unwrap();
        let bare = allocate(Request::new(1).no_guard());
        let next = allocate(Request::new(4097).protection(Protection::READ));
        let aligned = allocate(Request::new(1).align(1 << 20));
        assert_eq!(
            [&bare, &next, &aligned].map(Area::start),
            [0, 1, 256].map(page)
        );
        assert_eq!([&bare, &next].map(Area::bytes), [4096, 8192]);
        let protection = |address| kernel.table.translate(address).unwrap().protection();
        assert_eq!(protection(bare.start()), Protection::READ_WRITE);
        assert_eq!(protection(page(2)), Protection::READ);
        for area in [bare, next, aligned] {
            vmalloc.vfree(area, kernel).unwrap();
        }
        // All frames have something in them; those of vzalloc do not, one or many.
        let all = vmalloc.vmalloc(1024 * PAGE_SIZE, kernel).unwrap();
        for number in 0..1024 {
            let frame = vmalloc.vmalloc_to_page(VirtAddr(all.start().0 + number * PAGE_SIZE));
            arena.write(frame.unwrap().address(), !0);
        }
        vmalloc.vfree(all, kernel).unwrap();
        for bytes in [1, 40 * PAGE_SIZE] {
            let zeroed = vmalloc.vzalloc(bytes, kernel).unwrap();
            let mut content = std::vec![1; zeroed.bytes() as usize];
            assert_eq!(
                vmalloc.vread(zeroed.start(), &mut content, kernel),
                content.len()
            );
            assert!(content.iter().all(|&byte| byte == 0));
            vmalloc.vfree(zeroed, kernel).unwrap();
        }
        for area in [
            vmalloc.vmalloc_dma(1, kernel),
            vmalloc.vmalloc_32(8193, kernel),
        ] {
            vmalloc.vfree(area.unwrap(), kernel).unwrap();
        }
        assert_eq!(vmalloc.live(), 0);
    });
}

#[test]
fn vmap_maps_in_order_and_leaves_the_frames_alone() {
    each!(64, 16, |kernel, vmalloc, _arena, tlb| {
        let block = kernel
            .frames
            .alloc_pages(Gfp::KERNEL, Order::new(2).unwrap())
            .unwrap();
        let first = block.pfn();
        let free = accounted(kernel);
        let frames = [3, 1, 1, 0].map(|number| first.add(number));
        let area = vmalloc
            .vmap(&frames, Protection::READ_WRITE, kernel)
            .unwrap();
        let twice = vmalloc
            .vmap(&frames[..1], Protection::READ, kernel)
            .unwrap();
        assert_eq!([&area, &twice].map(Area::start), [0, 5].map(page));
        for (number, frame) in (0..).zip(frames) {
            assert_eq!(tlb.access(&kernel.table, page(number)), Ok(Some(frame)));
        }
        assert_eq!(tlb.access(&kernel.table, area.guard_page()), Ok(None));
        assert_eq!(accounted(kernel), free);
        vmalloc.vunmap(area, kernel).unwrap();
        vmalloc.vunmap_at(twice.into_raw(), kernel).unwrap();
        assert_eq!(accounted(kernel), free);
        kernel.frames.free(block).unwrap();
    });
}

#[test]
fn a_protection_changes_on_every_cpu() {
    each!(64, 16, |kernel, vmalloc, _arena, tlb| {
        let area = vmalloc.vmalloc(3 * PAGE_SIZE, kernel).unwrap();
        let start = area.start();
        tlb.access_on(1, &kernel.table, start).unwrap();
        vmalloc
            .protect(start, Protection::READ_EXECUTE, kernel)
            .unwrap();
        assert!(!tlb.holds(|address, _| address == start));
        let translation = kernel.table.translate(page(2)).unwrap();
        assert_eq!(translation.protection(), Protection::READ_EXECUTE);
        vmalloc.vfree(area, kernel).unwrap();
        assert_eq!(
            vmalloc.protect(start, Protection::READ, kernel),
            Err(ProtectError::NoArea { address: start })
        );
    });
}

/// Large leaves as far as blocks and size allow, also where areas of small pages have left their tables.
#[test]
fn huge_areas_have_large_leaves() {
    each!(1 << 20, 16, |kernel, vmalloc, _arena, tlb| {
        let before = accounted(kernel);
        let small = vmalloc.vmalloc(600 * PAGE_SIZE, kernel).unwrap();
        tlb.access_on(1, &kernel.table, small.start()).unwrap();
        vmalloc.vfree(small, kernel).unwrap();
        vmalloc.purge(kernel);
        let huge = vmalloc.vmalloc_huge(513 * PAGE_SIZE, kernel).unwrap();
        assert_eq!(huge.start(), page(0));
        let size = |number| kernel.table.translate(page(number)).unwrap().size();
        assert_eq!(
            [0, 511, 512].map(size),
            [PageSize::Size2M, PageSize::Size2M, PageSize::Size4K]
        );
        assert_eq!(kernel.table.translate(huge.guard_page()), None);
        vmalloc.vfree(huge, kernel).unwrap();
        // Less than a leaf: as any other.
        let small = vmalloc.vmalloc_huge(511 * PAGE_SIZE, kernel).unwrap();
        vmalloc.vfree(small, kernel).unwrap();
        assert_eq!((accounted(kernel), vmalloc.live()), (before, 0));
    });
}

/// 2^n pages are one block of frames, as the allocator gives it out, wherever the area lies in its PTs; where there is no such
/// block they are as many smaller ones as it takes. All are whole again at the end.
#[test]
fn a_power_of_two_pages_are_one_block_if_there_is_one() {
    each!(1 << 20, 16, |kernel, vmalloc| {
        let before = accounted(kernel);
        // The first of each order lies in one PT, and one of the largest in two.
        for order in (0..9).chain([8, 8, 8, 7]) {
            let pages = 1 << order;
            let area = vmalloc.vmalloc(pages * PAGE_SIZE, kernel).unwrap();
            let frame = |number: u64| {
                let address = VirtAddr(area.start().0 + number * PAGE_SIZE);
                vmalloc.vmalloc_to_page(address).unwrap()
            };
            let first = frame(0);
            assert!(first.0.is_multiple_of(pages), "{first} of order {order}");
            assert!((0..pages).all(|number| frame(number) == first.add(number)));
            assert_eq!(kernel.table.translate(area.guard_page()), None);
            vmalloc.vfree(area, kernel).unwrap();
            kernel.frames.validate().unwrap();
        }
        vmalloc.purge(kernel);
        kernel.drain_frame_cache();
        // Nearly all that is free is every other frame.
        let mut kept = Vec::new();
        while let Ok(block) = kernel.frames.alloc_page(Gfp::KERNEL) {
            kept.push(block);
        }
        let (free, kept): (Vec<_>, Vec<_>) =
            kept.into_iter().partition(|block| block.pfn().0 % 2 == 0);
        for block in free {
            kernel.frames.free(block).unwrap();
        }
        let area = vmalloc.vmalloc(64 * PAGE_SIZE, kernel).unwrap();
        let frames: Vec<_> = (0..64)
            .map(|number| vmalloc.vmalloc_to_page(page(number)).unwrap())
            .collect();
        let neighbours = frames.windows(2).filter(|pair| pair[1] == pair[0].add(1));
        // All others are of what only those get who may go below the marks.
        assert!(neighbours.count() < 32, "{frames:?}");
        vmalloc.vfree(area, kernel).unwrap();
        for block in kept {
            kernel.frames.free(block).unwrap();
        }
        assert_eq!(accounted(kernel), before);
        kernel.frames.validate().unwrap();
    });
}
