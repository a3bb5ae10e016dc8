//! Floor 1: where every virtual region lies, from constants and the amount of RAM. Pure arithmetic.
//!
//! The rule is that of 2.4 on i386 (the book's section 3.7 and figure 4.1): the direct map starts at PAGE_OFFSET and covers RAM
//! up to `high_memory`; the vmalloc region starts one hole further up, at the next multiple of the hole's size, and ends at a
//! constant. On x86-64 the rule stays and the unit changes, from 8 MiB to 512 GiB, which is one slot of the PML4: vmalloc
//! never shares a PML4 entry with the direct map.
//!
//! The book says that the vmalloc region is never smaller than VMALLOC_RESERVE (128 MiB). By the source it is the space above
//! the direct map that is never smaller: the reserve also pays for the hole, kmap and the fixmap, so that a machine with 896
//! MiB or more has a window of 88 MiB. The tests hold the i386 figures.

#![forbid(unsafe_code)]

use core::fmt;
use core::ops::Range;

use super::address::{PAGE_SIZE, PhysAddr, VirtAddr};

/// What a layout is computed from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Constants {
    /// The layout's name in the log.
    pub name: &'static str,
    /// PAGE_OFFSET: where physical address 0 lies in the direct map.
    pub page_offset: u64,
    /// Most bytes of RAM that the direct map may cover.
    pub direct_map_limit: u64,
    /// VMALLOC_OFFSET: least size of the hole behind the direct map, and the alignment of VMALLOC_START. A power of two.
    pub vmalloc_offset: u64,
    /// VMALLOC_END, exclusive.
    pub vmalloc_end: u64,
    /// A range in which page tables may be edited at will: cases measure there, and nothing else lies there.
    pub scratch: (u64, u64),
    /// Where the image is linked: the window of the top 1 GiB, without the last page of the address space.
    pub image: (u64, u64),
    /// Bits of a canonical address.
    pub virtual_bits: u32,
}

impl Constants {
    /// x86-64 with four levels: all RAM in the direct map.
    pub const WIDE: Constants = Constants {
        name: "wide",
        page_offset: 0xffff_8880_0000_0000,
        direct_map_limit: 64 << 40,
        vmalloc_offset: 512 << 30,
        vmalloc_end: 0xffff_e900_0000_0000 - 2 * PAGE_SIZE,
        scratch: (0xffff_ea00_0000_0000, 0xffff_ea80_0000_0000),
        image: (0xffff_ffff_c000_0000, 0xffff_ffff_ffff_f000),
        virtual_bits: 48,
    };
}

/// Why there is no layout for a machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LayoutError {
    /// A region does not end above its start: the constants leave it no room.
    NoRoom(Region),
    /// Two regions overlap, or are out of order.
    Overlap(Region, Region),
    /// A region's first or last byte is not a canonical address.
    NotCanonical(Region),
}

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LayoutError::NoRoom(region) => write!(f, "layout: no room for {region}"),
            LayoutError::Overlap(first, second) => write!(f, "layout: {first} overlaps {second}"),
            LayoutError::NotCanonical(region) => write!(f, "layout: {region} is not canonical"),
        }
    }
}

impl core::error::Error for LayoutError {}

/// A named virtual range, end exclusive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Region {
    /// The name in the log.
    pub name: &'static str,
    /// First byte.
    pub start: VirtAddr,
    /// First byte behind it.
    pub end: VirtAddr,
}

impl Region {
    /// The range of addresses.
    #[must_use]
    pub const fn range(self) -> Range<VirtAddr> {
        self.start..self.end
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}..{}", self.name, self.start, self.end)
    }
}

/// The regions of one machine, in the order of their addresses, disjoint and canonical.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    /// The name of the constants.
    pub name: &'static str,
    /// All RAM that is mapped at one offset; ends at high_memory.
    pub direct_map: Region,
    /// VMALLOC_START to VMALLOC_END.
    pub vmalloc: Region,
    /// For cases that edit page tables.
    pub scratch: Region,
    /// The image's window.
    pub image: Region,
}

