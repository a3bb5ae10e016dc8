//! Floor 2: where every virtual region lies, from constants and the amount of RAM. Pure arithmetic.
//!
//! The rule is that of 2.4 on i386 (the book's section 3.7 and figure 4.1): the direct map starts at PAGE_OFFSET and covers RAM
//! up to `high_memory`; the vmalloc region starts one hole further up, at the next multiple of the hole's size, and ends at a
//! constant. `layout=classic` is that machine inside the top 1 GiB; `wide` and `wide5` keep the rule and change the unit, from
//! 8 MiB to one slot of the root table: vmalloc never shares a root entry with the direct map.
//!
//! The book says that the vmalloc region is never smaller than VMALLOC_RESERVE (128 MiB). By the source it is the space above
//! the direct map that is never smaller: the reserve also pays for the hole, kmap and the fixmap, so that a machine with 896
//! MiB or more has a window of 88 MiB. The tests hold the i386 figures.

#![forbid(unsafe_code)]

mod constants;

#[cfg(test)]
mod tests;

pub use constants::{Constants, FIXADDR_TOP, FIXMAP_SLOTS, KMAP_SLOTS};

use core::fmt;
use core::ops::Range;

use super::address::{PhysAddr, VirtAddr};

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

    /// Its size in bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.end.0 - self.start.0
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
    /// Bits of a canonical address.
    pub virtual_bits: u32,
    /// All RAM that is mapped at one offset; ends at high_memory.
    pub direct_map: Region,
    /// What lies between the direct map and the vmalloc region. Nothing is ever mapped there.
    pub hole: Region,
    /// VMALLOC_START to VMALLOC_END.
    pub vmalloc: Region,
    /// The window through which kmap shows frames outside the direct map, if there may be such frames.
    pub kmap: Option<Region>,
    /// For cases that edit page tables.
    pub scratch: Region,
    /// The image's window. None: the image lies in the direct map, which has it at its link address.
    pub image: Option<Region>,
    /// Slots whose addresses are known at compile time.
    pub fixmap: Region,
}

impl Layout {
    /// Places the regions for a machine whose RAM ends at `top_of_ram`.
    ///
    /// RAM above the direct map's limit is left out of it; [`Layout::high_memory`] is its end.
    ///
    /// # Errors
    ///
    /// The regions that do not fit.
    pub fn new(constants: &Constants, top_of_ram: PhysAddr) -> Result<Self, LayoutError> {
        let offset = constants.vmalloc_offset;
        let high_memory = constants.page_offset + top_of_ram.0.min(constants.direct_map_limit);
        let vmalloc_start = (high_memory + offset).next_multiple_of(offset);
        let region = |name, (start, end)| Region {
            name,
            start: VirtAddr(start),
            end: VirtAddr(end),
        };
        let layout = Layout {
            name: constants.name,
            virtual_bits: constants.virtual_bits,
            direct_map: region("direct_map", (constants.page_offset, high_memory)),
            hole: region("hole", (high_memory, vmalloc_start)),
            vmalloc: region("vmalloc", (vmalloc_start, constants.vmalloc_end)),
            kmap: constants.kmap.map(|range| region("kmap", range)),
            scratch: region("scratch", constants.scratch),
            image: constants.image.map(|range| region("image", range)),
            fixmap: region("fixmap", constants.fixmap),
        };
        let mut below: Option<Region> = None;
        for region in layout.regions() {
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
            if let Some(below) = below.filter(|below| below.end > region.start) {
                return Err(LayoutError::Overlap(below, region));
            }
            below = Some(region);
        }
        Ok(layout)
    }

    /// Every region, lowest first.
    pub fn regions(&self) -> impl Iterator<Item = Region> {
        [
            Some(self.direct_map),
            Some(self.hole),
            Some(self.vmalloc),
            self.kmap,
            Some(self.scratch),
            self.image,
            Some(self.fixmap),
        ]
        .into_iter()
        .flatten()
    }

    /// The first address behind the direct map, as 2.4 names it.
    #[must_use]
    pub const fn high_memory(&self) -> VirtAddr {
        self.direct_map.end
    }

    /// Bytes of RAM that the direct map covers, from physical address 0.
    #[must_use]
    pub const fn direct_mapped(&self) -> u64 {
        self.direct_map.bytes()
    }
}
