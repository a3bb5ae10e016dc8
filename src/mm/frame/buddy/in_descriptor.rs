//! Today's rule: a block's buddy is free if its descriptor says so, with the same order.
//!
//! A descriptor of a frame inside a block may still say that a free block starts there, from the time before a merge. It is
//! never asked: whoever frees a block of some order asks the head of the buddy's region of the same order, and as blocks tile
//! a chunk, that frame is the head of a block whenever the block being freed exists.

use super::{Bits, Lists, sealed::Rule};
use crate::mm::frame::descriptor::{ALLOCATED, CHUNK_FRAMES, FREE, NOT_A_HEAD, free_word};

/// State and order in the descriptor; the lower half of a split is handed out. `LARGEST` is the largest order, at most 10.
pub struct InDescriptor<const LARGEST: u32 = 10>;

impl<const LARGEST: u32> Rule for InDescriptor<LARGEST> {
    const LARGEST: u32 = LARGEST;
    const WORDS_PER_CHUNK: usize = 0;

    #[inline(always)]
    fn take(lists: &mut Lists<'_>, _: Bits<'_>, order: u32) -> Option<usize> {
        let found = (lists.nonempty & (u32::MAX << order)).trailing_zeros();
        if found > LARGEST {
            return None;
        }
        let index = lists.pop(found)?;
        let chunk = lists.table.chunk(index)?;
        let offset = index % CHUNK_FRAMES;
        // The lists from `order` up to below `found` are empty: each gets the upper half of one step.
        for half in (order..found).rev() {
            chunk[(offset + (1 << half)) % CHUNK_FRAMES].set(free_word(half, 0));
            lists.set_head(half, index + (1 << half) + 1);
        }
        lists.nonempty |= (1 << found) - (1 << order);
        chunk[offset].set(ALLOCATED | u64::from(order));
        Some(index)
    }

    #[inline(always)]
    fn give(lists: &mut Lists<'_>, _: Bits<'_>, index: usize, order: u32) -> bool {
        let Some(chunk) = lists.table.chunk(index) else {
            return false;
        };
        let mut offset = index % CHUNK_FRAMES;
        if chunk[offset].word() != ALLOCATED | u64::from(order) {
            return false;
        }
        chunk[offset].set(NOT_A_HEAD);
        let base = index - offset;
        let mut order = order;
        while order < LARGEST {
            let buddy = (offset ^ (1 << order)) % CHUNK_FRAMES;
            if chunk[buddy].word() == free_word(order, 0) {
                lists.nonempty ^= 1 << order;
            } else if chunk[buddy].tag() == FREE | u64::from(order) {
                lists.unlink(base + buddy, order);
            } else {
                break;
            }
            offset &= buddy;
            order += 1;
        }
        lists.push(base + offset, order);
        true
    }

    fn pair_agrees(_: Bits<'_>, _: usize, _: u32, _: bool) -> bool {
        true
    }
}
