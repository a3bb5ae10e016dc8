//! `buddy_system_allocator`: a buddy system whose free lists lie in the free memory, and one for frame numbers whose lists are
//! ordered sets on the heap.

use core::ptr::NonNull;

use buddy_system_allocator::Heap;

use crate::{ALIGN, FRAME_BYTES, FRAMES, Frames, layout};

/// Orders of a heap, whose smallest block has one byte and whose largest has the 4 MiB of the others'.
const HEAP_ORDERS: usize = ALIGN.ilog2() as usize + 1;

/// The heap, without its lock. Blocks are addresses.
pub struct BuddySystemHeap(Heap<HEAP_ORDERS>);

impl BuddySystemHeap {
    /// All frames free.
    ///
    /// # Safety
    ///
    /// [`REGION_BYTES`](crate::REGION_BYTES) from `region` on, aligned to [`ALIGN`], are this value's for as long
    /// as it lives.
    pub unsafe fn new(region: *mut u8) -> Self {
        let mut heap = Heap::new();
        // SAFETY: the caller's promise.
        unsafe { heap.init(region as usize, FRAMES * FRAME_BYTES) };
        BuddySystemHeap(heap)
    }
}

impl Frames for BuddySystemHeap {
    #[inline]
    fn alloc(&mut self, order: u32) -> usize {
        let block = self.0.alloc(layout(order));
        block.map_or(0, |block| block.as_ptr() as usize)
    }

    #[inline]
    unsafe fn free(&mut self, block: usize, order: u32) {
        if let Some(block) = NonNull::new(block as *mut u8) {
            // SAFETY: the caller's promise.
            unsafe { self.0.dealloc(block, layout(order)) };
        }
    }
}

/// The allocator of frame numbers, behind its lock. Blocks are frame numbers.
#[cfg(feature = "alloc")]
pub struct BuddySystemFrames(buddy_system_allocator::LockedFrameAllocator<11>);

#[cfg(feature = "alloc")]
impl BuddySystemFrames {
    /// All frames free; the first is not number 0, which is a block that there is not.
    pub fn new() -> Self {
        let frames = buddy_system_allocator::LockedFrameAllocator::new();
        frames.lock().add_frame(FRAMES, 2 * FRAMES);
        BuddySystemFrames(frames)
    }
}

#[cfg(feature = "alloc")]
impl Default for BuddySystemFrames {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(feature = "alloc")]
impl Frames for BuddySystemFrames {
    #[inline]
    fn alloc(&mut self, order: u32) -> usize {
        self.0.lock().alloc(1 << order).unwrap_or(0)
    }

    #[inline]
    unsafe fn free(&mut self, block: usize, order: u32) {
        self.0.lock().dealloc(block, 1 << order);
    }
}
