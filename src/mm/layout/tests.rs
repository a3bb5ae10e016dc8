use super::*;
use crate::mm::address::PAGE_SIZE;

const MIB: u64 = 1 << 20;
const ALL: [Constants; 3] = [Constants::WIDE, Constants::CLASSIC, Constants::WIDE5];

fn layout(constants: &Constants, ram: u64) -> Layout {
    Layout::new(constants, PhysAddr(ram)).unwrap()
}

/// The figures of 2.4.20 on i386 with HIGHMEM, which are the lower 32 bits of ours.
#[test]
fn classic_has_the_figures_of_i386() {
    for (ram, high_memory, vmalloc_start, room) in [
        (32 * MIB, 0xc200_0000, 0xc280_0000, 952 * MIB - 8192),
        (64 * MIB, 0xc400_0000, 0xc480_0000, 920 * MIB - 8192),
        (128 * MIB, 0xc800_0000, 0xc880_0000, 856 * MIB - 8192),
        (256 * MIB, 0xd000_0000, 0xd080_0000, 728 * MIB - 8192),
        (512 * MIB, 0xe000_0000, 0xe080_0000, 472 * MIB - 8192),
        (768 * MIB, 0xf000_0000, 0xf080_0000, 216 * MIB - 8192),
        (896 * MIB, 0xf800_0000, 0xf880_0000, 88 * MIB - 8192),
        (4096 * MIB, 0xf800_0000, 0xf880_0000, 88 * MIB - 8192),
        // Not a multiple of 8 MiB: the hole grows up to the next one.
        (100 * MIB + 4096, 0xc640_1000, 0xc700_0000, 880 * MIB - 8192),
    ] {
        let layout = layout(&Constants::CLASSIC, ram);
        let book = |address: VirtAddr| u64::from(address.0 as u32);
        assert_eq!(book(layout.high_memory()), high_memory, "{ram:#x}");
        assert_eq!(book(layout.vmalloc.start), vmalloc_start, "{ram:#x}");
        assert_eq!(book(layout.vmalloc.end), 0xfdff_e000);
        assert_eq!(layout.vmalloc.end.0 - layout.vmalloc.start.0, room);
        // What the reserve of 128 MiB really bounds.
        assert!((1 << 32) - high_memory >= 128 * MIB);
        let kmap = layout.kmap.unwrap();
        assert_eq!(
            (book(kmap.start), book(kmap.end)),
            (0xfe00_0000, 0xfe20_0000)
        );
        // FIXADDR_TOP names the highest slot's first byte.
        assert_eq!(book(layout.fixmap.end) - PAGE_SIZE, 0xffff_e000);
    }
}

#[test]
fn wide_layouts_leave_a_whole_root_slot_behind_the_direct_map() {
    for (constants, shift) in [(Constants::WIDE, 39), (Constants::WIDE5, 48)] {
        for ram in [64 * MIB, 1 << 30, (6 << 30) + 4096, 1 << 40, 64 << 40] {
            let layout = layout(&constants, ram);
            let slot = |address: u64| address >> shift;
            assert_eq!(layout.direct_mapped(), ram);
            assert!(layout.vmalloc.start.is_aligned(1 << shift));
            assert!(
                slot(layout.vmalloc.start.0) - slot(layout.high_memory().0 - 1) >= 2,
                "{ram:#x}"
            );
            // Nor does anything else share one with the scratch region, whose tables cases make and unmake.
            let others = layout.regions().filter(|other| *other != layout.scratch);
            for other in others {
                let last = slot(other.end.0 - 1);
                assert!(
                    last < slot(layout.scratch.start.0)
                        || slot(layout.scratch.end.0 - 1) < slot(other.start.0),
                    "{other}"
                );
            }
        }
    }
}

#[test]
fn regions_are_in_order_and_apart_with_any_ram() {
    for constants in ALL {
        for ram in (12..52).flat_map(|bits| [1 << bits, (1 << bits) + PAGE_SIZE]) {
            let Ok(layout) = Layout::new(&constants, PhysAddr(ram)) else {
                panic!("{} with {ram:#x}", constants.name);
            };
            let regions: Vec<_> = layout.regions().collect();
            assert!(regions.iter().all(|region| region.start < region.end));
            assert!(regions.is_sorted_by(|below, above| below.end <= above.start));
            assert!(layout.hole.end.0 - layout.hole.start.0 >= constants.vmalloc_offset);
            // A window of kmap is there exactly where RAM may be left out.
            assert_eq!(layout.kmap.is_some(), layout.image.is_none());
            for region in regions {
                assert!(region.start.is_aligned(PAGE_SIZE) && region.end.is_aligned(PAGE_SIZE));
            }
        }
    }
}

#[test]
fn the_image_has_one_link_address_in_all_layouts() {
    let linked = VirtAddr(0xffff_ffff_c010_0000);
    for constants in ALL {
        let layout = layout(&constants, 32 * MIB);
        match layout.image {
            Some(image) => assert!(image.range().contains(&linked)),
            // Loaded at 1 MiB, the direct map has it where it is linked.
            None => assert_eq!(VirtAddr(layout.direct_map.start.0 + MIB), linked),
        }
    }
}

#[test]
fn regions_that_do_not_fit_are_named() {
    let top = PhysAddr(1 << 30);
    let short = Constants {
        vmalloc_end: Constants::WIDE.page_offset,
        ..Constants::WIDE
    };
    assert!(
        matches!(Layout::new(&short, top), Err(LayoutError::NoRoom(region)) if region.name == "vmalloc")
    );
    let low = Constants {
        scratch: (0xffff_e000_0000_0000, 0xffff_e080_0000_0000),
        ..Constants::WIDE
    };
    assert!(matches!(
        Layout::new(&low, top),
        Err(LayoutError::Overlap(first, second)) if (first.name, second.name) == ("vmalloc", "scratch")
    ));
    let wild = Constants {
        page_offset: 0x0000_9000_0000_0000,
        ..Constants::WIDE
    };
    assert!(matches!(
        Layout::new(&wild, top),
        Err(LayoutError::NotCanonical(_))
    ));
    let four_levels = Constants {
        virtual_bits: 48,
        ..Constants::WIDE5
    };
    assert!(matches!(
        Layout::new(&four_levels, top),
        Err(LayoutError::NotCanonical(region)) if region.name == "direct_map"
    ));
}
