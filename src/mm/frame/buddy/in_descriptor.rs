//! Today's rule: a block's buddy is free if its descriptor says so, with the same order.
//!
//! A descriptor of a frame inside a block may still say that a free block starts there, from the time before a merge. It is
//! never asked: whoever frees a block of some order asks the head of the buddy's region of the same order, and as blocks tile
//! a chunk, that frame is the head of a block whenever the block being freed exists.

use super::{Bits, Lists, sealed::Rule};
use crate::mm::frame::descriptor::{ALLOCATED, Descriptor, FREE, NOT_A_HEAD, free_word, tag};

/// State and order in the descriptor; the lower half of a split is handed out. `LARGEST` is the largest order, at most 10.
pub struct InDescriptor<const LARGEST: u32 = 10>;

impl<const LARGEST: u32> InDescriptor<LARGEST> {
    /// Takes the first block off the list of the largest order, cuts a block of `order` from it and puts the rest on the
    /// lists below, which are empty: each gets the upper half of one step.
    #[inline(always)]
    fn split_largest(lists: &mut Lists<'_>, order: u32) -> Option<usize> {
        let index = lists.pop_largest(LARGEST)?;
        let block = lists.table.run(index, 1 << LARGEST)?;
        for half in (order..LARGEST).rev() {
            block[1 << half].set(free_word(half, 0));
            lists.set_head(half, index + (1 << half));
        }
        lists.nonempty |= (1 << LARGEST) - (1 << order);
        block[0].set(ALLOCATED | u64::from(order));
        Some(index)
    }

    /// The same for a block of the order `found`, below the largest.
    #[inline(never)]
    fn split(lists: &mut Lists<'_>, order: u32, found: u32) -> Option<usize> {
        let (index, block) = lists.pop(found)?;
        for half in (order..found).rev() {
            lists
                .table
                .get(index + (1 << half))?
                .set(free_word(half, 0));
            lists.set_head(half, index + (1 << half));
        }
        lists.nonempty |= (1 << found) - (1 << order);
        block.set(ALLOCATED | u64::from(order));
        Some(index)
    }

    /// Frees the block of `order` at `index`: merges it with its buddy for as long as that is free.
    #[inline(always)]
    fn merge(lists: &mut Lists<'_>, block: &Descriptor, mut index: usize, mut order: u32) {
        block.set(NOT_A_HEAD);
        while order < LARGEST {
            let buddy = index ^ (1 << order);
            let Some(descriptor) = lists.table.get(buddy) else {
                return;
            };
            let word = descriptor.word();
            if word == free_word(order, 0) {
                lists.clear(order);
            } else if tag(word) == FREE | u64::from(order) {
                lists.unlink(descriptor, buddy, order);
            } else {
                return lists.push(index, order);
            }
            index &= buddy;
            order += 1;
        }
        lists.push_largest(index, LARGEST);
    }

    /// Frees the single frame at `index`, whose buddy is free.
    #[inline(always)]
    fn merge_frame(lists: &mut Lists<'_>, block: &Descriptor, index: usize) {
        // The first frame of the largest block it can become has all its buddies above it, at fixed distances.
        if index.is_multiple_of(1 << LARGEST) {
            let Some(whole) = lists.table.run(index, 1 << LARGEST) else {
                return;
            };
            let mut order = 0;
            while order < LARGEST && whole[1 << order].word() == free_word(order, 0) {
                order += 1;
            }
            if order == LARGEST {
                lists.clear_below(LARGEST);
                return lists.push_largest(index, LARGEST);
            }
        }
        Self::merge_out_of_line(lists, block, index);
    }

    #[inline(never)]
    fn merge_out_of_line(lists: &mut Lists<'_>, block: &Descriptor, index: usize) {
        Self::merge(lists, block, index, 0);
    }
}

impl<const LARGEST: u32> Rule for InDescriptor<LARGEST> {
    const LARGEST: u32 = LARGEST;
    const WORDS_PER_CHUNK: usize = 0;

    #[inline(always)]
    fn take(lists: &mut Lists<'_>, _: Bits<'_>, order: u32) -> Option<usize> {
        if order < LARGEST
            && let Some((index, block)) = lists.pop(order)
        {
            block.set(ALLOCATED | u64::from(order));
            return Some(index);
        }
        let found = lists.smallest(order, LARGEST)?;
        if found == LARGEST {
            Self::split_largest(lists, order)
        } else {
            Self::split(lists, order, found)
        }
    }

    #[inline(always)]
    fn give(lists: &mut Lists<'_>, _: Bits<'_>, index: usize, order: u32) -> bool {
        let Some(block) = lists.table.get(index) else {
            return false;
        };
        if block.word() != ALLOCATED | u64::from(order) {
            return false;
        }
        lists.above_low += 1 << order;
        if order > 0 {
            Self::merge(lists, block, index, order);
        } else if let Some(buddy) = lists.table.get(index ^ 1)
            && buddy.tag() == FREE
        {
            Self::merge_frame(lists, block, index);
        } else {
            lists.push_block(block, index, 0);
        }
        true
    }

    fn pair_agrees(_: Bits<'_>, _: usize, _: u32, _: bool) -> bool {
        true
    }
}
