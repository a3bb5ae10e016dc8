//! Today's rule: a block's buddy is free if its descriptor says so, with the same order.
//!
//! A descriptor of a frame inside a block may still say that a free block starts there, from the time before a merge. It is
//! never read: freeing a block of some order reads the head of the buddy's region of the same order, and as blocks tile
//! a chunk, that frame is the head of a block whenever the block being freed exists.

use super::{Bits, Lists, sealed::Rule};
use crate::mm::address::Order;
use crate::mm::frame::descriptor::{ALLOCATED, Descriptor, FREE, NOT_A_HEAD, free_word, tag};

/// State and order in the descriptor; the lower half of a split is handed out. `LARGEST` is the largest order, at most 10.
pub struct InDescriptor<const LARGEST: u32 = 10>;

impl<const LARGEST: u32> InDescriptor<LARGEST> {
    /// Takes the first block off the list of the largest order, cuts a block of `order` from it and puts the rest on the
    /// lists below, which are empty: each gets the upper half of one step.
    #[inline(always)]
    fn split_largest(lists: &mut Lists<'_>, order: u32) -> Option<usize> {
        let (index, block) = lists.pop_largest(LARGEST)?;
        if order < LARGEST {
            for half in (order..LARGEST).rev() {
                block[1 << half].set(free_word(half, 0));
                lists.set_lone(index + (1 << half), half);
            }
            lists.nonempty |= (1 << LARGEST) - (1 << order);
        }
        block[0].set(ALLOCATED | u64::from(order));
        Some(index)
    }

    /// The same for a block of the order `found`, below the largest; of the very order there is nothing to cut.
    #[inline(always)]
    fn split(lists: &mut Lists<'_>, order: u32, found: u32) -> Option<usize> {
        let table = lists.table;
        let (index, block) = lists.pop(found)?;
        let (mut half, mut frames) = (found, 1 << found);
        while half > order {
            half -= 1;
            frames >>= 1;
            let upper = index + frames;
            table.get(upper)?.set(free_word(half, 0));
            lists.set_lone(upper, half);
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
            if lists.is_lone(buddy, order) {
                lists.clear(order);
            } else {
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
            }
            index &= buddy;
            order += 1;
        }
        lists.push_largest(index, LARGEST);
    }
}

impl<const LARGEST: u32> Rule for InDescriptor<LARGEST> {
    const LARGEST: u32 = LARGEST;
    const WORDS_PER_CHUNK: usize = 0;

    #[inline(always)]
    fn take_from(lists: &mut Lists<'_>, _: Bits<'_>, order: u32, found: u32) -> Option<usize> {
        match found == LARGEST {
            true => Self::split_largest(lists, order),
            false => Self::split(lists, order, found),
        }
    }

    /// A block of the very order, or one out of the largest order.
    #[inline(always)]
    fn try_take(lists: &mut Lists<'_>, _: Bits<'_>, order: u32) -> Option<usize> {
        if order < LARGEST
            && let Some((index, block)) = lists.pop(order)
        {
            block.set(ALLOCATED | u64::from(order));
            return Some(index);
        }
        if LARGEST < u32::from(Order::MAX.get()) && order > LARGEST {
            return None;
        }
        // Next to the largest order there is nothing to choose from.
        if order + 1 < LARGEST && lists.smallest(order, LARGEST)? < LARGEST {
            return None;
        }
        Self::split_largest(lists, order)
    }

    #[inline]
    fn give(lists: &mut Lists<'_>, _: Bits<'_>, index: usize, order: u32, held: u64) -> bool {
        match lists.table.get(index) {
            Some(block) if block.word() == held => {
                lists.above_low += 1 << order;
                Self::merge(lists, block, index, order);
                true
            }
            _ => false,
        }
    }

    /// A block next to the largest order; a single frame that merges with nothing, or with all of the largest block around
    /// it.
    #[inline(always)]
    fn try_give(lists: &mut Lists<'_>, _: Bits<'_>, index: usize, order: u32, held: u64) -> bool {
        let table = lists.table;
        let Some(block) = table.get(index) else {
            return false;
        };
        if block.word() != held {
            return false;
        }
        if order + 1 >= LARGEST {
            Self::merge(lists, block, index, order);
        } else if order > 0 {
            return false;
        } else if table.get(index ^ 1).is_none_or(|buddy| buddy.tag() != FREE) {
            lists.push_block(block, index, 0);
        } else if index.is_multiple_of(1 << LARGEST) && lists.all_but_first(index, LARGEST) {
            // The first frame of the largest block it can become has all its buddies above it, at fixed distances.
            lists.clear_below(LARGEST);
            lists.push_largest(index, LARGEST);
        } else {
            return false;
        }
        lists.above_low += 1 << order;
        true
    }

    #[inline]
    fn left(_: Bits<'_>, _: usize, _: u32) {}

    #[inline]
    fn stays(buddy: &Descriptor, _: Bits<'_>, _: usize, order: u32) -> bool {
        buddy.tag() != FREE | u64::from(order)
    }

    fn pair_agrees(_: Bits<'_>, _: usize, _: u32, _: bool) -> bool {
        true
    }
}
