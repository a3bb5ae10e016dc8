//! What all back ends do: the frames of a zone, taken and given back by several CPUs.

use super::buddy::Buddy;
use super::descriptor::ALLOCATED;
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

    /// Takes single frames for a CPU, one for each place from the front of `frames` on, as many as there are. Returns how many.
    #[doc(alias = "alloc_pages_bulk")]
    fn take_many(&self, cpu: usize, frames: &mut [Pfn]) -> usize;

    /// Gives a CPU's single frames back.
    ///
    /// # Errors
    ///
    /// One of them is not a taken single frame. Those before it have gone back, and those behind it have not.
    fn give_many(&self, cpu: usize, frames: &[Pfn]) -> Result<(), FreeError>;

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

    fn take_many(&self, _: usize, frames: &mut [Pfn]) -> usize {
        let mut allocator = self.lock();
        let mut taken = 0;
        while taken < frames.len() {
            let zone = &mut allocator.zones[0];
            let places = &mut frames[taken..];
            if let Some(run) = zone.take_run(places.len() as u64) {
                for (place, index) in places.iter_mut().zip(run) {
                    if let Some(frame) = zone.lists.table.get(index) {
                        frame.set(ALLOCATED);
                    }
                    *place = zone.pfn(index);
                    taken += 1;
                }
            } else {
                // What the zones below it have.
                match allocator.alloc_page(Gfp::KERNEL | Gfp::MEMALLOC) {
                    Ok(block) => places[0] = block.into_raw().0,
                    Err(_) => break,
                }
                taken += 1;
            }
        }
        taken
    }

    fn give_many(&self, _: usize, frames: &[Pfn]) -> Result<(), FreeError> {
        let mut allocator = self.lock();
        let mut frames = frames.iter().copied();
        while let Some(other) = allocator.zones[0].give_frames(&mut frames, ALLOCATED) {
            allocator.free_pages(other, Order::ZERO)?;
        }
        Ok(())
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
