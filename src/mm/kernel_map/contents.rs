//! The contents of frames: frames that come zeroed, and copies into and out of frames that somebody has mapped.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::KernelMemory;
use crate::mm::address::{Order, PAGE_SIZE, PhysAddr};
use crate::mm::frame::{AllocError, Block, BlockList, Buddy, BulkError, Gfp, ZoneKind};
use crate::mm::hardware::PhysicalMemory;

impl<M: PhysicalMemory + Copy, I, B: Buddy> KernelMemory<'_, M, I, B> {
    /// Allocates a frame full of zeros; not out of high memory, which cannot be reached here.
    ///
    /// # Errors
    ///
    /// As for [`FrameAllocator::alloc_page`](crate::mm::frame::FrameAllocator::alloc_page).
    pub fn alloc_zeroed_page(&mut self, gfp: Gfp) -> Result<Block, AllocError> {
        let gfp = gfp - Gfp::HIGHMEM;
        // SAFETY: what the allocator has outside high memory is covered (promised to `new`).
        unsafe { self.frames.alloc_zeroed(gfp, Order::ZERO, &self.memory) }
    }

    /// Allocates frames full of zeros, in blocks as large as they can be had; not out of high memory.
    ///
    /// # Errors
    ///
    /// As for [`FrameAllocator::alloc_bulk`](crate::mm::frame::FrameAllocator::alloc_bulk).
    pub fn alloc_zeroed_bulk(&mut self, gfp: Gfp, frames: u64) -> Result<BlockList, BulkError> {
        let gfp = gfp - Gfp::HIGHMEM;
        let list = self.frames.alloc_bulk(gfp, frames, Order::MAX)?;
        for (first, order) in self.frames.blocks(&list) {
            for frame in 0..order.frames() {
                // SAFETY: the list is ours alone; and as above.
                unsafe { self.memory.zero(first.add(frame)) };
            }
        }
        Ok(list)
    }

    /// The words that hold `bytes` bytes from `address` on, which lie in one frame, and the offset of the first byte in them;
    /// `None` if the frame is none of the allocator's, or of high memory.
    fn words(&self, address: PhysAddr, bytes: usize) -> Option<(&[AtomicU64], usize)> {
        if self.frames.zone_of(address.frame())? == ZoneKind::HighMem {
            return None;
        }
        // SAFETY: the allocator has the frame, and it is covered (promised to `new`). Whoever else owns it keeps away while
        // its addresses are read or written by call.
        let words = unsafe { self.memory.words(address.frame()) };
        let first = (address.0 % PAGE_SIZE) as usize;
        let end = (first + bytes).div_ceil(8);
        Some((words.get(first / 8..end)?, first % 8))
    }

    /// Copies memory out of one frame of the allocator. `false` if the frame is not the allocator's or cannot be reached.
    pub(in crate::mm) fn read(&self, address: PhysAddr, buffer: &mut [u8]) -> bool {
        let Some((words, offset)) = self.words(address, buffer.len()) else {
            return false;
        };
        let bytes = words
            .iter()
            .flat_map(|word| word.load(Relaxed).to_le_bytes());
        for (to, from) in buffer.iter_mut().zip(bytes.skip(offset)) {
            *to = from;
        }
        true
    }

    /// Copies memory into one frame, as [`read`](Self::read) does out of it.
    pub(in crate::mm) fn write(&self, address: PhysAddr, data: &[u8]) -> bool {
        let Some((words, mut offset)) = self.words(address, data.len()) else {
            return false;
        };
        let mut data = data.iter();
        for word in words {
            let mut bytes = word.load(Relaxed).to_le_bytes();
            for (to, from) in bytes[offset..].iter_mut().zip(&mut data) {
                *to = *from;
            }
            word.store(u64::from_le_bytes(bytes), Relaxed);
            offset = 0;
        }
        true
    }
}
