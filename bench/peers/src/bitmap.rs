//! `bitmap-allocator`: a tree of bitmaps, 16 bits a node. No lock; a double free would be noticed, a wrong order not.

use bitmap_allocator::{BitAlloc, BitAlloc64K};

use crate::{FRAMES, Frames};

/// The smallest bitmap that holds [`FRAMES`]. Blocks are numbers of frames, plus 1.
pub struct Bitmap<'m>(&'m mut Bits);

/// Its bits.
pub type Bits = BitAlloc64K;

impl<'m> Bitmap<'m> {
    /// All frames free.
    pub fn new(bits: &'m mut Bits) -> Self {
        bits.insert(0..FRAMES);
        Bitmap(bits)
    }
}

impl Frames for Bitmap<'_> {
    #[inline]
    fn alloc(&mut self, order: u32) -> usize {
        let frame = match order {
            0 => self.0.alloc(),
            _ => self.0.alloc_contiguous(None, 1 << order, order as usize),
        };
        frame.map_or(0, |frame| frame + 1)
    }

    #[inline]
    unsafe fn free(&mut self, block: usize, order: u32) {
        match order {
            0 => self.0.dealloc(block - 1),
            _ => self.0.dealloc_contiguous(block - 1, 1 << order),
        };
    }
}
