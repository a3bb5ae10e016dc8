//! vread and vwrite, with the holes of the book.

use super::*;
use crate::mm::address::PhysAddr;

/// Pages 0-1 an area, 2 its guard, 3-5 free, 6 an area, 7 its guard.
macro_rules! two_areas {
    (|$kernel:ident, $vmalloc:ident, $arena:ident| $test:block) => {
        each!(64, 16, |$kernel, $vmalloc, $arena| {
            let first = $vmalloc.vmalloc(2 * PAGE_SIZE, $kernel).unwrap();
            let between = $vmalloc.vmalloc(2 * PAGE_SIZE, $kernel).unwrap();
            let last = $vmalloc.vmalloc(1, $kernel).unwrap();
            $vmalloc.vfree(between, $kernel).unwrap();
            for (number, mark) in [(0, 0x11), (1, 0x22), (6, 0x66)] {
                let frame = $vmalloc.vmalloc_to_page(page(number)).unwrap();
                for word in 0..512 {
                    let word = PhysAddr(frame.address().0 + word * 8);
                    $arena.write(word, u64::from_ne_bytes([mark; 8]));
                }
            }
            $test
            $vmalloc.vfree(first, $kernel).unwrap();
            $vmalloc.vfree(last, $kernel).unwrap();
        })
    };
}

#[test]
fn vread_fills_holes_with_zeros_and_ends_with_the_last_area() {
    two_areas!(|kernel, vmalloc, _arena| {
        let read = |from: u64, bytes: usize| {
            let mut buffer = std::vec![0xff; bytes];
            let count = vmalloc.vread(VirtAddr(from), &mut buffer, kernel);
            buffer.truncate(count);
            buffer
        };
        // From inside a page over its end, and over the end of the area into the guard page.
        let start = page(1).0;
        assert_eq!(
            read(start - 3, 7),
            [0x11, 0x11, 0x11, 0x22, 0x22, 0x22, 0x22]
        );
        assert_eq!(read(start + 4093, 5), [0x22, 0x22, 0x22, 0, 0]);
        // From a hole into an area, from below the region, and across both areas.
        assert_eq!(read(page(6).0 - 2, 3), [0, 0, 0x66]);
        assert_eq!(read(REGION - 1, 2), [0, 0x11]);
        let all = read(REGION, 64 << 12);
        assert_eq!(all.len(), 7 << 12, "up to the last byte of the last area");
        assert!(all[2 << 12..6 << 12].iter().all(|&byte| byte == 0));
        assert_eq!(
            (all[0], all[(2 << 12) - 1], all[6 << 12]),
            (0x11, 0x22, 0x66)
        );
        // Behind the last area there is nothing, and addresses do not wrap.
        assert!(read(page(7).0, 100).is_empty());
        assert!(read(u64::MAX - 1, 100).is_empty());
        assert!(read(REGION, 0).is_empty());
    });
}

#[test]
fn vwrite_skips_holes() {
    two_areas!(|kernel, vmalloc, arena| {
        let data: Vec<u8> = (0..(6 << 12) + 20)
            .map(|number| (number % 251) as u8 + 1)
            .collect();
        let count = vmalloc.vwrite(VirtAddr(page(1).0 - 5), &data, kernel);
        assert_eq!(count, (6 << 12) + 5, "5 bytes, pages 1 to 6");
        let mut back = std::vec![0; count];
        assert_eq!(
            vmalloc.vread(VirtAddr(page(1).0 - 5), &mut back, kernel),
            count
        );
        for (index, (&read, &written)) in back.iter().zip(&data).enumerate() {
            let in_hole = (5 + (1 << 12)..5 + (5 << 12)).contains(&index);
            assert_eq!(read, if in_hole { 0 } else { written }, "byte {index}");
        }
        // What lies before is as it was.
        let frame = vmalloc.vmalloc_to_page(page(0)).unwrap();
        assert_eq!(
            arena.read(PhysAddr(frame.address().0 + 4080)),
            0x1111_1111_1111_1111
        );
    });
}

/// A device is a hole: reading it could change its state. So are frames that are not the allocator's.
#[test]
fn devices_are_holes() {
    each!(64, 16, |kernel, vmalloc| {
        let io = vmalloc
            .ioremap(PhysAddr(0xfee0_0000), 8, Caching::Uncached, kernel)
            .unwrap();
        let foreign = vmalloc
            .vmap(&[Pfn(1 << 30)], Protection::READ_WRITE, kernel)
            .unwrap();
        let mut buffer = [0xff; 3 << 12];
        assert_eq!(vmalloc.vread(page(0), &mut buffer, kernel), 3 << 12);
        assert!(buffer.iter().all(|&byte| byte == 0));
        assert_eq!(vmalloc.vwrite(page(0), &buffer, kernel), 3 << 12);
        assert_eq!(vmalloc.vmalloc_to_page(page(2)), Some(Pfn(1 << 30)));
        assert_eq!(vmalloc.vmalloc_to_page(page(1)), None);
        vmalloc.vunmap(foreign, kernel).unwrap();
        vmalloc.iounmap(io, kernel).unwrap();
    });
}
