//! The state of kmap's window: which frame each slot shows, how many use it, and when slots can be had again.
//!
//! A slot's count is 0 (clear and flushed), 1 (used by nobody, but still mapped, and TLBs may have it) or n (used by n - 1).
//! Slots are given out in turn, from the lowest to the highest; only when the turn is over are the slots with count 1 cleared,
//! and one flush serves them all. A frame that somebody wants again before that is found and needs no flush.

#![forbid(unsafe_code)]

use crate::mm::address::Pfn;

/// Link to no slot.
const NONE: u16 = u16::MAX;

/// The state of one slot.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    frame: Pfn,
    /// 0, 1 or users + 1.
    count: u32,
    /// The next slot whose frame has the same hash.
    next: u16,
    /// The first slot of the frames whose hash is this slot's number.
    first: u16,
}

impl Slot {
    /// A slot that is clear and flushed.
    pub const CLEAR: Slot = Slot {
        frame: Pfn(0),
        count: 0,
        next: NONE,
        first: NONE,
    };
}

/// A slot whose count was asked to go below 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct NotUsed;

/// The state of all slots.
#[derive(Debug)]
pub(super) struct Window<'m> {
    slots: &'m mut [Slot],
    /// Where this turn goes on: all slots below have been given out in it.
    position: usize,
}

impl<'m> Window<'m> {
    /// A window of clear slots, at most 65,535.
    pub(super) fn new(slots: &'m mut [Slot]) -> Self {
        let count = slots.len().min(usize::from(NONE));
        let slots = &mut slots[..count];
        slots.fill(Slot::CLEAR);
        Window { slots, position: 0 }
    }

    pub(super) const fn len(&self) -> usize {
        self.slots.len()
    }

    /// The slot that shows `frame`, with one user more.
    pub(super) fn use_again(&mut self, frame: Pfn) -> Option<usize> {
        let mut number = self.slots.get(self.hash(frame))?.first;
        loop {
            let slot = self.slots.get_mut(usize::from(number))?;
            if slot.frame == frame {
                slot.count = slot.count.saturating_add(1);
                return Some(usize::from(number));
            }
            number = slot.next;
        }
    }

    /// Gives the next clear slot of this turn to `frame`, which no slot shows, for one user. `None`: the turn is over.
    pub(super) fn give(&mut self, frame: Pfn) -> Option<usize> {
        let rest = self.slots.get(self.position..)?;
        let Some(ahead) = rest.iter().position(|slot| slot.count == 0) else {
            self.position = self.slots.len();
            return None;
        };
        let number = self.position + ahead;
        self.position = number + 1;
        let hash = self.hash(frame);
        let next = core::mem::replace(&mut self.slots[hash].first, number as u16);
        let slot = &mut self.slots[number];
        (slot.frame, slot.count, slot.next) = (frame, 2, next);
        Some(number)
    }

    /// Starts the next turn: every slot that nobody uses is clear from now on, and `clear` is called with its number. TLBs
    /// have to be flushed before one is given out.
    pub(super) fn turn(&mut self, mut clear: impl FnMut(usize)) {
        self.position = 0;
        for number in 0..self.slots.len() {
            if self.slots[number].count == 1 {
                self.slots[number].count = 0;
                self.unlink(number);
                clear(number);
            }
        }
    }

    /// One user less.
    pub(super) fn release(&mut self, number: usize) -> Result<(), NotUsed> {
        match self.slots.get_mut(number) {
            Some(slot) if slot.count > 1 => {
                slot.count -= 1;
                Ok(())
            }
            _ => Err(NotUsed),
        }
    }

    /// Users of a slot.
    pub(super) fn users(&self, number: usize) -> u32 {
        let slot = self.slots.get(number);
        slot.map_or(0, |slot| slot.count.saturating_sub(1))
    }

    /// Frames that lie side by side get slots side by side.
    fn hash(&self, frame: Pfn) -> usize {
        frame.0 as usize % self.slots.len().max(1)
    }

    fn unlink(&mut self, number: usize) {
        let hash = self.hash(self.slots[number].frame);
        let next = self.slots[number].next;
        let mut link = &mut self.slots[hash].first;
        while usize::from(*link) != number {
            let previous = usize::from(*link);
            match self.slots.get_mut(previous) {
                Some(slot) => link = &mut slot.next,
                None => return,
            }
        }
        *link = next;
    }
}
