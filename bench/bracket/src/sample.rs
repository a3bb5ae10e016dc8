//! One sample: which brackets are run, in which order, and what comes of their readings.
//!
//! A `single` operation is timed alone. Of a `throughput` or a `latency` as many operations as its batch are timed in one bracket and twice
//! as many in the next; the slope between the two has neither the fences nor the filling of the pipeline in it.
//!
//! The cost of the harness is that of an operation that does nothing, taken in the same sample and in the same state, after the case
//! has got ready and before its operation runs. Ahead of both two brackets run that are not read: they have the code of the bracket and of
//! the empty operation warm, and leave the predictor of the bracket's call with another target than the next one has, as the operation
//! finds it. Otherwise the empty bracket, which runs only now and then, is slower than the one around the operation, and by more the
//! more happens between samples. So what the harness costs is the same for all cases, which the run checks.
//!
//! Differences are signed: cut at 0 they would show no noise where nothing is measured.

use pagemark_record::{Class, Figure};

use crate::block::{Operation, Pair, nothing, nothing_else, nothing_linked};

/// What one sample's brackets yield.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sample {
    /// Operations that it is the mean of.
    pub batch: u32,
    /// Ticks of an operation and the harness.
    pub with_operation: Figure,
    /// Ticks of the harness alone.
    pub empty: Figure,
}

/// Counters that are read around brackets.
pub trait Meter {
    /// What they stand at.
    fn read(&mut self) -> [u64; METERED];

    /// What they have counted between two readings.
    fn between(&self, before: [u64; METERED], after: [u64; METERED]) -> [u64; METERED];
}

/// Counters that a [`Meter`] has at most; the others read 0.
pub const METERED: usize = 6;

/// The brackets of one case.
#[derive(Clone, Copy, Debug)]
pub struct Brackets {
    /// Those at one place.
    pub pair: Pair,
    /// What the figure is to be.
    pub class: Class,
    /// Operations in the smaller bracket of a sample; 1 where [`Class::Single`].
    pub batch: u32,
}

impl Brackets {
    /// Takes one sample of the harness alone.
    #[must_use]
    pub fn sample_of_nothing(self) -> Figure {
        let prepared = |_, run: &mut dyn FnMut()| {
            run();
            Ok::<(), core::convert::Infallible>(())
        };
        // SAFETY: it may be called with any state.
        let Ok(sample) = unsafe { self.sample(nothing_else, core::ptr::null_mut(), prepared) };
        sample.empty
    }

    /// Takes one sample. `prepared` makes the state before a number of operations, runs the bracket that it is given, and undoes the operations.
    ///
    /// # Errors
    ///
    /// Those of `prepared`.
    ///
    /// # Safety
    ///
    /// Once prepared, `operation` may be called with `state` that many times.
    pub unsafe fn sample<E>(
        self,
        operation: Operation,
        state: *mut (),
        mut prepared: impl FnMut(u32, &mut dyn FnMut()) -> Result<(), E>,
    ) -> Result<Sample, E> {
        let mut both = |count: u32| {
            let mut readings = [0; 2];
            prepared(count, &mut || {
                // SAFETY: nothing may always be called, and the caller vouches for the operation.
                readings = unsafe { self.readings(operation, state, count) };
            })?;
            Ok(readings)
        };
        if self.class == Class::Single {
            let [empty, with_operation] = both(1)?;
            return Ok(Sample {
                batch: 1,
                with_operation: Figure::from(with_operation),
                empty: Figure::from(empty),
            });
        }
        let [once, twice] = [both(self.batch)?, both(2 * self.batch)?];
        let slope = |part: usize| {
            Figure::share(
                twice[part].wrapping_sub(once[part]).cast_signed(),
                self.batch,
            )
        };
        Ok(Sample {
            batch: self.batch,
            with_operation: slope(1),
            empty: slope(0),
        })
    }

    /// Takes one sample of counters instead of the clock: what they count of one operation, the harness taken off. They are read outside
    /// the brackets, and the same reading is beside the empty bracket.
    ///
    /// # Errors
    ///
    /// Those of `prepared`.
    ///
    /// # Safety
    ///
    /// As for [`sample`](Self::sample).
    pub unsafe fn count<E>(
        self,
        operation: Operation,
        state: *mut (),
        mut prepared: impl FnMut(u32, &mut dyn FnMut()) -> Result<(), E>,
        meter: &mut dyn Meter,
    ) -> Result<[Figure; METERED], E> {
        let mut net = |count: u32| {
            let mut net = [0; METERED];
            prepared(count, &mut || {
                // SAFETY: the caller vouches for the operation.
                net = unsafe { self.counts(operation, state, count, meter) };
            })?;
            Ok(net)
        };
        let once = net(self.batch)?;
        let (counts, batch) = match self.class {
            Class::Single => (once, 1),
            Class::Latency | Class::Throughput => {
                let twice = net(2 * self.batch)?;
                let slope = |place: usize| twice[place].wrapping_sub(once[place]);
                (core::array::from_fn(slope), self.batch)
            }
        };
        Ok(counts.map(|count: i64| Figure::share(count, batch)))
    }

