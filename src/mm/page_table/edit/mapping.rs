//! A mapping that owns what it maps: who has it takes it apart, or changes its protection or its frames, and gets the frames that
//! are mapped no more out of the flush.

use core::{mem, ops::Range};

use super::change::{Protect, Remap, Unmap};
use crate::mm::address::{PAGE_SIZE, VirtAddr};
use crate::mm::hardware::PhysicalMemory;
use crate::mm::page_table::{ChangeError, Frames, OwnedRange, Protection};
use crate::mm::tlb::PendingFlush;

/// A mapped range together with the frames behind it, of whatever type their owner gave.
///
/// The frames come back in two steps that the types put in order: [`OwnedRange::unmap_owned`] turns the mapping into a pending
/// flush, and the flush gives the frames out:
///
/// ```
/// # use pagemark::mm::{frame::{Block, FrameAllocator}, hardware::{PhysicalMemory, TlbInvalidate}, page_table::{Mapping, OwnedRange}, tlb::Tlb};
/// # fn free<M: PhysicalMemory, I: TlbInvalidate>(table: &mut OwnedRange<M>, frames: &mut FrameAllocator, mapping: Mapping<Block>, tlb: &Tlb<I>) {
/// let pending = table.unmap_owned(mapping).ok().unwrap();
/// frames.free(pending.flush(tlb)).unwrap();
/// # }
/// ```
///
/// Using them before does not compile:
///
/// ```compile_fail,E0308
/// # use pagemark::mm::{frame::{Block, FrameAllocator}, hardware::{PhysicalMemory, TlbInvalidate}, page_table::{Mapping, OwnedRange}, tlb::Tlb};
/// # fn free<M: PhysicalMemory, I: TlbInvalidate>(table: &mut OwnedRange<M>, frames: &mut FrameAllocator, mapping: Mapping<Block>, tlb: &Tlb<I>) {
/// let pending = table.unmap_owned(mapping).ok().unwrap();
/// frames.free(pending).unwrap(); // a block is wanted, and it is not out yet
/// # }
/// ```
#[must_use = "the frames leak unless the mapping is taken apart"]
#[derive(PartialEq, Eq, Debug)]
pub struct Mapping<B> {
    start: VirtAddr,
    pages: u64,
    backing: B,
}

impl<B> Mapping<B> {
    pub(in crate::mm) const fn new(start: VirtAddr, pages: u64, backing: B) -> Self {
        Mapping {
            start,
            pages,
            backing,
        }
    }

    /// First address.
    #[must_use]
    pub const fn start(&self) -> VirtAddr {
        self.start
    }

    /// The addresses, guard pages left out.
    #[must_use]
    pub const fn range(&self) -> Range<VirtAddr> {
        self.start..VirtAddr(self.start.0 + self.pages * PAGE_SIZE)
    }

    /// Number of 4 KiB pages.
    #[must_use]
    pub const fn pages(&self) -> u64 {
        self.pages
    }

    /// What is mapped: to look at, not to take.
    #[must_use]
    pub const fn backing(&self) -> &B {
        &self.backing
    }

    /// The same pages, owned by what `change` makes of their owner; the frames are the same, too.
    pub(in crate::mm) fn with_backing<C>(self, change: impl FnOnce(B) -> C) -> Mapping<C> {
        Mapping {
            start: self.start,
            pages: self.pages,
            backing: change(self.backing),
        }
    }

    /// What was mapped.
    #[inline]
    pub(in crate::mm::page_table) fn into_backing(self) -> B {
        self.backing
    }
}

impl<M: PhysicalMemory> OwnedRange<M> {
    /// Takes a mapping apart: its frames wait for the flush.
    ///
    /// # Errors
    ///
    /// As for [`unmap`](Self::unmap), if the owner changed the range by its addresses; the mapping comes back.
    #[inline]
    pub fn unmap_owned<B>(
        &mut self,
        mapping: Mapping<B>,
    ) -> Result<PendingFlush<B>, (ChangeError, Mapping<B>)> {
        match self.change(mapping.start, mapping.pages, Unmap) {
            Ok(pending) => Ok(pending.guard(mapping.backing)),
            Err(error) => Err((error, mapping)),
        }
    }

    /// Gives the pages of a mapping another protection.
    ///
    /// # Errors
    ///
    /// As for [`unmap`](Self::unmap), if the owner changed the range by its addresses.
    #[inline]
    pub fn protect_owned<B>(
        &mut self,
        mapping: &mut Mapping<B>,
        protection: Protection,
    ) -> Result<PendingFlush, ChangeError> {
        self.change(mapping.start, mapping.pages, Protect(protection))
    }

    /// Puts other frames behind a mapping: `backing` owns them from now on, and the frames from before wait for the flush:
    ///
    /// ```
    /// # use pagemark::mm::{frame::{Block, FrameAllocator}, hardware::{PhysicalMemory, TlbInvalidate}, page_table::{Mapping, OwnedRange}, tlb::Tlb};
    /// # fn free<M: PhysicalMemory, I: TlbInvalidate>(
    /// #     table: &mut OwnedRange<M>, frames: &mut FrameAllocator, mapping: &mut Mapping<Block>, new: Block, tlb: &Tlb<I>,
    /// # ) {
    /// let frame = new.pfn()..new.pfn().add(1);
    /// let pending = table.remap_owned(mapping, new, frame).ok().unwrap();
    /// frames.free(pending.flush(tlb)).unwrap();
    /// # }
    /// ```
    ///
    /// Without it they are not out yet:
    ///
    /// ```compile_fail,E0308
    /// # use pagemark::mm::{frame::{Block, FrameAllocator}, hardware::{PhysicalMemory, TlbInvalidate}, page_table::{Mapping, OwnedRange}, tlb::Tlb};
    /// # fn free<M: PhysicalMemory, I: TlbInvalidate>(
    /// #     table: &mut OwnedRange<M>, frames: &mut FrameAllocator, mapping: &mut Mapping<Block>, new: Block, tlb: &Tlb<I>,
    /// # ) {
    /// let frame = new.pfn()..new.pfn().add(1);
    /// let pending = table.remap_owned(mapping, new, frame).ok().unwrap();
    /// frames.free(pending).unwrap(); // a block is wanted
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`remap`](Self::remap), or the frames are not as many as the pages; the frames come back.
    #[inline]
    pub fn remap_owned<B>(
        &mut self,
        mapping: &mut Mapping<B>,
        backing: B,
        frames: impl Frames,
    ) -> Result<PendingFlush<B>, (ChangeError, B)> {
        if frames.count() != mapping.pages {
            let error = ChangeError::FrameCount {
                address: mapping.start,
                pages: mapping.pages,
                frames: frames.count(),
            };
            return Err((error, backing));
        }
        match self.change(mapping.start, mapping.pages, Remap::new(frames)) {
            Ok(pending) => Ok(pending.guard(mem::replace(&mut mapping.backing, backing))),
            Err(error) => Err((error, backing)),
        }
    }
}
