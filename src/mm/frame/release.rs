//! Freeing: finding the zone of a block, and telling bad frees apart.

#![forbid(unsafe_code)]

use super::buddy::Buddy;
use super::descriptor::State;
use super::{Block, FrameAllocator, FreeError};
use crate::mm::address::{Order, Pfn};

/// The order of a 2 MiB page.
const HUGE: u32 = 9;

impl<'m, B: Buddy> FrameAllocator<'m, B> {
    /// Frees a block.
    ///
    /// # Errors
    ///
    /// Only if its frames were freed by number before, or another allocator made it; then nothing changes.
    #[inline(always)]
    pub fn free(&mut self, block: Block) -> Result<(), FreeError> {
        // The order is in the upper bits of the word, so that this compare lets single frames of zone 0 pass and nothing else.
        let index = self.zones[0].index(block.frame());
        if index < self.zones[0].lists.table.len() && self.zones[0].give(index, 0) {
            return Ok(());
        }
        self.free_elsewhere(block.pfn(), block.exponent())
    }

    /// Frees the block of 2^order frames at `pfn`, for owners that keep the frame number alone.
    ///
    /// # Errors
    ///
    /// If exactly this block is not allocated; then nothing changes.
    #[inline(always)]
    pub fn free_pages(&mut self, pfn: Pfn, order: Order) -> Result<(), FreeError> {
        let index = self.zones[0].index(pfn);
        if order == Order::ZERO
            && index < self.zones[0].lists.table.len()
            && self.zones[0].give(index, 0)
        {
            return Ok(());
        }
        self.free_elsewhere(pfn, u32::from(order.get()))
    }

    /// Larger blocks, other zones, and bad frees.
    #[inline(never)]
    fn free_elsewhere(&mut self, pfn: Pfn, order: u32) -> Result<(), FreeError> {
        for zone in &mut self.zones {
            let index = zone.index(pfn);
            if index < zone.lists.table.len() {
                // Huge pages get code of their own, with the order known.
                let freed = match order {
                    HUGE => zone.give(index, HUGE),
                    order => zone.give(index, order),
                };
                if freed {
                    return Ok(());
                }
                break;
            }
        }
        Err(self.diagnose(pfn, order))
    }

    /// Says why the block at `pfn` cannot be freed.
    #[cold]
    #[inline(never)]
    fn diagnose(&self, pfn: Pfn, order: u32) -> FreeError {
        let (exponent, order) = (order, Order::new(order as u8).unwrap_or(Order::MAX));
        if exponent > B::LARGEST {
            let largest = self.largest_order();
            return FreeError::OrderTooLarge { order, largest };
        }
        let Some(zone) = self.zones.iter().find(|zone| zone.spans(pfn)) else {
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
