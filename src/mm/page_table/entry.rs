//! One entry of a table, and the protection that callers ask for.
//!
//! Bits: Intel SDM volume 3, tables 5-15 to 5-20. Linux 2.4's PAGE_KERNEL is P, RW, A, D and, with PGE, G; NX has joined it.

use core::fmt;

use bitflags::bitflags;

use crate::mm::address::{PAGE_SHIFT, PageSize, Pfn, PhysAddr};

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

/// Bits 51 to 12: the frame. (Bit 12 of a large leaf is PAT, which stays clear here.)
pub(super) const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// What a mapping allows. Every value is one of the constants: nothing is both writable and executable (W^X).
///
/// Leaves get A and D at once, so that the CPU never writes to a kernel table by itself.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Protection(u64);

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
    /// Device registers: not cached (PCD and PWT select UC in the PAT's reset state).
    pub const DEVICE: Protection =
        Protection(Self::READ_WRITE.0 | Flags::CACHE_DISABLE.bits() | Flags::WRITE_THROUGH.bits());

    /// The same, but dropped by a CR3 reload.
    #[must_use]
    pub const fn not_global(self) -> Protection {
        Protection(self.0 & !Flags::GLOBAL.bits())
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
}

impl fmt::Debug for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", Flags::from_bits_retain(self.0))
    }
}

/// The word of a leaf entry that maps `frame` with pages of `size`.
pub(super) const fn leaf(frame: Pfn, size: PageSize, protection: Protection) -> u64 {
    let large = match size {
        PageSize::Size4K => 0,
        PageSize::Size2M | PageSize::Size1G => Flags::LARGE.bits(),
    };
    frame.0 << PAGE_SHIFT | protection.0 | large
}

/// The word of an entry that leads to the table at `frame`: all is allowed here, the leaf decides.
pub(super) const fn table(frame: Pfn) -> u64 {
    let flags = Flags::PRESENT.union(Flags::WRITABLE).union(Flags::ACCESSED);
    frame.0 << PAGE_SHIFT | flags.bits()
}

/// What an entry's word says, in a table of leaves of `size` (`None` in a PML4, which has no leaves).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Entry {
    /// Nothing is mapped.
    Absent,
    /// The next table.
    Table(Pfn),
    /// A page.
    Leaf(PhysAddr, Protection),
}

impl Entry {
    pub(super) const fn of(word: u64, size: Option<PageSize>) -> Entry {
        if word & Flags::PRESENT.bits() == 0 {
            return Entry::Absent;
        }
        let large = word & Flags::LARGE.bits() != 0;
        match size {
            Some(PageSize::Size4K) => {
                Entry::Leaf(PhysAddr(word & ADDRESS), Protection(word & !ADDRESS))
            }
            Some(_) if large => Entry::Leaf(
                PhysAddr(word & ADDRESS),
                Protection(word & !ADDRESS & !Flags::LARGE.bits()),
            ),
            _ => Entry::Table(Pfn((word & ADDRESS) >> PAGE_SHIFT)),
        }
    }
}
