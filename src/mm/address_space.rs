//! Floor 6: address spaces: roots of their own, whose kernel half follows the reference table.
//!
//! A root is made with the kernel half as it is at that time. An entry that the reference table gets later (the first vmalloc
//! in 512 GiB, with four levels) is missing there until somebody touches it: the page fault copies it, and never again (the
//! book's section 4.6.2 and 7.3.2). With every entry of the vmalloc region preallocated there is nothing to miss, as in Linux
//! on x86-64 today. Nothing is ever taken back, so a table below a root entry has to stay for as long as a root has it.
//!
//! The user half is the space's own, and none of its translations is global. Its changes owe a [`ContextFlush`]: a TLB may hold
//! them under the space's PCID while other spaces are in use.

use core::fmt;

use super::address::{PAGE_SIZE, PageSize, Pfn, VirtAddr};
use super::hardware::PhysicalMemory;
use super::page_table::{
    ChangeError, Frames, MapError, NoOtherRoot, OwnedRange, PageTable, Protection, Reference,
    TableFrames, Tables,
};
use super::tlb::{Context, ContextFlush};

/// A root. Dropping it leaks its frame.
#[must_use = "the frame of the root leaks unless it is given back"]
#[derive(Debug)]
pub struct AddressSpace<M> {
    reference: Reference<M>,
    memory: M,
    /// The user half.
    owned: OwnedRange<M>,
    context: Context,
}

/// Why the user half was not changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UserError {
    /// The address is the kernel's, in every space.
    KernelHalf {
        /// The address.
        address: VirtAddr,
    },
    /// Nothing was mapped.
    Map(MapError),
    /// No mapping was changed.
    Change(ChangeError),
}

impl fmt::Display for UserError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UserError::KernelHalf { address } => {
                write!(
                    f,
                    "{address} lies in the kernel half, which all spaces share"
                )
            }
            UserError::Map(error) => error.fmt(f),
            UserError::Change(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for UserError {}

impl<M: PhysicalMemory + Copy> AddressSpace<M> {
    /// A root with the kernel half of `reference` and an empty user half; `None` if there is no frame for it.
    ///
    /// # Safety
    ///
    /// `memory` covers the tables that `tables` gives, and those of the reference table.
    pub unsafe fn new(
        reference: Reference<M>,
        memory: M,
        tables: &mut impl TableFrames,
    ) -> Option<Self> {
        let mut frame = tables.allocate_tables(1)?;
        // SAFETY: `memory` covers the frame (the caller's promise).
        let root = unsafe { frame.pop(&memory)? };
        // SAFETY: the frame is full of zeros, covered and nobody else's.
        unsafe { reference.copy_kernel_half(root) };
        // SAFETY: the root is this value's, with the shape of the reference table.
        let table = unsafe { PageTable::new(memory, root, reference.levels()) };
        let half = 1 << (reference.levels().virtual_bits() - 1);
        // SAFETY: nobody else has the user half, and below it are only tables that `map` takes.
        let owned = unsafe { table.own(VirtAddr(0), half / PAGE_SIZE) };
        Some(AddressSpace {
            reference,
            memory,
            owned,
            context: Context::new(),
        })
    }

    /// The frame of the root: what CR3 holds while the space is in use.
    #[must_use]
    pub const fn root(&self) -> Pfn {
        self.owned.root()
    }

    /// The space as TLBs know it.
    #[must_use]
    pub const fn context(&self) -> &Context {
        &self.context
    }

    /// What a CPU needs to load the space.
    #[must_use]
    pub const fn loadable(&self) -> Loadable<'_> {
        Loadable {
            root: self.owned.root(),
            context: &self.context,
        }
    }

    /// The user half, to be changed on one CPU while others load the space and leave it.
    pub const fn split(&mut self) -> (UserHalf<'_, M>, Loadable<'_>) {
        let loadable = Loadable {
            root: self.owned.root(),
            context: &self.context,
        };
        let half = UserHalf {
            owned: &mut self.owned,
            context: &self.context,
        };
        (half, loadable)
    }

    /// As [`UserHalf::map`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn map(
        &mut self,
        start: VirtAddr,
        frames: impl Frames,
        protection: Protection,
        tables: &mut impl TableFrames,
    ) -> Result<(), UserError> {
        self.split().0.map(start, frames, protection, tables)
    }

    /// As [`UserHalf::remap`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn remap(
        &mut self,
        start: VirtAddr,
        frames: impl Frames,
    ) -> Result<ContextFlush, UserError> {
        self.split().0.remap(start, frames)
    }

    /// As [`UserHalf::unmap`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn unmap(&mut self, start: VirtAddr, pages: u64) -> Result<ContextFlush, UserError> {
        self.split().0.unmap(start, pages)
    }

    /// What the page fault does: gives this root the entry for `address` that it misses. `false` if that is not what it misses.
    pub fn propagate(&self, address: VirtAddr) -> bool {
        // SAFETY: the root was made by `copy_kernel_half`.
        unsafe { self.reference.propagate(self.root(), address) }
    }

    /// Takes the root's entry for `address` out again, as if the reference table had got it after the root was made. The flush of
    /// what the entry led to is the caller's.
    pub fn forget(&mut self, address: VirtAddr) {
        // SAFETY: the root is this value's, and is shared as atomics.
        unsafe { self.reference.clear_entry(self.root(), address) };
    }

    /// Gives the root's frame back, full of zeros, and the tables of the user half. What is still mapped there is lost sight of,
    /// and so are the tables that it is mapped by.
    ///
    /// # Safety
    ///
    /// No CPU has the root in CR3. Nobody loads the context's PCID again without dropping its translations first: switches
    /// through [`Contexts`](super::tlb::Contexts) see to that, as no other context has this one's id.
    pub unsafe fn into_tables(mut self) -> Tables {
        let (start, pages) = (self.owned.start(), self.owned.pages());
        let mut tables = Tables::NONE;
        // SAFETY: no other root leads to the tables of the user half.
        let alone = unsafe { NoOtherRoot::promise() };
        if let Ok(pending) = self.owned.release_tables_of_root(start, pages, alone) {
            // No CPU walks through them any more (the caller's promise).
            tables = self.context.changed(pending).into_unreachable();
        }
        let root = self.root();
        // SAFETY: the frame is this value's, covered by `memory`, and no CPU walks from it any more.
        unsafe { self.memory.zero(root) };
        // SAFETY: as above; it is full of zeros.
        unsafe { tables.push(root, &self.memory) };
        tables
    }
}

