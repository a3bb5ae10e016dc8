//! Spinning until another CPU has done something, with an end.
//!
//! A CPU that has died, or whose interrupt got lost, must not hang the run. The clock is read rarely: what is waited for usually comes
//! within some hundred turns, and a timed wait has to notice it at once.

use core::hint::spin_loop;

use super::tsc;

/// Turns between two readings of the clock.
const TURNS: u32 = 4096;

/// Ticks in which another CPU answers, or never does: 3 s at 5 GHz.
pub const ANSWER: u64 = 1 << 34;

/// Ticks after which a CPU does not wait for the end of a measurement any more: an hour at 5 GHz.
pub const MEASUREMENT: u64 = 1 << 44;

/// The end of a wait, some ticks after its first [`TURNS`].
#[derive(Debug)]
pub struct Bound {
    ticks: u64,
    end: Option<u64>,
    turns: u32,
}

impl Bound {
    /// One of `ticks` by this CPU's counter.
    #[must_use]
    pub const fn new(ticks: u64) -> Self {
        Bound {
            ticks,
            end: None,
            turns: 0,
        }
    }

    /// One turn, with a PAUSE; false once the time is over.
    #[inline]
    #[must_use]
    pub fn spin(&mut self) -> bool {
        spin_loop();
        self.turns += 1;
        self.turns < TURNS || self.look()
    }

    #[cold]
    #[inline(never)]
    fn look(&mut self) -> bool {
        self.turns = 0;
        let now = tsc::read();
        let ticks = self.ticks;
        now < *self.end.get_or_insert_with(|| now.saturating_add(ticks))
    }
}

/// One of a wait for another CPU's answer.
impl Default for Bound {
    fn default() -> Self {
        Bound::new(ANSWER)
    }
}

/// Spins until `done`; false if it is not within [`ANSWER`].
#[inline]
#[must_use]
pub fn spin_until(done: impl Fn() -> bool) -> bool {
    let mut bound = Bound::default();
    while !done() {
        if !bound.spin() {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use core::cell::Cell;

    use super::*;

    #[test]
    fn a_wait_ends_with_what_is_waited_for_or_with_its_time() {
        let turns = Cell::new(0);
        let done = || {
            turns.set(turns.get() + 1);
            turns.get() == 3 * TURNS
        };
        assert!(spin_until(done));
        assert_eq!(turns.get(), 3 * TURNS);

        let mut bound = Bound::new(0);
        let turns = (0..).take_while(|_| bound.spin()).count();
        assert_eq!(turns as u32, TURNS - 1);
        let mut bound = Bound::new(1 << 20);
        let start = tsc::read();
        while bound.spin() {}
        assert!(tsc::read() - start >= 1 << 20);
    }
}
