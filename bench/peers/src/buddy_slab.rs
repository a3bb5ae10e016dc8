//! `buddy-slab-allocator`: a buddy system with 16 bytes of metadata a frame and doubly linked lists. No lock. Blocks are
//! aligned to their size only as seen from its first frame, which lies behind the metadata.

use core::slice;

use buddy_slab_allocator::BuddyAllocator;

use crate::{ALIGN, FRAME_BYTES, FRAMES, Frames, REGION_BYTES};

/// Frames of the largest block.
const BLOCK_FRAMES: usize = ALIGN / FRAME_BYTES;

/// Its page level. Blocks are addresses.
pub struct BuddySlab(BuddyAllocator<FRAME_BYTES>);

impl BuddySlab {
    /// Twice the memory of the others, half of which stays taken.
    pub const REGION_BYTES: usize = 2 * REGION_BYTES;

    /// [`FRAMES`] frames free, in blocks of 1,024 whose buddies are taken: its orders go up to 20, and so splits and merges go
    /// as far as those of the others and no further.
    ///
    /// # Safety
    ///
    /// [`Self::REGION_BYTES`] from `region` on, aligned to [`ALIGN`], are this value's for as long as it lives.
    pub unsafe fn new(region: *mut u8) -> Self {
        let mut buddy = BuddyAllocator::new();
        // SAFETY: the caller's promise.
        let region = unsafe { slice::from_raw_parts_mut(region, Self::REGION_BYTES) };
        // SAFETY: as above: it is this value's for as long as it lives.
        let started = unsafe { buddy.init(region) };
        assert!(started.is_ok(), "the region is large enough");
        // What is left of the region beside whole blocks would spare it all splits and merges.
        while buddy.free_pages() % BLOCK_FRAMES != 0 {
            let _ = buddy.alloc_pages(1, FRAME_BYTES);
        }
        // All blocks, each of which holds the address of the one taken before.
        let (mut last, mut lowest) = (0, usize::MAX);
        while let Ok(block) = buddy.alloc_pages(BLOCK_FRAMES, FRAME_BYTES) {
            // SAFETY: the block is in the region, and nobody else's.
            unsafe { (block as *mut usize).write(last) };
            (last, lowest) = (block, lowest.min(block));
        }
        let mut missing = FRAMES / BLOCK_FRAMES;
        while last != 0 && missing > 0 {
            let block = last;
            // SAFETY: as above.
            last = unsafe { (block as *const usize).read() };
            if ((block - lowest) / ALIGN).is_multiple_of(2) {
                buddy.dealloc_pages(block, BLOCK_FRAMES);
                missing -= 1;
            }
        }
        assert!(missing == 0, "the region is large enough");
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
