//! What the layouts are computed from: the book's machine, today's, and today's with five levels of tables.
//!
//! `CLASSIC` has the constants of 2.4.20 on i386 (`include/asm-i386/{page,pgtable,highmem,fixmap}.h`), sign-extended to 64 bits:
//! its machine lies inside the top 1 GiB. `WIDE` and `WIDE5` put the direct map and the vmalloc region where Linux on x86-64 has
//! them (`Documentation/arch/x86/x86_64/mm.rst`), and keep the rule of 2.4 for what lies between.

use crate::mm::address::PAGE_SIZE;

/// FIXADDR_TOP: the highest slot of the fixmap. The last page of the address space is left empty.
pub const FIXADDR_TOP: u64 = 0xffff_ffff_ffff_e000;
/// Slots of the fixmap: one for the local APIC, and one for each of 64 CPUs.
pub const FIXMAP_SLOTS: u64 = 1 + 64;
/// The fixmap, from its lowest slot to the end of its highest.
const FIXMAP: (u64, u64) = (
    FIXADDR_TOP - (FIXMAP_SLOTS - 1) * PAGE_SIZE,
    FIXADDR_TOP + PAGE_SIZE,
);
/// The image's own window: the top 1 GiB up to the fixmap. The image is linked there (`linker.ld`).
const IMAGE: (u64, u64) = (0xffff_ffff_c000_0000, FIXMAP.0);
/// PKMAP_BASE.
const PKMAP_BASE: u64 = 0xffff_ffff_fe00_0000;
/// LAST_PKMAP: as many slots as one page table has entries; those of i386 with PAE have 8 bytes, too.
pub const KMAP_SLOTS: u64 = 512;

/// What a layout is computed from. Ranges are (first address, address behind the last).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Constants {
    /// The layout's name on the command line and in the log.
    pub name: &'static str,
    /// PAGE_OFFSET: where physical address 0 lies in the direct map.
    pub page_offset: u64,
    /// MAXMEM: most bytes of RAM that the direct map may cover.
    pub direct_map_limit: u64,
    /// VMALLOC_OFFSET: least size of the hole behind the direct map, and the alignment of VMALLOC_START. A power of two.
    pub vmalloc_offset: u64,
    /// VMALLOC_END, exclusive.
    pub vmalloc_end: u64,
    /// The window of kmap; none where the direct map may cover all RAM.
    pub kmap: Option<(u64, u64)>,
    /// A range in which page tables may be edited at will: cases measure there, and nothing else lies there.
    pub scratch: (u64, u64),
    /// The image's window; none where the direct map has the image at its link address.
    pub image: Option<(u64, u64)>,
    /// The fixmap.
    pub fixmap: (u64, u64),
    /// Bits of a canonical address.
    pub virtual_bits: u32,
}

impl Constants {
    /// x86-64 with four levels of tables: all RAM in the direct map. The hole is one slot of the PML4, so that vmalloc never
    /// shares one with the direct map.
    pub const WIDE: Constants = Constants {
        name: "wide",
        page_offset: 0xffff_8880_0000_0000,
        direct_map_limit: 64 << 40,
        vmalloc_offset: 512 << 30,
        vmalloc_end: 0xffff_e900_0000_0000 - 2 * PAGE_SIZE,
        kmap: None,
        scratch: (0xffff_ea00_0000_0000, 0xffff_ea80_0000_0000),
        image: Some(IMAGE),
        fixmap: FIXMAP,
        virtual_bits: 48,
    };

    /// The same with five levels: the hole is one slot of the PML5, 256 TiB.
    pub const WIDE5: Constants = Constants {
        name: "wide5",
        page_offset: 0xff11_0000_0000_0000,
        direct_map_limit: 32 << 50,
        vmalloc_offset: 256 << 40,
        vmalloc_end: 0xffd2_0000_0000_0000 - 2 * PAGE_SIZE,
        kmap: None,
        scratch: (0xffd4_0000_0000_0000, 0xffd5_0000_0000_0000),
        image: Some(IMAGE),
        fixmap: FIXMAP,
        virtual_bits: 57,
    };

    /// The book's machine: at most 896 MiB in the direct map, the image with it, and windows onto the rest. The scratch region
    /// lies where i386 has nothing, between kmap's window and the fixmap.
    pub const CLASSIC: Constants = Constants {
        name: "classic",
        page_offset: 0xffff_ffff_c000_0000,
        direct_map_limit: 896 << 20,
        vmalloc_offset: 8 << 20,
        vmalloc_end: PKMAP_BASE - 2 * PAGE_SIZE,
        kmap: Some((PKMAP_BASE, PKMAP_BASE + KMAP_SLOTS * PAGE_SIZE)),
        scratch: (0xffff_ffff_fe40_0000, 0xffff_ffff_ff80_0000),
        image: None,
        fixmap: FIXMAP,
        virtual_bits: 48,
    };
}
