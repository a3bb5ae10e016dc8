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

    /// Ticks of the empty bracket and of the one around the operation.
    ///
    /// # Safety
    ///
    /// `operation` may be called with `state`, `count` times.
    unsafe fn readings(self, operation: Operation, state: *mut (), count: u32) -> [u64; 2] {
        let (bracket, nothing): (_, Operation) = match self.class {
            Class::Latency => (self.pair.chained, nothing_linked),
            Class::Throughput | Class::Single => (self.pair.independent, nothing),
        };
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
