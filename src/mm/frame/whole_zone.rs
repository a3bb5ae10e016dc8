//! What all back ends do: the frames of a zone, taken and given back by several CPUs.

use super::buddy::Buddy;
use super::{Block, FreeError, Gfp, SharedFrames};
use crate::mm::address::{Order, Pfn};

/// The frames of a whole zone, shared by all CPUs. The bit for each pair and the state in the descriptor are behind one lock
/// ([`SharedFrames`]); the tree ([`TreeFrames`](super::TreeFrames)) has none.
pub trait WholeZone {
    /// Takes a block of 2^order frames for a CPU, the last one, too. `None` if there is none.
    fn take(&self, cpu: usize, order: Order) -> Option<Block>;

    /// Gives a CPU's block of 2^order frames at `pfn` back.
    ///
    /// # Errors
    ///
    /// Exactly this block is not taken; then nothing changes.
    fn give(&self, cpu: usize, pfn: Pfn, order: Order) -> Result<(), FreeError>;

    /// Frames that are free.
    fn free_frames(&self) -> u64;

    /// Frames that there are.
    fn present_frames(&self) -> u64;

    /// Recomputes every count while no CPU takes or gives any frame.
    ///
    /// # Errors
    ///
    /// A frame where something does not agree.
    fn validate(&self) -> Result<(), Pfn>;
}

impl<B: Buddy> WholeZone for SharedFrames<'_, B> {
    fn take(&self, _: usize, order: Order) -> Option<Block> {
        self.alloc_pages(Gfp::KERNEL | Gfp::MEMALLOC, order).ok()
    }

    fn give(&self, _: usize, pfn: Pfn, order: Order) -> Result<(), FreeError> {
        self.free_pages(pfn, order)
    }

    fn free_frames(&self) -> u64 {
        self.lock().free_frames()
    }

    fn present_frames(&self) -> u64 {
        self.lock().present_frames()
    }

    fn validate(&self) -> Result<(), Pfn> {
        let zone = self.lock();
        zone.validate().map_err(|_| Pfn(0))
    }
}
