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
        let beyond = |address, bytes| IoremapError::BeyondPhysical { address, bytes };
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
