//! A chunk: the addresses of one PT, cut into places for areas of one size.
//!
//! Which places are free is a set of bits; which were freed, but are not flushed for, is another one, where any CPU adds to. So the
//! places of a chunk go back together, as the union of two sets, in whatever order they were freed (Linux's vmap blocks).

use core::sync::atomic::{AtomicU64, Ordering};

use crate::mm::address::{Order, PAGE_SIZE, PageSize, VirtAddr};
use crate::mm::page_table::OwnedRange;

/// Pages of a chunk.
pub(super) const PAGES: u64 = PageSize::Size2M.frames();
/// Words of a set of places. The smallest place has a page and its guard page.
const WORDS: usize = (PAGES / 2).div_ceil(64) as usize;

/// A set of a chunk's places.
pub(super) type Places = [u64; WORDS];

/// Places of a chunk that were freed since the last flush for them.
#[derive(Debug)]
pub(super) struct Freed([AtomicU64; WORDS]);

impl Freed {
    /// No places.
    pub(super) const fn none() -> Self {
        Freed([const { AtomicU64::new(0) }; WORDS])
    }

    /// Adds a place, whose entries are clear.
    #[inline]
    pub(super) fn add(&self, place: usize) {
        self.0[place / 64].fetch_or(1 << (place % 64), Ordering::Release);
    }

    /// Takes all out.
    pub(super) fn take(&self) -> Places {
        core::array::from_fn(|word| self.0[word].swap(0, Ordering::Acquire))
    }
}

/// A chunk, as the CPU has it that it belongs to.
#[derive(Debug)]
pub(super) struct Chunk<M> {
    pub(super) owned: OwnedRange<M>,
    /// Where the search of the region keeps it.
    pub(super) slot: u32,
    order: Order,
    free: Places,
}

impl<M> Chunk<M> {
    /// All places of the addresses are free, each for as many pages as a block of `order` has frames.
    pub(super) fn new(owned: OwnedRange<M>, slot: u32, order: Order) -> Self {
        Chunk {
            owned,
            slot,
            order,
            free: all(order),
        }
    }

    /// First address of a place.
    #[inline]
    pub(super) const fn address(&self, place: usize) -> VirtAddr {
        let pages = with_guard(self.order) * place as u64;
        VirtAddr(self.owned.start().0 + pages * PAGE_SIZE)
    }

    /// Takes a place, the lowest one that is free.
    #[inline]
    pub(super) fn take(&mut self) -> Option<usize> {
        for (number, word) in self.free.iter_mut().enumerate() {
            if *word != 0 {
                let bit = word.trailing_zeros() as usize;
                *word &= *word - 1;
                return Some(number * 64 + bit);
            }
        }
        None
    }

    /// Gives a place back that nothing was mapped at.
    pub(super) fn put_back(&mut self, place: usize) {
        self.free[place / 64] |= 1 << (place % 64);
    }

    /// Gives places back that were flushed for.
    pub(super) fn add(&mut self, flushed: &Places) {
        for (word, more) in self.free.iter_mut().zip(flushed) {
            debug_assert_eq!(*word & more, 0, "a place is free twice");
            *word |= more;
        }
    }

    /// Whether no area lies in it.
    pub(super) fn is_unused(&self) -> bool {
        self.free == all(self.order)
    }
}

/// Pages of a place: those of the area, and the guard page.
const fn with_guard(order: Order) -> u64 {
    order.frames() + 1
}

/// All places of a chunk.
fn all(order: Order) -> Places {
    let count = (PAGES / with_guard(order)) as usize;
    core::array::from_fn(|word| match count.saturating_sub(word * 64) {
        0 => 0,
        bits @ 1..64 => (1 << bits) - 1,
        _ => u64::MAX,
    })
}