impl Layout {
    /// Places the regions for a machine whose RAM ends at `top_of_ram`.
    ///
    /// RAM above the direct map's limit is left out of it; [`Layout::high_memory`] tells where it ends.
    ///
    /// # Errors
    ///
    /// The regions that do not fit.
    pub fn new(constants: &Constants, top_of_ram: PhysAddr) -> Result<Self, LayoutError> {
        let offset = constants.vmalloc_offset;
        let high_memory = constants.page_offset + top_of_ram.0.min(constants.direct_map_limit);
        let vmalloc_start = (high_memory + offset).next_multiple_of(offset);
        let region = |name, start, end| Region {
            name,
            start: VirtAddr(start),
            end: VirtAddr(end),
        };
        let layout = Layout {
            name: constants.name,
            direct_map: region("direct_map", constants.page_offset, high_memory),
            vmalloc: region("vmalloc", vmalloc_start, constants.vmalloc_end),
            scratch: region("scratch", constants.scratch.0, constants.scratch.1),
            image: region("image", constants.image.0, constants.image.1),
        };
        let regions = layout.regions();
        for region in regions {
            if region.start >= region.end {
                return Err(LayoutError::NoRoom(region));
            }
            let last = VirtAddr(region.end.0 - 1);
            if ![region.start, last]
                .iter()
                .all(|address| address.is_canonical(constants.virtual_bits))
            {
                return Err(LayoutError::NotCanonical(region));
            }
        }
        for pair in regions.windows(2) {
            if pair[0].end > pair[1].start {
                return Err(LayoutError::Overlap(pair[0], pair[1]));
            }
        }
        Ok(layout)
    }

    /// Every region, lowest first.
    #[must_use]
    pub const fn regions(&self) -> [Region; 4] {
        [self.direct_map, self.vmalloc, self.scratch, self.image]
    }

    /// The first address behind the direct map, as 2.4 names it.
    #[must_use]
    pub const fn high_memory(&self) -> VirtAddr {
        self.direct_map.end
    }

    /// Bytes of RAM that the direct map covers, from physical address 0.
    #[must_use]
    pub const fn direct_mapped(&self) -> u64 {
        self.direct_map.end.0 - self.direct_map.start.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    /// 2.4.20 on i386 with HIGHMEM: `include/asm-i386/{page,pgtable,highmem,fixmap}.h`. Its addresses have 32 bits; with the
    /// image at their end, where the kmap and fixmap windows are.
    const I386: Constants = Constants {
        name: "i386",
        page_offset: 0xc000_0000,
        direct_map_limit: 896 * MIB,
        vmalloc_offset: 8 * MIB,
        vmalloc_end: 0xfe00_0000 - 2 * PAGE_SIZE,
        scratch: (0xfe00_0000, 0xfe40_0000),
        image: (0xfe40_0000, 0xffff_e000),
        virtual_bits: 48,
    };

    #[test]
    fn the_figures_of_i386() {
        for (ram, high_memory, vmalloc_start, room) in [
            (32 * MIB, 0xc200_0000, 0xc280_0000, 952 * MIB - 8192),
            (64 * MIB, 0xc400_0000, 0xc480_0000, 920 * MIB - 8192),
            (128 * MIB, 0xc800_0000, 0xc880_0000, 856 * MIB - 8192),
            (256 * MIB, 0xd000_0000, 0xd080_0000, 728 * MIB - 8192),
            (512 * MIB, 0xe000_0000, 0xe080_0000, 472 * MIB - 8192),
            (768 * MIB, 0xf000_0000, 0xf080_0000, 216 * MIB - 8192),
            (896 * MIB, 0xf800_0000, 0xf880_0000, 88 * MIB - 8192),
            (4096 * MIB, 0xf800_0000, 0xf880_0000, 88 * MIB - 8192),
            (100 * MIB + 4096, 0xc640_1000, 0xc700_0000, 880 * MIB - 8192),
        ] {
            let layout = Layout::new(&I386, PhysAddr(ram)).unwrap();
            assert_eq!(layout.high_memory().0, high_memory, "{ram:#x}");
            assert_eq!(layout.vmalloc.start.0, vmalloc_start, "{ram:#x}");
            assert_eq!(
                layout.vmalloc.end.0 - layout.vmalloc.start.0,
                room,
                "{ram:#x}"
            );
            // What the reserve of 128 MiB really bounds.
            assert!((1 << 32) - layout.high_memory().0 >= 128 * MIB);
        }
    }

    #[test]
    fn wide_leaves_a_whole_pml4_slot_behind_the_direct_map() {
        for ram in [64 * MIB, 1 << 30, (6 << 30) + 4096, 1 << 40, 64 << 40] {
            let layout = Layout::new(&Constants::WIDE, PhysAddr(ram)).unwrap();
            let slot = |address: u64| address >> 39;
            assert_eq!(layout.direct_mapped(), ram);
            assert!(layout.vmalloc.start.is_aligned(512 << 30));
            assert!(
                slot(layout.vmalloc.start.0) - slot(layout.high_memory().0 - 1) >= 2,
                "{ram:#x}"
            );
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
    }
}
