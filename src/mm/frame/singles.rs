//! Many single frames at once, off their free list and back onto it.
//!
//! Frames that leave the list together keep the links that they had on it, so that a frame is taken by a change of its state, and
//! given back by the same. Only the ends of such a chain are linked anew; its last frame is on its owner's list as any other block,
//! so that it says where that list goes on.

use super::buddy::{Bits, Lists, Rule, lone};
use super::descriptor::{
    CHAINED, chained, free_word, next_link, owned, owned_word, tag, unchained,
};
use crate::mm::address::Pfn;

/// Frames that were taken together: links to the first and the last, and how many.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chain {
    pub(super) first: usize,
    pub(super) last: usize,
    pub(super) frames: u64,
}

/// Where an owner's list goes on: in the same zone, by index, or at any frame.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rest {
    At(usize),
    From(Pfn),
}

impl Lists<'_> {
    /// Takes single frames off their list, one for each of `places`, until there are no more, and hands out the index of each.
    /// `None` if there is none.
    #[inline]
    pub(super) fn take_singles<R: Rule, T>(
        &mut self,
        bits: Bits<'_>,
        mut places: impl ExactSizeIterator<Item = T>,
        mut put: impl FnMut(T, usize),
    ) -> Option<Chain> {
        let table = self.table;
        let first = self.first(0);
        let wanted = places.len();
        let (mut last, mut next) = (0, first);
        while next != 0
            && let Some(place) = places.next()
        {
            // SAFETY: from the head of the list on, each link comes from a frame on it.
            let frame = unsafe { table.linked(next) };
            let word = frame.word();
            frame.set(chained(word));
            R::left(bits, next - 1, 0);
            put(place, next - 1);
            last = next;
            next = next_link(word);
        }
        let frames = (wanted - places.len()) as u64;
        // The chain ends here, whatever followed on the list.
        table.follow(last)?.set(owned_word(0, Pfn(0)));
        *self.head(0) = next as u32;
        match table.follow(next) {
            Some(next) => next.relink_previous(last, 0),
            None => self.nonempty &= !1,
        }
        self.above_low -= frames as i64;
        Some(Chain {
            first,
            last,
            frames,
        })
    }

    /// Gives the chained frames from `index` on back to their list, and the one that ends their chain, up to the first that is none of
    /// these or has a free buddy. Returns where the owner's list goes on, and how many were given back.
    #[inline]
    pub(super) fn give_singles<R: Rule>(&mut self, bits: Bits<'_>, index: usize) -> (Rest, u64) {
        let table = self.table;
        // What a step leaves to the next one is where it goes on: two of them in a loop need no copies.
        let step = |index: usize| {
            // SAFETY: the first index is looked at below; from there on each comes from the link of a chained frame. The last of a
            // chain is not chained, so that all of those links lead to a frame.
            let frame = unsafe { table.linked(index + 1) };
            let word = frame.word();
            // SAFETY: a chunk has both of a pair of buddies.
            let buddy = unsafe { table.linked((index ^ 1) + 1) };
            if tag(word) != CHAINED || !R::stays(buddy, bits, index, 0) {
                return None;
            }
            frame.set(unchained(word));
            Some(next_link(word) - 1)
        };
        if table.get(index).is_none() {
            return (Rest::At(index), 0);
        }
        let (mut next, mut before, mut given) = (index, index, 0);
        let (next, last) = loop {
            let Some(one) = step(next) else {
                break (next, before);
            };
            let Some(two) = step(one) else {
                given += 1;
                break (one, next);
            };
            given += 2;
            (next, before) = (two, one);
        };
        let (mut rest, first, mut last) = (Rest::At(next), index + 1, last + 1);
        if let Some(frame) = table.get(next)
            && let Some((0, after)) = owned(frame.word())
            && let Some(buddy) = table.get(next ^ 1)
            && R::stays(buddy, bits, next, 0)
        {
            // The end of the chain: its link to the one before it is the only one that it has not.
            let previous = if given > 0 { last } else { 0 };
            frame.set(free_word(0, 0));
            frame.relink_previous(0, previous);
            (rest, last) = (Rest::From(after), next + 1);
            given += 1;
        }
        if given == 0 {
            return (rest, 0);
        }
        let old = self.first(0);
        if let (Some(from), Some(to)) = (table.follow(first), table.follow(last)) {
            from.relink_previous(from.previous(), 0);
            to.relink_next(to.next(), old);
            *self.head(0) = match table.follow(old) {
                Some(old) => {
                    old.relink_previous(0, last);
                    first as u32
                }
                None if given == 1 => lone(index),
                None => first as u32,
            };
            self.nonempty |= 1;
            self.above_low += given as i64;
        }
        (rest, given)
    }
}