/// What a CPU needs to load a space.
#[derive(Clone, Copy, Debug)]
pub struct Loadable<'s> {
    root: Pfn,
    context: &'s Context,
}

impl Loadable<'_> {
    /// The frame of the root.
    #[must_use]
    pub const fn root(&self) -> Pfn {
        self.root
    }

    /// The space as TLBs know it.
    #[must_use]
    pub const fn context(&self) -> &Context {
        self.context
    }
}

/// The user half of a space, which one CPU changes.
#[derive(Debug)]
pub struct UserHalf<'s, M> {
    owned: &'s mut OwnedRange<M>,
    context: &'s Context,
}

impl<M: PhysicalMemory> UserHalf<'_, M> {
    /// Maps pages of the user half to frames, with 4 KiB leaves. They are not global, whatever `protection` says.
    ///
    /// # Errors
    ///
    /// The start lies in the kernel half, or as for [`OwnedRange::map`]. No mapping has changed.
    pub fn map(
        &mut self,
        start: VirtAddr,
        frames: impl Frames,
        protection: Protection,
        tables: &mut impl TableFrames,
    ) -> Result<(), UserError> {
        in_user_half(start)?;
        let protection = protection.not_global();
        self.owned
            .map(start, frames, protection, PageSize::Size4K, tables)
            .map_err(UserError::Map)
    }

    /// Puts other frames behind pages of the user half.
    ///
    /// # Errors
    ///
    /// The start lies in the kernel half, or as for [`OwnedRange::remap`]. No mapping has changed.
    pub fn remap(
        &mut self,
        start: VirtAddr,
        frames: impl Frames,
    ) -> Result<ContextFlush, UserError> {
        in_user_half(start)?;
        let pending = self.owned.remap(start, frames);
        let pending = pending.map_err(UserError::Change)?;
        Ok(self.context.changed(pending))
    }

    /// Takes the mapping of pages of the user half away.
    ///
    /// # Errors
    ///
    /// The start lies in the kernel half, or as for [`OwnedRange::unmap`]. No mapping has changed.
    pub fn unmap(&mut self, start: VirtAddr, pages: u64) -> Result<ContextFlush, UserError> {
        in_user_half(start)?;
        let pending = self.owned.unmap(start, pages);
        let pending = pending.map_err(UserError::Change)?;
        Ok(self.context.changed(pending))
    }
}

fn in_user_half(address: VirtAddr) -> Result<(), UserError> {
    if address.0 >> 63 == 0 {
        Ok(())
    } else {
        Err(UserError::KernelHalf { address })
    }
}

#[cfg(test)]
mod tests;
