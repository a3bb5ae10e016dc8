//! The book's rule (2.4, chapter 6): one bit for each pair of buddies below the largest order.
//!
//! A bit is 1 while exactly one of the two is a free block of that order. Every block that enters or leaves a list flips its
//! pair's bit; when a block is freed and the bit was 1, its buddy is on the list, and the two merge.

use core::sync::atomic::Ordering;

use super::{Bits, Lists, sealed::Rule};
use crate::mm::frame::descriptor::{ALLOCATED, CHUNK_FRAMES, Descriptor, NOT_A_HEAD, free_word};

/// One bit for each pair of buddies; the upper half of a split is handed out. `LARGEST` is the largest order: the book's
/// MAX_ORDER of 10 makes it 9.
pub struct PairBitmap<const LARGEST: u32 = 9>;

/// 64-bit words for the pairs of a chunk: 512 of order 0, 256 of order 1, ... 1 of order 9.
const WORDS: usize = CHUNK_FRAMES / 64;

/// Flips the bit of the pair that the block at `index` belongs to, and returns whether it was 1.
fn toggle(bits: Bits<'_>, index: usize, order: u32) -> bool {
    let (word, mask) = position(index, order);
    bits.get(word).is_some_and(|word| {
        let old = word.load(Ordering::Relaxed);
        word.store(old ^ mask, Ordering::Relaxed);
        old & mask != 0
    })
}

/// Where the bit of a pair is: the pairs of order 0 come first in the chunk's words, then those of order 1, and so on.
fn position(index: usize, order: u32) -> (usize, u64) {
    let (chunk, offset) = (index / CHUNK_FRAMES, index % CHUNK_FRAMES);
    let bit = CHUNK_FRAMES - (CHUNK_FRAMES >> order) + (offset >> (order + 1));
    (chunk * WORDS + bit / 64, 1 << (bit % 64))
}

impl<const LARGEST: u32> Rule for PairBitmap<LARGEST> {
    const LARGEST: u32 = LARGEST;
    const WORDS_PER_CHUNK: usize = WORDS;

    fn take_from(lists: &mut Lists<'_>, bits: Bits<'_>, order: u32, found: u32) -> Option<usize> {
        let (mut index, _) = lists.pop(found)?;
        if found < LARGEST {
            toggle(bits, index, found);
        }
        for half in (order..found).rev() {
            lists.push(index, half);
            toggle(bits, index, half);
            index += 1 << half;
        }
        lists.table.get(index)?.set(ALLOCATED | u64::from(order));
        Some(index)
    }

    fn give(lists: &mut Lists<'_>, bits: Bits<'_>, index: usize, order: u32, held: u64) -> bool {
        let Some(block) = lists.table.get(index) else {
            return false;
        };
        if block.word() != held {
            return false;
        }
        lists.above_low += 1 << order;
        block.set(NOT_A_HEAD);
        let (mut index, mut order) = (index, order);
        while order < LARGEST && toggle(bits, index, order) {
            let buddy = index ^ (1 << order);
            match lists.table.get(buddy) {
                Some(block) if block.word() == free_word(order, 0) => lists.clear(order),
                Some(block) => lists.unlink(block, buddy, order),
                None => {}
            }
            index &= buddy;
            order += 1;
        }
        lists.push(index, order);
        true
    }

    fn left(bits: Bits<'_>, index: usize, order: u32) {
        toggle(bits, index, order);
    }

    fn stays(_: &Descriptor, bits: Bits<'_>, index: usize, order: u32) -> bool {
        let (word, mask) = position(index, order);
        let Some(word) = bits.get(word) else {
            return false;
        };
        let old = word.load(Ordering::Relaxed);
        if old & mask == 0 {
            word.store(old ^ mask, Ordering::Relaxed);
        }
        old & mask == 0
    }

    fn pair_agrees(bits: Bits<'_>, index: usize, order: u32, one_free: bool) -> bool {
        let (word, mask) = position(index, order);
        order >= LARGEST
            || bits
                .get(word)
                .is_some_and(|word| (word.load(Ordering::Relaxed) & mask != 0) == one_free)
    }
}
