//! Blocks filled with zeros: the one place where the allocator touches the frames themselves.

use super::buddy::Buddy;
use super::{AllocError, Block, FrameAllocator, Gfp};
use crate::mm::address::Order;
use crate::mm::hardware::PhysicalMemory;

impl<'m, B: Buddy> FrameAllocator<'m, B> {
    /// Allocates a block and fills it with zeros (for a single frame the book's `get_zeroed_page`).
    ///
    /// # Errors
    ///
    /// As for [`alloc_pages`](Self::alloc_pages).
    ///
    /// # Safety
    ///
    /// The frames that this allocator was given are covered by `memory`, and are nobody else's.
    #[doc(alias = "get_zeroed_page")]
    pub unsafe fn alloc_zeroed(
        &mut self,
        gfp: Gfp,
        order: Order,
        memory: &impl PhysicalMemory,
    ) -> Result<Block, AllocError> {
        let block = self.alloc_pages(gfp, order)?;
        for frame in 0..order.frames() {
            // SAFETY: the block is ours alone until it is returned; by the caller's promise `memory` covers it.
            unsafe { memory.zero(block.pfn().add(frame)) };
        }
        Ok(block)
    }
}
