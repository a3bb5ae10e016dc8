//! The buddy system of one zone: free lists by order, and two ways to know a block's buddy.
//!
//! [`InDescriptor`] is today's rule (Linux since 2.6.11): state and order stand in the frame descriptor, a split hands out the
//! lower half. [`PairBitmap`] is the book's (Linux 2.4, chapter 6): one bit for each pair of buddies, a split hands out the
//! upper half. Both put freed blocks at the head of their list (LIFO), and both refuse a bad free by the descriptor.
//!
//! Why it is fast. One word (`nonempty`) has a bit for each order whose list has blocks, so the search for the smallest block
//! that fits is one bit scan. A split only ever adds to lists that are empty (else it would have taken a block from there),
//! so it writes one word and one head an order and reads nothing. A list's head says whether its block is alone there, so
//! merging with such a buddy is one compare, without a look at its descriptor, and taking it off its list is clearing its bit.

#![forbid(unsafe_code)]

mod in_descriptor;
mod pair_bitmap;

pub use in_descriptor::InDescriptor;
pub use pair_bitmap::PairBitmap;

use core::hint;

pub use super::descriptor::Bits;
use super::descriptor::{Descriptor, NOT_A_HEAD, Table, free_word};
pub(super) use sealed::Rule;

/// How the state of a buddy is found; a type parameter of the allocator.
pub trait Buddy: Rule {}

impl<T: Rule> Buddy for T {}

pub(super) mod sealed {
    use super::{Bits, Descriptor, Lists};

    /// What a back end does with the free lists of its zone.
    pub trait Rule {
        /// The largest order.
        const LARGEST: u32;
        /// 64-bit words of its own that it needs for each chunk of 1,024 frames.
        const WORDS_PER_CHUNK: usize;

        /// Takes a block of `order` off the lists, splitting a larger one if need be, marks it allocated, and returns its
        /// index; `None` if no list has one. `order` is at most `LARGEST`.
        #[inline(always)]
        fn take(lists: &mut Lists<'_>, bits: Bits<'_>, order: u32) -> Option<usize> {
            let found = lists.smallest(order, Self::LARGEST)?;
            Self::take_from(lists, bits, order, found)
        }

        /// [`take`](Rule::take) out of the first block of `found`, the smallest order from `order` up that has one.
        fn take_from(
            lists: &mut Lists<'_>,
            bits: Bits<'_>,
            order: u32,
            found: u32,
        ) -> Option<usize>;

        /// [`take`](Rule::take) for what can be had in a few steps; the part of it to inline. `None`, and nothing changed, of
        /// anything else.
        #[inline]
        fn try_take(lists: &mut Lists<'_>, bits: Bits<'_>, order: u32) -> Option<usize> {
            Self::take(lists, bits, order)
        }

        /// Puts back the block of `order` at `index` if its descriptor is `held`, merging it with its buddies, and counts its
        /// frames as free. `false`, and nothing changed, if not.
        fn give(lists: &mut Lists<'_>, bits: Bits<'_>, index: usize, order: u32, held: u64)
        -> bool;

        /// [`give`](Rule::give) for what can be done in a few steps; the part of it to inline. `false`, and nothing changed, of
        /// anything else.
        #[inline]
        fn try_give(
            lists: &mut Lists<'_>,
            bits: Bits<'_>,
            index: usize,
            order: u32,
            held: u64,
        ) -> bool {
            Self::give(lists, bits, index, order, held)
        }

