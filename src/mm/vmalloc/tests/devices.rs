//! ioremap.

use super::*;
use crate::mm::address::PhysAddr;
use crate::mm::page_table::MemoryType;

#[test]
fn a_device_keeps_its_offset_and_its_caching() {
    each!(64, 16, |kernel, vmalloc, _arena, tlb| {
        let device = PhysAddr(0xfee0_0320);
        let io = vmalloc
            .ioremap(device, PAGE_SIZE, Caching::Uncached, kernel)
            .unwrap();
        assert_eq!((io.address().0, io.bytes()), (REGION + 0x320, PAGE_SIZE));
        let mapped = kernel.table.translate(io.address()).unwrap();
        assert_eq!(
            (mapped.address, mapped.protection()),
            (device, Protection::DEVICE)
        );
        // It reaches into a second page, and no further.
        assert_eq!(tlb.access(&kernel.table, page(1)), Ok(Some(Pfn(0xf_ee01))));
        assert_eq!(kernel.table.translate(page(2)), None);
        let info = vmalloc.infos().next().unwrap();
        assert_eq!((info.kind, info.pages), (Kind::Ioremap, 2));
        assert_eq!(info.physical, Some(PhysAddr(0xfee0_0000)));
        let free = accounted(kernel);
        vmalloc.iounmap(io, kernel).unwrap();
        assert_eq!(kernel.table.translate(page(1)), None);
        assert_eq!((accounted(kernel), vmalloc.live()), (free, 0));
        assert!(
            vmalloc
                .iounmap_at(VirtAddr(REGION + 0x320), kernel)
                .is_err()
        );
    });
}

#[test]
fn each_caching_has_its_memory_type_and_nothing_else_differs() {
    each!(64, 16, |kernel, vmalloc| {
        for (caching, memory_type) in [
            (Caching::Uncached, MemoryType::Uncacheable),
            (Caching::WriteCombining, MemoryType::WriteCombining),
            (Caching::WriteBack, MemoryType::WriteBack),
        ] {
            let device = PhysAddr(0xfd00_0000);
            let io = vmalloc
                .ioremap(device, 2 * PAGE_SIZE, caching, kernel)
                .unwrap();
            for address in [io.address(), VirtAddr(io.address().0 + PAGE_SIZE)] {
                let found = kernel.table.translate(address).unwrap().protection();
                let expected = Protection::READ_WRITE.with_memory_type(memory_type);
                assert_eq!(found, expected, "{caching:?}");
                assert_eq!(found.memory_type(), memory_type);
            }
            vmalloc.iounmap(io, kernel).unwrap();
        }
    });
}

#[test]
fn what_is_no_device_is_refused() {
    each!(64, 16, |kernel, vmalloc| {
        let behind = PhysAddr(FRAMES * PAGE_SIZE);
        let beyond = |address, bytes| IoremapError::BeyondPhysical {
            address,
            bytes,
            limit: PhysAddr(1 << 52),
        };
        let end = PhysAddr((1 << 52) - 1);
        let no_gap = SearchError::NoGap {
            pages: 65,
            align: PAGE_SIZE,
        };
        for (physical, bytes, error) in [
            (behind, 0, IoremapError::NoBytes),
            (PhysAddr(u64::MAX), 2, beyond(PhysAddr(u64::MAX), 2)),
            (end, 2, beyond(end, 2)),
            // The last byte of RAM, and the first.
            (
                PhysAddr(behind.0 - 1),
                4096,
                IoremapError::Ram {
                    frame: Pfn(FRAMES - 1),
                },
            ),
            (PhysAddr(0), 1 << 40, IoremapError::Ram { frame: Pfn(0) }),
            (behind, 64 * PAGE_SIZE, IoremapError::Search(no_gap)),
        ] {
            let refused = vmalloc.ioremap(physical, bytes, Caching::Uncached, kernel);
            assert_eq!(refused, Err(error), "{physical}");
        }
        assert_eq!(vmalloc.live(), 0);
    });
}

/// A reserved bit of an entry is a page fault at the first access.
#[test]
fn no_device_lies_beyond_what_the_cpu_can_address() {
    each!(64, 16, |kernel, vmalloc| {
        kernel.set_physical_bits(40);
        let limit = PhysAddr(1 << 40);
        let last = PhysAddr(limit.0 - PAGE_SIZE);
        let io = vmalloc
            .ioremap(last, PAGE_SIZE, Caching::Uncached, kernel)
            .unwrap();
        vmalloc.iounmap(io, kernel).unwrap();
        for (address, bytes) in [(last, PAGE_SIZE + 1), (limit, 8), (PhysAddr(1 << 45), 8)] {
            let error = IoremapError::BeyondPhysical {
                address,
                bytes,
                limit,
            };
            let refused = vmalloc.ioremap(address, bytes, Caching::Uncached, kernel);
            assert_eq!(refused, Err(error));
        }
        assert_eq!(vmalloc.live(), 0);
    });
}

/// A range that begins or ends in a hole of RAM, or has all of RAM in its middle, is as little a device's as one that begins in RAM.
#[test]
fn ram_anywhere_in_a_range_makes_it_no_device_s() {
    static RAM: [FrameRange; 3] = [
        Pfn(0)..Pfn(FRAMES),
        Pfn(0x1002)..Pfn(0x1003),
        Pfn(0x2000)..Pfn(0x2100),
    ];
    let mut parts = Parts::new(1);
    let (mut kernel, ..) = parts.kernel_with(&RAM);
    let (mut slots, mut nodes) = (slots(4), nodes(4));
    let mut vmalloc = Vmalloc::new(
        owned(&kernel, 0x1000),
        GapTree::new(region(0x1000), &mut slots, &mut nodes),
        Eager,
    );
    for (first, pages, ram) in [
        (0x1001, 1, None),
        (0x1001, 2, Some(0x1002)),
        (0x1000, 4, Some(0x1002)),
        (0x1002, 1, Some(0x1002)),
        (0x1003, 5, None),
        (0x1ff0, 0x10, None),
        (0x1ff0, 0x11, Some(0x2000)),
        (0x20ff, 2, Some(0x20ff)),
        (0x2100, 3, None),
        (0x1004, 0x2000, Some(0x2000)),
    ] {
        let physical = Pfn(first).address();
        let mapped = vmalloc.ioremap(physical, pages * PAGE_SIZE, Caching::Uncached, &mut kernel);
        match (mapped, ram) {
            (Ok(io), None) => vmalloc.iounmap(io, &mut kernel).unwrap(),
            (mapped, ram) => {
                let frame = Pfn(ram.unwrap_or(0));
                assert_eq!(
                    mapped,
                    Err(IoremapError::Ram { frame }),
                    "{first:#x} {pages}"
                );
            }
        }
    }
}
