//! A list of frames: a stack that ends at its high mark.
//!
//! The most recent frame lies at `room`, which counts the places left below it, and the oldest at `high - 1`. So being full is
//! `room` being 0, being down to the low mark is `room` being at a limit, and both ends are found without a length.

use super::rule::{ROOM, Rule};

/// Frames by their index in the zone.
#[derive(Debug)]
pub struct List {
    frames: [u32; ROOM],
    /// Frames that still fit.
    room: usize,
    /// The `room` at which the list is down to its low mark.
    limit: usize,
    /// The high mark as it stands now.
    high: usize,
    rule: Rule,
    /// Batches taken since one was given back, and given back since one was taken, as far as they count for doubling.
    taken: u32,
    given: u32,
}

impl List {
    /// An empty list. The marks are at most [`ROOM`].
    pub(super) fn new(rule: Rule) -> Self {
        let mut list = List {
            frames: [0; ROOM],
            room: 0,
            limit: 0,
            high: 0,
            rule,
            taken: 0,
            given: 0,
        };
        list.reset();
        list
    }

    /// Frames on the list.
    pub(super) fn len(&self) -> usize {
        self.high - self.room
    }

    /// Whether the list is at its high mark.
    pub(super) fn is_full(&self) -> bool {
        self.room == 0
    }

    /// Adds a frame; `false` if the list is at its high mark.
    #[inline]
    pub(super) fn push(&mut self, index: u32) -> bool {
        // Without room the place wraps around, out of bounds.
        let room = self.room.wrapping_sub(1);
        let Some(place) = self.frames.get_mut(room) else {
            return false;
        };
        *place = index;
        self.room = room;
        true
    }

    /// The most recent frame, if the list has more than its low mark.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<u32> {
        if self.room >= self.limit {
            return None;
        }
        let index = self.frames[self.room % ROOM];
        self.room += 1;
        Some(index)
    }

    /// The most recent frame, whatever the marks.
    pub(super) fn pop_any(&mut self) -> Option<u32> {
        if self.room == self.high {
            return None;
        }
        let index = self.frames[self.room % ROOM];
        self.room += 1;
        Some(index)
    }

    /// Adds up to a batch of frames as the oldest: `fill` gets the places that are still empty, and fills some of them from the
    /// front for as long as it has frames; it returns how many. The high mark goes up with them, as far as the rule lets it.
    pub(super) fn refill(&mut self, mut fill: impl FnMut(&mut [u32]) -> usize) {
        let Rule {
            batch: first,
            highest,
            doublings,
            ..
        } = self.rule;
        let batch = first << self.taken;
        let high = (self.high + batch).min(highest);
        let most = (high - self.len()).saturating_sub(first).max(first);
        if batch <= most && self.taken < doublings {
            self.taken += 1;
        }
        self.given = 0;
        let most = batch.min(most);
        // What the mark cannot give way for, the frames on the list do.
        let shift = most.saturating_sub(high - self.high);
        self.frames
            .copy_within(self.room..self.high, self.room - shift);
        self.room -= shift;
        let start = self.high - shift;
        let mut end = start;
        while end < start + most {
            match fill(&mut self.frames[end..start + most]) {
                0 => break,
                filled => end += filled,
            }
        }
        // With fewer than a batch there is no demand to grow for.
        let missing = end.max(self.high) - end;
        self.frames.copy_within(self.room..end, self.room + missing);
        self.room += missing;
        self.set_high(end + missing);
    }

    /// Takes a batch of the oldest frames off, and gives them to `back`.
    pub(super) fn spill(&mut self, back: impl FnOnce(&[u32])) {
        let Rule {
            batch: first,
            doublings,
            ..
        } = self.rule;
        let batch = (first << self.given).min(self.high - first).max(first);
        self.given = (self.given + 1).min(doublings);
        self.taken = 0;
        self.give_back(batch, back);
    }

    /// Takes the oldest `count` frames off, and gives them to `back`.
    fn give_back(&mut self, count: usize, back: impl FnOnce(&[u32])) {
        let count = count.min(self.len());
        let kept = self.high - count;
        back(&self.frames[kept..self.high]);
        self.frames.copy_within(self.room..kept, self.room + count);
        self.room += count;
    }

    /// Takes all frames off, and brings the high mark back to where it started.
    pub(super) fn empty(&mut self, back: impl FnOnce(&[u32])) {
        self.give_back(self.len(), back);
        self.reset();
    }

    /// The marks of an empty list.
    fn reset(&mut self) {
        (self.taken, self.given) = (0, 0);
        self.room = self.rule.high;
        self.set_high(self.rule.high);
    }

    fn set_high(&mut self, high: usize) {
        self.high = high;
        self.limit = high - self.rule.low;
    }
}