    /// What is counted of `count` operations.
    ///
    /// # Safety
    ///
    /// `operation` may be called with `state`, `count` times.
    #[expect(
        clippy::multiple_unsafe_ops_per_block,
        reason = "one timed sequence, with one promise"
    )]
    unsafe fn counts(
        self,
        operation: Operation,
        state: *mut (),
        count: u32,
        meter: &mut dyn Meter,
    ) -> [i64; METERED] {
        let (bracket, nothing) = self.bracket();
        let count = u64::from(count);
        // SAFETY: the first two may be called with any state, and the caller vouches for the third.
        unsafe {
            bracket(nothing, state, 1);
            bracket(nothing_else, state, 1);
            let start = meter.read();
            bracket(nothing, state, count);
            let middle = meter.read();
            bracket(operation, state, count);
            let end = meter.read();
            let [empty, whole] = [meter.between(start, middle), meter.between(middle, end)];
            core::array::from_fn(|place| whole[place].wrapping_sub(empty[place]).cast_signed())
        }
    }

    /// The bracket of the class, and the operation that does nothing in it.
    const fn bracket(self) -> (crate::block::Bracket, Operation) {
        match self.class {
            Class::Latency => (self.pair.chained, nothing_linked),
            Class::Throughput | Class::Single => (self.pair.independent, nothing),
        }
    }

    /// Ticks of the empty bracket and of the one around the operation.
    ///
    /// # Safety
    ///
    /// `operation` may be called with `state`, `count` times.
    #[expect(
        clippy::multiple_unsafe_ops_per_block,
        reason = "one timed sequence, with one promise"
    )]
    unsafe fn readings(self, operation: Operation, state: *mut (), count: u32) -> [u64; 2] {
        let (bracket, nothing) = self.bracket();
        let count = u64::from(count);
        // SAFETY: the first two may be called with any state, and the caller vouches for the third.
        unsafe {
            bracket(nothing, state, 1);
            bracket(nothing_else, state, 1);
            [
                bracket(nothing, state, count),
                bracket(operation, state, count),
            ]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::PAIR;
    use core::convert::Infallible;
    use core::mem::MaybeUninit;

    /// Counts the calls of an operation, and its own readings.
    struct Calls {
        calls: *const u64,
        readings: u64,
    }

    impl Meter for Calls {
        fn read(&mut self) -> [u64; METERED] {
            self.readings += 1;
            // SAFETY: the test's own counter, which is changed between readings alone.
            let calls = unsafe { self.calls.read_volatile() };
            // The first comes round from 2^16 on, and each has what the reading itself adds.
            [(0xfff0 + calls) & 0xffff, 100 * self.readings, 0, 0, 0, 0]
        }

        fn between(&self, before: [u64; METERED], after: [u64; METERED]) -> [u64; METERED] {
            core::array::from_fn(|place| after[place].wrapping_sub(before[place]) & 0xffff)
        }
    }

    unsafe extern "C" fn three(state: *mut ()) -> MaybeUninit<u64> {
        // SAFETY: the test hands over its counter.
        unsafe { *state.cast::<u64>() += 3 };
        MaybeUninit::new(0)
    }

    #[test]
    fn counts_are_those_of_an_operation_without_the_harness() {
        for (class, batch) in [
            (Class::Single, 1),
            (Class::Throughput, 16),
            (Class::Latency, 16),
        ] {
            let mut calls = 0_u64;
            let state = &raw mut calls;
            let mut meter = Calls {
                calls: state,
                readings: 0,
            };
            let brackets = Brackets {
                pair: PAIR,
                class,
                batch,
            };
            let prepared = |_, run: &mut dyn FnMut()| {
                run();
                Ok::<(), Infallible>(())
            };
            // SAFETY: the operation takes the counter.
            let Ok(counts) = unsafe { brackets.count(three, state.cast(), prepared, &mut meter) };
            assert_eq!(counts[0], 3.into());
            assert_eq!(counts[1..], [Figure::default(); METERED - 1]);
        }
    }
}
