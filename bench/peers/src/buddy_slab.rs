//! `buddy-slab-allocator`: a buddy system with 16 bytes of metadata a frame and doubly linked lists. No lock. Blocks are
//! aligned to their size only as seen from its first frame, which lies behind the metadata.

use core::slice;

use buddy_slab_allocator::BuddyAllocator;

use crate::{ALIGN, FRAME_BYTES, Frames, REGION_BYTES};

/// Its page level. Blocks are addresses.
pub struct BuddySlab(BuddyAllocator<FRAME_BYTES>);

impl BuddySlab {
    /// All frames free.
    ///
    /// # Safety
    ///
    /// [`REGION_BYTES`] from `region` on, aligned to [`ALIGN`](crate::ALIGN), are this value's for as long as it lives.
    pub unsafe fn new(region: *mut u8) -> Self {
        let mut buddy = BuddyAllocator::new();
        // SAFETY: the caller's promise.
        let started = unsafe { buddy.init(slice::from_raw_parts_mut(region, REGION_BYTES)) };
        assert!(started.is_ok(), "the region is large enough");
        // What is left of the region beside whole blocks would spare it all splits and merges.
        while buddy.free_pages() % (ALIGN / FRAME_BYTES) != 0 {
            let _ = buddy.alloc_pages(1, FRAME_BYTES);
        }
        BuddySlab(buddy)
    }
}

impl Frames for BuddySlab {
    #[inline]
    fn alloc(&mut self, order: u32) -> usize {
        let count = 1 << order;
        self.0.alloc_pages(count, FRAME_BYTES).unwrap_or(0)
    }

    #[inline]
    unsafe fn free(&mut self, block: usize, order: u32) {
        self.0.dealloc_pages(block, 1 << order);
    }
}
