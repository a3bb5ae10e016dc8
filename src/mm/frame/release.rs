//! Freeing: finding the zone of a block, and telling bad frees apart.

#![forbid(unsafe_code)]

use super::buddy::Buddy;
use super::descriptor::State;
use super::{Block, FrameAllocator, FreeError};
use crate::mm::address::{Order, Pfn};

impl<'m, B: Buddy> FrameAllocator<'m, B> {
    /// Frees a block.
    ///
    /// # Errors
    ///
    /// Only if its frames were freed by number before, or another allocator made it; then nothing changes.
    #[doc(alias = "__free_pages")]
    #[inline(always)]
    pub fn free(&mut self, block: Block) -> Result<(), FreeError> {
        // A larger block's order is in the upper bits, beyond any frame number: only single frames get through here.
        match self.try_free_pages(block.frame(), Order::ZERO) {
            true => Ok(()),
            false => self.free_pages_slowly(block.pfn(), block.order()),
        }
    }

    /// [`free`](Self::free) where blocks of the first zone are as likely to be large as to be single frames.
    ///
    /// # Errors
    ///
    /// As for `free`.
    #[inline(always)]
    pub fn free_block(&mut self, block: Block) -> Result<(), FreeError> {
        let zone = &mut self.zones[0];
        match zone.give(zone.index(block.pfn()), block.exponent()) {
            true => Ok(()),
            false => self.free_pages_slowly(block.pfn(), block.order()),
        }
    }

    /// Frees the block of 2^order frames at `pfn`, for owners that keep the frame number alone.
    ///
    /// # Errors
    ///
    /// If exactly this block is not allocated; then nothing changes.
    #[inline(always)]
    pub fn free_pages(&mut self, pfn: Pfn, order: Order) -> Result<(), FreeError> {
        match self.try_free_pages(pfn, order) {
            true => Ok(()),
            false => self.free_pages_slowly(pfn, order),
        }
    }

    /// The fast path of [`free_pages`](Self::free_pages), for callers that want it inline and the rest elsewhere: a block of
    /// the first zone that goes back in a few steps. `false`, and nothing changed, for any other.
    #[inline(always)]
    pub fn try_free_pages(&mut self, pfn: Pfn, order: Order) -> bool {
        let zone = &mut self.zones[0];
        zone.try_give(zone.index(pfn), u32::from(order.get()))
    }

    /// [`free_pages`](Self::free_pages) without the fast path: a block of any order in any zone.
    ///
    /// # Errors
    ///
    /// As for [`free_pages`](Self::free_pages).
    #[inline(never)]
    pub fn free_pages_slowly(&mut self, pfn: Pfn, order: Order) -> Result<(), FreeError> {
        let exponent = u32::from(order.get());
        for zone in &mut self.zones {
            if zone.give(zone.index(pfn), exponent) {
                return Ok(());
            }
        }
        for zone in &mut *self.more {
            if zone.give(zone.index(pfn), exponent) {
                return Ok(());
            }
        }
        Err(self.diagnose(pfn, exponent))
    }

    /// Says why the block at `pfn` cannot be freed.
    #[cold]
    #[inline(never)]
    pub(super) fn diagnose(&self, pfn: Pfn, order: u32) -> FreeError {
        let (exponent, order) = (order, Order::new(order as u8).unwrap_or(Order::MAX));
        if exponent > B::LARGEST {
            let largest = self.largest_order();
            return FreeError::OrderTooLarge { order, largest };
        }
        let Some(zone) = self.all().find(|zone| zone.spans(pfn)) else {
            return FreeError::OutOfRange { pfn };
        };
        if !zone.usable(pfn) {
            return FreeError::Reserved { pfn };
        }
        if !pfn.0.is_multiple_of(order.frames()) {
            return FreeError::Misaligned { pfn, order };
        }
        match zone.block_around(zone.index(pfn)) {
            Some((head, State::Allocated(allocated))) if head == zone.index(pfn) => {
                match Order::new(allocated) {
                    Some(allocated) if allocated != order => FreeError::WrongOrder {
                        pfn,
                        order,
                        allocated,
                    },
                    _ => FreeError::OnList { pfn },
                }
            }
            Some((_, State::Allocated(order))) => FreeError::InsideBlock {
                pfn,
                order: Order::new(order).unwrap_or(Order::MAX),
            },
            _ => FreeError::AlreadyFree { pfn },
        }
    }
}