        /// Notes that a free block of `order` at `index`, below `LARGEST`, left its list.
        fn left(bits: Bits<'_>, index: usize, order: u32);

        /// Whether a block of `order` at `index`, below `LARGEST`, does not merge with its buddy, which has this descriptor, as that is
        /// not free; if so, notes that the block comes onto its list.
        fn stays(buddy: &Descriptor, bits: Bits<'_>, index: usize, order: u32) -> bool;

        /// Whether what the back end knows besides the descriptors agrees with them, for the pair of buddies at `index`:
        /// `one_free` is whether exactly one of the two is a free block of `order`.
        fn pair_agrees(bits: Bits<'_>, index: usize, order: u32, one_free: bool) -> bool;
    }
}

/// The free lists of a zone, over the part of it that is alive. Blocks are named by the index of their first frame.
pub struct Lists<'m> {
    pub(super) table: Table<'m>,
    /// Free frames, those not yet alive included, less the low mark.
    pub(super) above_low: i64,
    /// Bit `n` is set if the list of order `n` has blocks.
    pub(super) nonempty: u32,
    /// Links to the first block of each list, 0 for none. With [`LONE`] added the list has no other block; without it, it may
    /// have none either.
    heads: [u32; 16],
}

/// Mark of a head whose block is alone. Links have 28 bits.
const LONE: u32 = 1 << 31;

/// The head of a list that has only the block at `index`.
pub(super) const fn lone(index: usize) -> u32 {
    // An index has fewer bits than the mark: adding is setting it.
    (index as u32).wrapping_add(LONE + 1)
}

impl<'m> Lists<'m> {
    pub(super) fn new(table: Table<'m>) -> Lists<'m> {
        Lists {
            table,
            above_low: 0,
            nonempty: 0,
            heads: [0; 16],
        }
    }

    /// The smallest order from `order` up to `largest` whose list has blocks.
    #[inline]
    pub(super) fn smallest(&self, order: u32, largest: u32) -> Option<u32> {
        let candidates = self.nonempty & (u32::MAX << order) & ((2 << largest) - 1);
        (candidates != 0).then(|| candidates.trailing_zeros())
    }

    /// Link to the first block of the list of `order`.
    pub(super) fn first(&self, order: u32) -> usize {
        (self.heads[order as usize % 16] & !LONE) as usize
    }

    pub(super) fn head(&mut self, order: u32) -> &mut u32 {
        &mut self.heads[order as usize % 16]
    }

    /// Whether the block at `index` is known to be all that the list of `order` holds.
    #[inline]
    fn is_lone(&self, index: usize, order: u32) -> bool {
        self.heads[order as usize % 16] == lone(index)
    }

    /// Makes the free block at `index` all that the list of `order` holds. It is empty now; who calls sets its bit in
    /// `nonempty`.
    #[inline]
    fn set_lone(&mut self, index: usize, order: u32) {
        *self.head(order) = lone(index);
    }

    /// Empties the list of `order`, which has one block.
    #[inline]
    fn clear(&mut self, order: u32) {
        self.nonempty ^= 1 << order;
        *self.head(order) = 0;
    }

    /// Whether all lists below `largest` have one block each, those that make up the block of that order at `index` but for
    /// its first frame. Two heads are compared at a time.
    #[inline(always)]
    fn all_but_first(&self, index: usize, largest: u32) -> bool {
        let base = u64::from(lone(index)) * (1 << 32 | 1);
        let pairs = self.heads.as_chunks().0.iter().zip(0..largest / 2);
        let all = pairs.into_iter().all(|(&[even, odd], pair)| {
            let steps = (1 | 2 << 32) << (2 * pair);
            u64::from(even) | u64::from(odd) << 32 == base + steps
        });
        all && (largest.is_multiple_of(2)
            || self.is_lone(index + (1 << (largest - 1)), largest - 1))
    }

    /// Empties the lists of all orders below `order`, which have one block each.
    #[inline]
    fn clear_below(&mut self, order: u32) {
        self.nonempty &= u32::MAX << order;
        for order in 0..order {
            *self.head(order) = 0;
        }
    }

    /// Makes the free block at `index` the first of the list of `order`.
    #[inline]
    fn push(&mut self, index: usize, order: u32) {
        if let Some(block) = self.table.get(index) {
            self.push_block(block, index, order);
        }
    }

    /// [`push`](Self::push) for a caller that has the descriptor at hand.
    #[inline(always)]
    fn push_block(&mut self, block: &Descriptor, index: usize, order: u32) {
        let (table, old) = (self.table, self.first(order));
        block.set(free_word(order, old));
        match table.follow(old) {
            Some(old) => {
                old.relink_previous(0, index + 1);
                *self.head(order) = index as u32 + 1;
            }
            None => {
                hint::cold_path();
                self.nonempty |= 1 << order;
                self.set_lone(index, order);
            }
        }
    }

    /// Takes the first block off the list of `order`.
    #[inline(always)]
    fn pop(&mut self, order: u32) -> Option<(usize, &'m Descriptor)> {
        let head = *self.head(order);
        let link = (head & !LONE) as usize;
        let block = self.table.follow(link)?;
        if head >= LONE {
            self.clear(order);
            return Some((link - 1, block));
        }
        let next = block.next();
        *self.head(order) = next as u32;
        match self.table.follow(next) {
            Some(next) => next.relink_previous(link, 0),
            None => self.nonempty ^= 1 << order,
        }
        Some((link - 1, block))
    }

    /// Makes the free block at `index` the first of the list of the largest order. A block of that order has no buddy, so
    /// none is ever taken from the middle: that list is a stack, without links to the previous block.
    #[inline]
    fn push_largest(&mut self, index: usize, largest: u32) {
        if let Some(block) = self.table.get(index) {
            block.set(free_word(largest, self.first(largest)));
        }
        self.nonempty |= 1 << largest;
        *self.head(largest) = index as u32 + 1;
    }

    /// Takes the first block off the list of the largest order: its index and its descriptors.
    #[inline(always)]
    fn pop_largest(&mut self, largest: u32) -> Option<(usize, &'m [Descriptor])> {
        let index = self.heads[largest as usize % 16].wrapping_sub(1) as usize;
        let block = self.table.run(index, 1 << largest)?;
        let next = block[0].next();
        *self.head(largest) = next as u32;
        if next == 0 {
            self.nonempty ^= 1 << largest;
        }
        Some((index, block))
    }

    /// Takes the free block at `index`, which is not alone, off the list of `order`.
    #[inline]
    fn unlink(&mut self, block: &Descriptor, index: usize, order: u32) {
        let (next, previous) = block.links();
        match self.table.follow(previous) {
            Some(previous) => previous.relink_next(index + 1, next),
            None => *self.head(order) = next as u32,
        }
        if let Some(next) = self.table.follow(next) {
            next.relink_previous(index + 1, previous);
        }
    }

    /// The largest order below `order` whose list has blocks.
    pub(super) fn largest_below(&self, order: u32) -> Option<u32> {
        (self.nonempty & ((1 << order) - 1)).checked_ilog2()
    }

    /// The blocks of `order`, from the head. Ends early at a link that leads out of the table.
    pub(super) fn blocks(&self, order: u32) -> impl Iterator<Item = usize> {
        let table = self.table;
        core::iter::successors(self.first(order).checked_sub(1), move |&index| {
            table.get(index)?.next().checked_sub(1)
        })
    }

    /// Whether what the head of `order` says about its list fits a list of `blocks` blocks.
    pub(super) fn head_agrees(&self, order: u32, blocks: u64) -> bool {
        let is_lone = self.heads[order as usize % 16] & LONE != 0;
        let nonempty = self.nonempty & (1 << order) != 0;
        nonempty == (blocks > 0) && (blocks == 1 || !is_lone)
    }

    /// Frees the frames from `index` to `end`, which lie side by side and are in no block, as the largest blocks that fit, in
    /// address order.
    pub(super) fn add<R: Rule>(&mut self, bits: Bits<'_>, mut index: usize, end: usize) {
        while index < end {
            let order = index
                .trailing_zeros()
                .min((end - index).ilog2())
                .min(R::LARGEST);
            R::give(self, bits, index, order, NOT_A_HEAD);
            index += 1 << order;
        }
    }
}
