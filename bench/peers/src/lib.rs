//! Other allocators of frames, behind one interface, so that one set of shapes measures them all and ours; and so with page
//! tables.
//!
//! What each leaves out stands with it. None of these allocators detects a bad free.
#![no_std]

#[cfg(feature = "alloc")]
extern crate alloc;

mod bitmap;
mod buddy_slab;
mod buddy_system;
pub mod page_tables;
mod talc;

pub use bitmap::{Bitmap, Bits};
pub use buddy_slab::BuddySlab;
#[cfg(feature = "alloc")]
pub use buddy_system::BuddySystemFrames;
pub use buddy_system::BuddySystemHeap;
pub use talc::Talc;

pub use bitmap_allocator::BitAlloc;

use core::alloc::Layout;

/// Frames that every allocator gets: 128 MiB.
pub const FRAMES: usize = 32 << 10;
/// Bytes of a frame.
pub const FRAME_BYTES: usize = 4096;
/// What a region is aligned to: the largest block.
pub const ALIGN: usize = 1024 * FRAME_BYTES;
/// Bytes of a region: the frames, and the metadata of the peers that keep it in front of them.
pub const REGION_BYTES: usize = FRAMES * FRAME_BYTES + ALIGN;

/// An allocator of blocks of 2^order frames.
pub trait Frames {
    /// Takes a block; the number stands for it, and is 0 if there is none.
    fn alloc(&mut self, order: u32) -> usize;

    /// Gives back a block that [`alloc`](Frames::alloc) returned.
    ///
    /// # Safety
    ///
    /// It was taken with the same order, and not given back since.
    unsafe fn free(&mut self, block: usize, order: u32);
}

/// A block's size, and its alignment.
const fn layout(order: u32) -> Layout {
    let bytes = FRAME_BYTES << order;
    match Layout::from_size_align(bytes, bytes) {
        Ok(layout) => layout,
        Err(_) => panic!("an order that no address space has"),
    }
}
