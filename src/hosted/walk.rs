//! A page walk in software, as a CPU makes it (Intel SDM volume 3, 5.5; figure 5-11): from the root downwards, with the permissions of
//! every level, and the accessed and dirty bits that the CPU sets.
//!
//! It knows the entries' format from the manual, not from the code under test.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::cpu::direct_map::DirectMap;
use crate::cpu::page_fault::PageFaultError;
use crate::mm::address::{FrameRange, PAGE_SHIFT, PageSize, Pfn, PhysAddr, VirtAddr};
use crate::mm::hardware::PhysicalMemory;

const PRESENT: u64 = 1 << 0;
const WRITABLE: u64 = 1 << 1;
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;
const LARGE: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;
/// Bits 51 to 12.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
/// Levels of the tree.
const LEVELS: u32 = 4;
/// Bits of a canonical address.
const VIRTUAL_BITS: u32 = 48;

/// What an access is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// A load.
    Read,
    /// A store.
    Write,
    /// An instruction fetch.
    Fetch,
}

impl Access {
    /// The bit of the error code that names it.
    #[must_use]
    pub const fn error(self) -> PageFaultError {
        match self {
            Access::Read => PageFaultError::empty(),
            Access::Write => PageFaultError::WRITE,
            Access::Fetch => PageFaultError::FETCH,
        }
    }
}

/// A translation of one 4 KiB page, as a TLB keeps it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Translation {
    /// The frame.
    pub frame: Pfn,
    /// The size of the leaf that it is from.
    pub size: PageSize,
    /// Every level allows writes.
    pub writable: bool,
    /// Every level allows fetches.
    pub executable: bool,
    /// The leaf's dirty bit is set.
    pub dirty: bool,
}

impl Translation {
    /// Whether the access is allowed without another walk: a write needs the dirty bit, too.
    #[must_use]
    pub const fn allows(&self, access: Access) -> bool {
        match access {
            Access::Read => true,
            Access::Write => self.writable && self.dirty,
            Access::Fetch => self.executable,
        }
    }
}

/// A table of page tables: its level, 1 for a PT, and its frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Table {
    pub(super) level: u32,
    pub(super) frame: Pfn,
}

impl Table {
    /// Bytes that a table of this level covers.
    pub(super) const fn covered(level: u32) -> u64 {
        1 << (PAGE_SHIFT + 9 * level)
    }
}

/// What a CPU has in CR3, and the memory that its tables lie in.
#[derive(Debug)]
pub struct Walker {
    memory: DirectMap,
    /// The frame of the root.
    root: AtomicU64,
    ram: Vec<FrameRange>,
}

static WALKER: OnceLock<Walker> = OnceLock::new();

/// Sets the root that all walks begin at. The first call counts.
///
/// # Safety
///
/// `memory` covers the frames of `ram` for good, and tables are edited by atomic accesses only.
pub unsafe fn start(memory: DirectMap, root: Pfn, ram: Vec<FrameRange>) {
    WALKER.get_or_init(|| Walker {
        memory,
        root: AtomicU64::new(root.0),
        ram,
    });
}

/// The walker of this process.
///
/// # Panics
///
/// Before [`start`].
#[must_use]
pub fn walker() -> &'static Walker {
    WALKER.get().expect("the machine is up")
}

impl Walker {
    /// Whether the frame is RAM of the arena.
    #[must_use]
    pub fn is_ram(&self, frame: Pfn) -> bool {
        self.ram.iter().any(|range| range.contains(&frame))
    }

    /// Where a byte of RAM lies in the process.
    #[must_use]
    pub fn place(&self, address: PhysAddr) -> VirtAddr {
        let frame = self.memory.address(address.frame());
        VirtAddr(frame.0 + address.0 % (1 << PAGE_SHIFT))
    }

    /// Walks begin at `root` from now on.
    pub(super) fn set_root(&self, root: Pfn) {
        self.root.store(root.0, Relaxed);
    }

    /// The frames of all tables below the root, and its own.
    #[must_use]
    pub fn tables(&self) -> Vec<Pfn> {
        let mut found = vec![Pfn(self.root.load(Relaxed))];
        let mut above = 0..1;
        for _ in 1..LEVELS {
            for place in above.clone() {
                // SAFETY: the frame is a table, which is shared as atomics.
                let words = unsafe { self.memory.words(found[place]) };
                let words = words.iter().map(|word| word.load(Relaxed));
                let below = words.filter(|word| word & PRESENT != 0 && word & LARGE == 0);
                found.extend(below.map(|word| Pfn((word & ADDRESS) >> PAGE_SHIFT)));
            }
            above = above.end..found.len();
        }
        found
    }

    /// Walks for an access to `address`, and sets the bits that the CPU sets.
    ///
    /// # Errors
    ///
    /// The error code of the page fault.
    pub fn walk(&self, address: VirtAddr, access: Access) -> Result<Translation, PageFaultError> {
        self.walk_from(None, address, access, |_| ())
    }

    /// The same from a table below the root, if one is given, and shows `met` each table that an entry leads to.
    ///
    /// # Errors
    ///
    /// The error code of the page fault.
    pub(super) fn walk_from(
        &self,
        table: Option<Table>,
        address: VirtAddr,
        access: Access,
        mut met: impl FnMut(Table),
    ) -> Result<Translation, PageFaultError> {
        let absent = Err(access.error());
        if !address.is_canonical(VIRTUAL_BITS) {
            return absent;
        }
        let root = || Table {
            level: LEVELS,
            frame: Pfn(self.root.load(Relaxed)),
        };
        let Table {
            level: first,
            mut frame,
        } = table.unwrap_or_else(root);
        let (mut allowed, mut no_execute) = (WRITABLE, 0);
        for level in (1..=first).rev() {
            if !self.is_ram(frame) {
                return Err(access.error() | PageFaultError::PRESENT | PageFaultError::RESERVED);
            }
            let shift = PAGE_SHIFT + 9 * (level - 1);
            let index = (address.0 >> shift & 511) as usize;
            // SAFETY: the frame is RAM, and a table, which is shared as atomics.
            let entry = unsafe { &self.memory.words(frame)[index] };
            let word = entry.load(Relaxed);
            if word & PRESENT == 0 {
                return absent;
            }
            allowed &= word;
            no_execute |= word & NO_EXECUTE;
            let is_leaf = level == 1 || (level < 4 && word & LARGE != 0);
            if !is_leaf {
                entry.fetch_or(ACCESSED, Relaxed);
                frame = Pfn((word & ADDRESS) >> PAGE_SHIFT);
                met(Table {
                    level: level - 1,
                    frame,
                });
                continue;
            }
            let (writable, executable) = (allowed & WRITABLE != 0, no_execute == 0);
            if (access == Access::Write && !writable) || (access == Access::Fetch && !executable) {
                return Err(access.error() | PageFaultError::PRESENT);
            }
            let dirty = if access == Access::Write { DIRTY } else { 0 };
            let before = entry.fetch_or(ACCESSED | dirty, Relaxed);
            let offset_mask = (1 << shift) - 1;
            let first = word & ADDRESS & !offset_mask;
            let byte = PhysAddr(first | address.0 & offset_mask);
            return Ok(Translation {
                frame: byte.frame(),
                size: match level {
                    1 => PageSize::Size4K,
                    2 => PageSize::Size2M,
                    _ => PageSize::Size1G,
                },
                writable,
                executable,
                dirty: (before | dirty) & DIRTY != 0,
            });
        }
        absent
    }
}
