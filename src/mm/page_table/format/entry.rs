//! One entry of a table, and the protection that callers ask for.
//!
//! Bits: Intel SDM volume 3, tables 5-15 to 5-20. Linux 2.4's PAGE_KERNEL is P, RW, A, D and, with PGE, G; NX has joined it.

use core::fmt;

use bitflags::bitflags;

use crate::mm::address::{PAGE_SHIFT, PageSize, Pfn, PhysAddr};
use crate::mm::page_table::MemoryType;

bitflags! {
    /// The bits of an entry that are not the address. Software bits are kept as they are.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Flags: u64 {
        /// P: the entry maps a page or leads to a table.
        const PRESENT = 1 << 0;
        /// RW: writes are allowed.
        const WRITABLE = 1 << 1;
        /// US: user mode may access it.
        const USER = 1 << 2;
        /// PWT: with PCD and PAT, selects the memory type.
        const WRITE_THROUGH = 1 << 3;
        /// PCD: with PWT and PAT, selects the memory type.
        const CACHE_DISABLE = 1 << 4;
        /// A: set by the CPU when the entry is used.
        const ACCESSED = 1 << 5;
        /// D: set by the CPU when a leaf is written through.
        const DIRTY = 1 << 6;
        /// PS: in a PD or PDPT, the entry is a leaf.
        const LARGE = 1 << 7;
        /// G: the translation survives a CR3 reload.
        const GLOBAL = 1 << 8;
        /// NX: instructions are not fetched.
        const NO_EXECUTE = 1 << 63;
    }
}

/// Bits 51 to 12: the frame.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
/// PAT of a 4 KiB leaf: where the other sizes have PS.
const PAT: u64 = 1 << 7;
/// PAT of a large leaf: the lowest bit of the address that such a frame does not need.
const PAT_LARGE: u64 = 1 << 12;
/// The bits that the CPU sets by itself.
pub(in crate::mm::page_table) const USED: u64 = Flags::ACCESSED.union(Flags::DIRTY).bits();

/// The bits of a leaf that are its frame.
pub(in crate::mm::page_table) const fn address_mask(size: PageSize) -> u64 {
    match size {
        PageSize::Size4K => ADDRESS,
        PageSize::Size2M | PageSize::Size1G => ADDRESS & !PAT_LARGE,
    }
}

/// What a mapping allows, and how it is cached. Nothing is both writable and executable (W^X).
///
/// Leaves get A and D at once, so that the CPU never writes to a kernel table by itself.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Protection(
    /// The flags of a 4 KiB leaf.
    u64,
);

impl Protection {
    const KERNEL: Flags = Flags::PRESENT
        .union(Flags::ACCESSED)
        .union(Flags::DIRTY)
        .union(Flags::GLOBAL);

    /// Data.
    pub const READ_WRITE: Protection = Protection(
        Self::KERNEL
            .union(Flags::WRITABLE)
            .union(Flags::NO_EXECUTE)
            .bits(),
    );
    /// Constants.
    pub const READ: Protection = Protection(Self::KERNEL.union(Flags::NO_EXECUTE).bits());
    /// Code.
    pub const READ_EXECUTE: Protection = Protection(Self::KERNEL.bits());
    /// Device registers: data that is not cached.
    pub const DEVICE: Protection = Self::READ_WRITE.with_memory_type(MemoryType::Uncacheable);

    const MEMORY_TYPE: u64 = Flags::WRITE_THROUGH.union(Flags::CACHE_DISABLE).bits() | PAT;

    /// The same, but dropped by a CR3 reload.
    #[must_use]
    pub const fn not_global(self) -> Protection {
        Protection(self.0 & !Flags::GLOBAL.bits())
    }

    /// The same, and ring 3 may use it, too.
    #[must_use]
    pub const fn user(self) -> Protection {
        Protection(self.0 | Flags::USER.bits())
    }

    /// The same with another memory type.
    #[must_use]
    pub const fn with_memory_type(self, memory_type: MemoryType) -> Protection {
        let index = memory_type.index();
        Protection(self.0 & !Self::MEMORY_TYPE | (index & 3) << 3 | ((index >> 2) * PAT))
    }

