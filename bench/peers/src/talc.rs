//! `talc`: a general allocator with boundary tags, which live beside what it allocates. No lock.

use ::talc::{TalcCell, source::Manual};
use core::alloc::GlobalAlloc;

use crate::{Frames, REGION_BYTES, layout};

/// Blocks are addresses.
pub struct Talc(TalcCell<Manual>);

impl Talc {
    /// Twice the memory of the others: with its tag an aligned frame takes up two.
    pub const REGION_BYTES: usize = 2 * REGION_BYTES;

    /// All memory free.
    ///
    /// # Safety
    ///
    /// [`Self::REGION_BYTES`] from `region` on are this value's for as long as it lives.
    pub unsafe fn new(region: *mut u8) -> Self {
        let talc = TalcCell::new(Manual);
        // SAFETY: the caller's promise.
        let claimed = unsafe { talc.claim(region, Self::REGION_BYTES) };
        assert!(claimed.is_some(), "the region is large enough");
        Talc(talc)
    }
}

impl Frames for Talc {
    #[inline]
    fn alloc(&mut self, order: u32) -> usize {
        // SAFETY: the size is not 0.
        unsafe { self.0.alloc(layout(order)) as usize }
    }

    #[inline]
    unsafe fn free(&mut self, block: usize, order: u32) {
        // SAFETY: the caller's promise.
        unsafe { self.0.dealloc(block as *mut u8, layout(order)) };
    }
}
