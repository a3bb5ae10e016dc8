//! Edits by address alone, for tests, whose addresses are their own.

use super::*;
use crate::mm::hardware::PhysicalMemory;
use crate::mm::tlb::PendingFlush;

impl<M: PhysicalMemory> PageTable<M> {
    /// [`unmap_at`](Self::unmap_at).
    pub(in crate::mm) fn unmap(
        &mut self,
        start: VirtAddr,
        pages: u64,
    ) -> Result<PendingFlush, ChangeError> {
        // SAFETY: the addresses are the test's.
        unsafe { self.unmap_at(start, pages) }
    }

    /// [`protect_at`](Self::protect_at).
    pub(in crate::mm) fn protect(
        &mut self,
        start: VirtAddr,
        pages: u64,
        protection: Protection,
    ) -> Result<PendingFlush, ChangeError> {
        // SAFETY: the addresses are the test's.
        unsafe { self.protect_at(start, pages, protection) }
    }

    /// [`remap_at`](Self::remap_at).
    pub(in crate::mm) fn remap(
        &mut self,
        start: VirtAddr,
        frames: impl Frames,
    ) -> Result<PendingFlush, ChangeError> {
        // SAFETY: the addresses are the test's.
        unsafe { self.remap_at(start, frames) }
    }
}