    /// The word of a 4 KiB leaf that maps `frame` so.
    #[inline]
    pub(in crate::mm) const fn leaf(self, frame: Pfn) -> u64 {
        leaf(frame, PageSize::Size4K, self)
    }

    /// How it is cached.
    #[must_use]
    pub const fn memory_type(self) -> MemoryType {
        MemoryType::at(self.0 >> 3 & 3 | ((self.0 & PAT) / PAT) << 2)
    }

    /// Whether writes are allowed.
    #[must_use]
    pub const fn is_writable(self) -> bool {
        self.0 & Flags::WRITABLE.bits() != 0
    }

    /// Whether instructions are fetched.
    #[must_use]
    pub const fn is_executable(self) -> bool {
        self.0 & Flags::NO_EXECUTE.bits() == 0
    }

    /// Whether a CR3 reload leaves it.
    #[must_use]
    pub const fn is_global(self) -> bool {
        self.0 & Flags::GLOBAL.bits() != 0
    }
}

impl fmt::Debug for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = Flags::from_bits_retain(self.0 & !Self::MEMORY_TYPE);
        write!(f, "{flags:?} {:?}", self.memory_type())
    }
}

/// The word of a leaf that maps `frame` with pages of `size`.
pub(in crate::mm::page_table) const fn leaf(
    frame: Pfn,
    size: PageSize,
    protection: Protection,
) -> u64 {
    let flags = match size {
        PageSize::Size4K => protection.0,
        PageSize::Size2M | PageSize::Size1G => {
            let pat = (protection.0 & PAT) / PAT * PAT_LARGE;
            protection.0 & !PAT | Flags::LARGE.bits() | pat
        }
    };
    frame.0 << PAGE_SHIFT | flags
}

/// The protection in the word of a leaf. What the leaf was used for, A and D, is no part of it: both are set, as in new leaves.
pub(in crate::mm::page_table) const fn protection(word: u64, size: PageSize) -> Protection {
    let flags = word & !ADDRESS | USED;
    match size {
        PageSize::Size4K => Protection(flags),
        PageSize::Size2M | PageSize::Size1G => {
            let pat = (word & PAT_LARGE) / PAT_LARGE * PAT;
            Protection(flags & !Flags::LARGE.bits() | pat)
        }
    }
}

/// The word of an entry that leads to the table at `frame`: all is allowed here, the leaf decides.
pub(in crate::mm::page_table) const fn table(frame: Pfn) -> u64 {
    let flags = Flags::PRESENT
        .union(Flags::WRITABLE)
        .union(Flags::USER)
        .union(Flags::ACCESSED);
    frame.0 << PAGE_SHIFT | flags.bits()
}

/// The PT that an entry of a PD leads to, if it does. One comparison is enough: an absent entry is 0, and in its lowest byte a large leaf
/// has the sign, and a table's entry something else.
#[inline]
pub(in crate::mm::page_table) const fn pt(word: u64) -> Option<Pfn> {
    const { assert!(Flags::LARGE.bits() == 1 << 7, "the sign of the lowest byte") };
    match word as i8 > 0 {
        true => Some(Pfn((word & ADDRESS) >> PAGE_SHIFT)),
        false => None,
    }
}

/// What an entry's word says, in a table of leaves of `size` (`None` in the upper tables, which have no leaves).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::mm::page_table) enum Entry {
    /// Nothing is mapped.
    Absent,
    /// The next table.
    Table(Pfn),
    /// A page.
    Leaf(PhysAddr, Protection),
}

impl Entry {
    #[inline]
    pub(in crate::mm::page_table) const fn of(word: u64, size: Option<PageSize>) -> Entry {
        if word & Flags::PRESENT.bits() == 0 {
            return Entry::Absent;
        }
        match size {
            Some(size) if matches!(size, PageSize::Size4K) || word & Flags::LARGE.bits() != 0 => {
                let frame = PhysAddr(word & address_mask(size));
                Entry::Leaf(frame, protection(word, size))
            }
            _ => Entry::Table(Pfn((word & ADDRESS) >> PAGE_SHIFT)),
        }
    }
}
