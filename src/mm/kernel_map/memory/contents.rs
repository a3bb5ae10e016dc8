//! Single frames by way of a cache; and the contents of frames: zeros, and copies into and out of what somebody has mapped.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::{KernelConfig, KernelMemory};
use crate::mm::address::{Order, PAGE_SIZE, PhysAddr, VirtAddr};
use crate::mm::frame::{
    AllocError, Batched, Block, BlockList, Buddy, BulkError, FrameAllocator, FrameCache, FreeError,
    Gfp,
};
use crate::mm::hardware::{FrameWords, PhysicalMemory};
use crate::mm::page_table::{Mapping, OwnedRange, Protection};

/// A block of an order above 0 out of the cache, or, if its order is not cached, out of the allocator's first zone.
#[inline]
fn block_at_hand<'m, B: Buddy>(
    cache: &mut FrameCache<'m, Batched>,
    frames: &mut FrameAllocator<'m, B>,
    gfp: Gfp,
    order: Order,
) -> Option<Block> {
    match FrameCache::<Batched>::has_list(order) {
        true => cache.take_block(gfp, order),
        false => frames.take_block(gfp, order),
    }
}

impl<C: KernelConfig> KernelMemory<'_, C> {
    /// Allocates one frame, out of the cache if it can be.
    ///
    /// # Errors
    ///
    /// As for [`FrameAllocator::alloc_page`](crate::mm::frame::FrameAllocator::alloc_page).
    #[inline(always)]
    pub fn alloc_page(&mut self, gfp: Gfp) -> Result<Block, AllocError> {
        match self.frame_cache.take(gfp) {
            Some(block) => Ok(block),
            None => self.frame_cache.alloc_from(&mut self.frames, gfp),
        }
    }

    /// Frees one frame, into the cache if it can be.
    ///
    /// # Errors
    ///
    /// As for [`FrameAllocator::free`](crate::mm::frame::FrameAllocator::free).
    #[inline(always)]
    pub fn free_page(&mut self, block: Block) -> Result<(), FreeError> {
        match self.cache_page(block) {
            Ok(()) => Ok(()),
            Err(block) => {
                let (pfn, order) = block.into_raw();
                self.frame_cache.free_to(&mut self.frames, pfn, order)
            }
        }
    }

    /// The part of [`free_page`](Self::free_page) that cannot fail.
    ///
    /// # Errors
    ///
    /// The block does not go into the cache; it comes back.
    #[inline(always)]
    pub fn cache_page(&mut self, block: Block) -> Result<(), Block> {
        // The number of a larger block is beyond any frame's.
        match self.frame_cache.put(block.frame()) {
            true => Ok(()),
            false => Err(block),
        }
    }

    /// Allocates a block, a single frame out of the cache if it can be.
    ///
    /// # Errors
    ///
    /// As for [`FrameAllocator::alloc_pages`](crate::mm::frame::FrameAllocator::alloc_pages).
    #[inline(always)]
    pub fn alloc_block(&mut self, gfp: Gfp, order: Order) -> Result<Block, AllocError> {
        match order {
            Order::ZERO => self.alloc_page(gfp),
            order => match block_at_hand(&mut self.frame_cache, &mut self.frames, gfp, order) {
                Some(block) => Ok(block),
                None => self
                    .frame_cache
                    .alloc_block_from(&mut self.frames, gfp, order),
            },
        }
    }

    /// Frees a block, a single frame into the cache if it can be.
    ///
    /// # Errors
    ///
    /// As for [`FrameAllocator::free`](crate::mm::frame::FrameAllocator::free).
    #[inline(always)]
    pub fn free_block(&mut self, block: Block) -> Result<(), FreeError> {
        match block.exponent() {
            0 => self.free_page(block),
            _ if FrameCache::<Batched>::has_list(block.order()) => {
                let (pfn, order) = block.into_raw();
                match self.frame_cache.put_block(pfn, order) {
                    true => Ok(()),
                    false => self.frame_cache.free_to(&mut self.frames, pfn, order),
                }
            }
            _ => self.frames.free_block(block),
        }
    }

    /// Maps pages from `start` on, in a PT that is at hand, to a block that is at hand: in the cache, or, if its order is not cached,
    /// in the allocator's first zone. `None` if there is none, or something else to be looked at; then nothing has
    /// changed.
    #[inline(always)]
    pub fn map_block_at_hand(
        &mut self,
        owned: &mut OwnedRange<C::Memory>,
        start: VirtAddr,
        order: Order,
        gfp: Gfp,
        protection: Protection,
    ) -> Option<Mapping<Block>> {
        let pages = owned.vacant_pages(start, order.frames())?;
        let block = match order {
            Order::ZERO => self.frame_cache.take(gfp)?,
            order => block_at_hand(&mut self.frame_cache, &mut self.frames, gfp, order)?,
        };
        let first = block.pfn();
        Some(pages.map_owned(block, first, protection))
    }

    /// Gives the frames of the cache back to the allocator, where they merge. Returns how many there were.
    pub fn drain_frame_cache(&mut self) -> usize {
        let frames = self.frame_cache.frames();
        self.frame_cache.drain_to(&mut self.frames);
        frames
    }

    /// Frames that are free, in the allocator or in the cache.
    #[must_use]
    pub fn free_frames(&self) -> u64 {
        self.frames.free_frames() + self.frame_cache.frames() as u64
    }

    /// Allocates a block full of zeros.
    ///
    /// # Errors
    ///
    /// As for [`FrameAllocator::alloc_pages`](crate::mm::frame::FrameAllocator::alloc_pages).
    pub fn alloc_zeroed_block(&mut self, gfp: Gfp, order: Order) -> Result<Block, AllocError> {
        // SAFETY: what the allocator has is RAM and nobody else's (promised to `new`).
        unsafe { self.frames.alloc_zeroed(gfp, order, &self.memory) }
    }

    /// Allocates frames full of zeros, in blocks as large as they can be had.
    ///
    /// # Errors
    ///
    /// As for [`FrameAllocator::alloc_bulk`](crate::mm::frame::FrameAllocator::alloc_bulk).
    pub fn alloc_zeroed_bulk(&mut self, gfp: Gfp, frames: u64) -> Result<BlockList, BulkError> {
        let list = self.frames.alloc_bulk(gfp, frames, Order::MAX)?;
        for (first, order) in self.frames.blocks(&list) {
            for frame in 0..order.frames() {
                // SAFETY: the list is ours alone; and as above.
                unsafe { self.memory.zero(first.add(frame)) };
            }
        }
        Ok(list)
    }

    /// Calls `work` with the words that hold `bytes` bytes from `address` on, which lie in one frame, and the offset of the first
    /// byte in them. `false` if the frame is none of the allocator's.
    fn with_words(
        &self,
        address: PhysAddr,
        bytes: usize,
        work: impl FnOnce(&[AtomicU64], usize),
    ) -> bool {
        let first = (address.0 % PAGE_SIZE) as usize;
        let end = (first + bytes).div_ceil(8);
        let work = |words: &FrameWords| match words.get(first / 8..end) {
            Some(words) => {
                work(words, first % 8);
                true
            }
            None => false,
        };
        let ours = self.frames.zone_of(address.frame()).is_some();
        // SAFETY: the allocator has the frame, so that it is RAM. Another owner does not access it while its addresses are read
        // or written by call.
        ours && unsafe { self.memory.with_words(address.frame(), work) }
    }

    /// Copies memory out of one frame of the allocator. `false` if the frame is not the allocator's.
    pub(in crate::mm) fn read(&self, address: PhysAddr, buffer: &mut [u8]) -> bool {
        self.with_words(address, buffer.len(), |words, offset| {
            let bytes = words
                .iter()
                .flat_map(|word| word.load(Relaxed).to_le_bytes());
            for (to, from) in buffer.iter_mut().zip(bytes.skip(offset)) {
                *to = from;
            }
        })
    }

    /// Copies memory into one frame, as [`read`](Self::read) does out of it.
    pub(in crate::mm) fn write(&self, address: PhysAddr, data: &[u8]) -> bool {
        self.with_words(address, data.len(), |words, mut offset| {
            let mut data = data.iter();
            for word in words {
                let mut bytes = word.load(Relaxed).to_le_bytes();
                for (to, from) in bytes[offset..].iter_mut().zip(&mut data) {
                    *to = *from;
                }
                word.store(u64::from_le_bytes(bytes), Relaxed);
                offset = 0;
            }
        })
    }
}
