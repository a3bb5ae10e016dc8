//! The right to edit: a range of addresses has one owner, whose value alone edits the entries for it.
//!
//! So entries of different ranges are edited at the same time without a lock. What owners share are the tables that their entries
//! lie in: these are installed by compare-exchange, and only who owns all addresses of a table takes it out.

use core::ops::{Deref, Range};

use crate::mm::address::{PAGE_SIZE, Pfn, VirtAddr};
use crate::mm::hardware::PhysicalMemory;
use crate::mm::page_table::walk::directory::Directory;
use crate::mm::page_table::{PageTable, RangeError};

/// A range of addresses of a tree, with the right to edit the entries for it.
///
/// There is one for each address. So an edit is the owner's,
///
/// ```
/// # use pagemark::mm::{address::VirtAddr, hardware::{PhysicalMemory, TlbInvalidate}, page_table::OwnedRange, tlb::Tlb};
/// fn unmap<M: PhysicalMemory, I: TlbInvalidate>(owned: &mut OwnedRange<M>, page: VirtAddr, tlb: &Tlb<I>) {
///     owned.unmap(page, 1).unwrap().flush(tlb);
/// }
/// ```
///
/// not that of who has the tree,
///
/// ```compile_fail,E0599
/// # use pagemark::mm::{address::VirtAddr, hardware::{PhysicalMemory, TlbInvalidate}, page_table::PageTable, tlb::Tlb};
/// fn unmap<M: PhysicalMemory, I: TlbInvalidate>(tree: &mut PageTable<M>, page: VirtAddr, tlb: &Tlb<I>) {
///     tree.unmap(page, 1).unwrap().flush(tlb);
/// }
/// ```
///
/// nor that of who may look at the range,
///
/// ```compile_fail,E0596
/// # use pagemark::mm::{address::VirtAddr, hardware::{PhysicalMemory, TlbInvalidate}, page_table::OwnedRange, tlb::Tlb};
/// fn unmap<M: PhysicalMemory, I: TlbInvalidate>(owned: &OwnedRange<M>, page: VirtAddr, tlb: &Tlb<I>) {
///     owned.unmap(page, 1).unwrap().flush(tlb);
/// }
/// ```
///
/// and no second owner can be made of the first:
///
/// ```compile_fail,E0599
/// # use pagemark::mm::{hardware::PhysicalMemory, page_table::OwnedRange};
/// fn both<M: PhysicalMemory + Copy>(owned: OwnedRange<M>) -> [OwnedRange<M>; 2] {
///     [owned.clone(), owned]
/// }
/// ```
#[derive(Debug)]
pub struct OwnedRange<M> {
    pub(in crate::mm::page_table) tree: PageTable<M>,
    pub(in crate::mm::page_table) start: VirtAddr,
    pub(in crate::mm::page_table) pages: u64,
    pub(in crate::mm::page_table) directory: Directory,
}

impl<M: PhysicalMemory + Copy> PageTable<M> {
    /// The owner of the addresses from `start` on, as many pages.
    ///
    /// # Safety
    ///
    /// Nobody else owns any of them in this tree, which stays for as long as the value is used.
    #[must_use]
    pub const unsafe fn own(&self, start: VirtAddr, pages: u64) -> OwnedRange<M> {
        OwnedRange {
            tree: *self,
            start,
            pages,
            directory: Directory::NONE,
        }
    }

    /// The owner of whole pages from the start of a range to its end.
    ///
    /// # Safety
    ///
    /// As for [`own`](Self::own).
    #[must_use]
    pub const unsafe fn own_range(&self, range: &Range<VirtAddr>) -> OwnedRange<M> {
        // SAFETY: the caller's promise.
        unsafe { self.own(range.start, (range.end.0 - range.start.0) / PAGE_SIZE) }
    }

    /// The owner of all addresses.
    ///
    /// # Safety
    ///
    /// As for [`own`](Self::own).
    #[must_use]
    pub const unsafe fn own_all(&self) -> OwnedRange<M> {
        // SAFETY: the caller's promise.
        unsafe { self.own(VirtAddr(0), u64::MAX / PAGE_SIZE + 1) }
    }
}

/// The tree that the addresses are those of: to look at.
impl<M> Deref for OwnedRange<M> {
    type Target = PageTable<M>;

    #[inline]
    fn deref(&self) -> &PageTable<M> {
        &self.tree
    }
}

impl<M> OwnedRange<M> {
    /// The frame of the tree's root: what CR3 holds.
    #[must_use]
    pub const fn root(&self) -> Pfn {
        self.tree.root
    }

    /// First address.
    #[must_use]
    pub const fn start(&self) -> VirtAddr {
        self.start
    }

    /// Number of pages.
    #[must_use]
    pub const fn pages(&self) -> u64 {
        self.pages
    }

    /// Their bytes; 0 if these are all addresses.
    pub(in crate::mm::page_table) const fn bytes(&self) -> u64 {
        self.pages.wrapping_mul(PAGE_SIZE)
    }

    /// Whether these are pages, all of them the owner's.
    ///
    /// # Errors
    ///
    /// They are not.
    pub(in crate::mm::page_table) const fn check(
        &self,
        start: VirtAddr,
        pages: u64,
    ) -> Result<(), RangeError> {
        if let Err(error) = self.tree.levels.check_range(start, pages) {
            return Err(error);
        }
        match self.has(start, pages) {
            true => Ok(()),
            false => Err(RangeError::NotOwned {
                address: start,
                pages,
            }),
        }
    }

    /// Whether the owner has these pages, at least one.
    pub(in crate::mm::page_table) const fn has(&self, start: VirtAddr, pages: u64) -> bool {
        let before = start.0.wrapping_sub(self.start.0) / PAGE_SIZE;
        before < self.pages && pages.wrapping_sub(1) < self.pages - before
    }
}

impl<M: Copy> OwnedRange<M> {
    /// Gives the pages from `at` on to another owner: all up to the end of the range, none if `at` lies outside of it.
    #[must_use = "nobody else owns these addresses"]
    pub fn split_off(&mut self, at: VirtAddr) -> OwnedRange<M> {
        let before = match at.0.checked_sub(self.start.0) {
            Some(bytes) => bytes.div_ceil(PAGE_SIZE).min(self.pages),
            None => self.pages,
        };
        let rest = OwnedRange {
            tree: self.tree,
            start: VirtAddr(self.start.0.wrapping_add(before * PAGE_SIZE)),
            pages: self.pages - before,
            directory: Directory::NONE,
        };
        self.pages = before;
        self.directory = Directory::NONE;
        rest
    }

    /// Takes the pages over that another owner of the same tree has, and that begin where these end.
    ///
    /// # Errors
    ///
    /// They do not begin there; the other owner keeps them.
    pub fn join(&mut self, other: OwnedRange<M>) -> Result<(), OwnedRange<M>> {
        let end = self.start.0.wrapping_add(self.bytes());
        if self.tree.root != other.tree.root || other.start.0 != end {
            return Err(other);
        }
        self.pages += other.pages;
        self.directory = Directory::NONE;
        Ok(())
    }

    /// The owner of pages of these, for who shares them out: nobody else owns any of them until they are back.
    pub(in crate::mm) const fn part(&self, start: VirtAddr, pages: u64) -> OwnedRange<M> {
        OwnedRange {
            tree: self.tree,
            start,
            pages,
            directory: Directory::NONE,
        }
    }

    /// All of the pages, under another owner for a time; who has them back must not be forgotten.
    #[must_use = "nobody owns these addresses otherwise"]
    pub fn take(&mut self) -> OwnedRange<M> {
        self.split_off(self.start)
    }
}
