//! One sample of one case, and one proof of it.
//!
//! An operation that can follow on itself is timed many times in one bracket and twice as many in the next: the slope between
//! the two has nothing of the bracket in it. What cannot, as it needs its state anew, is timed alone. Either way the same is
//! done with an operation that does nothing, right after, and the median of these is what the harness itself costs.

use pagemark::cpu::invalidate::evict;
use pagemark_record::Figure;

use super::bracket::{self, Bracket, Operation, SWEEP};
use super::case::{Case, Failure};

/// Calls before the first sample: caches, TLBs and tables are then as they stay.
const WARM_UP: u32 = 5;

/// What the caches and TLBs hold when an operation begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Temperature {
    /// What the calls before have left there.
    Hot,
    /// Nothing.
    Cold,
}

/// One sample.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sample {
    /// Operations that it is the mean of.
    pub batch: u32,
    /// Ticks of an operation and the harness.
    pub with_operation: Figure,
    /// Ticks of the harness alone.
    pub empty: Figure,
}

/// The operation as the bracket calls it. Nobody else calls it, so that it is here that it is compiled, without another call.
///
/// # Safety
///
/// `state` is a `&mut C` that nobody else uses meanwhile.
#[inline(never)]
unsafe extern "C" fn operation<C: Case>(state: *mut ()) {
    // SAFETY: the caller's promise.
    unsafe { &mut *state.cast::<C>() }.operation();
}

/// A case of any type. Of all that the harness does, the operation alone is compiled for each case, as it alone is timed.
pub struct AnyCase<'c> {
    case: &'c mut dyn Case,
    operation: Operation,
    bracket: Bracket,
}

impl<'c> AnyCase<'c> {
    /// The case, and its operation as the bracket calls it.
    pub fn new<C: Case>(case: &'c mut C) -> Self {
        AnyCase {
            case,
            operation: operation::<C>,
            bracket: bracket::ticks,
        }
    }

    /// Has further samples taken by the next of the brackets in [`SWEEP`], round after round.
    pub fn sweep(&mut self, round: u32) {
        self.bracket = SWEEP[round as usize % SWEEP.len()];
    }

    /// The case, for everything but its operation.
    pub fn case(&mut self) -> &mut dyn Case {
        self.case
    }

    fn state(&mut self) -> *mut () {
        (&raw mut *self.case).cast()
    }

    /// One operation, outside any bracket.
    pub fn perform(&mut self) {
        // SAFETY: `operation` gets the case that it is made for, and we hold it exclusively.
        unsafe { (self.operation)(self.state()) };
    }

    /// Ticks of a bracket around `count` operations.
    fn ticks(&mut self, count: u32, temperature: Temperature) -> Result<u64, Failure> {
        self.case.prepare()?;
        if temperature == Temperature::Cold {
            evict();
        }
        // SAFETY: as in `perform`; a case says how often its operation can follow on itself.
        let ticks = unsafe { (self.bracket)(self.operation, self.state(), u64::from(count)) };
        self.case.restore()?;
        Ok(ticks)
    }
}

fn empty_ticks(bracket: Bracket, count: u32, temperature: Temperature) -> u64 {
    if temperature == Temperature::Cold {
        evict();
    }
    bracket::empty(bracket, u64::from(count))
}

/// Takes one sample.
pub fn sample(case: &mut AnyCase<'_>, temperature: Temperature) -> Result<Sample, Failure> {
    let batch = match temperature {
        Temperature::Hot => case.case().batch().max(1),
        // Only the first operation of a batch would be cold.
        Temperature::Cold => 1,
    };
    if batch == 1 {
        return Ok(Sample {
            batch,
            with_operation: case.ticks(1, temperature)?.into(),
            empty: empty_ticks(case.bracket, 1, temperature).into(),
        });
    }
    let slope = |once: u64, twice: u64| Figure::share(twice.saturating_sub(once), batch);
    let [once, twice] = [
        case.ticks(batch, temperature)?,
        case.ticks(2 * batch, temperature)?,
    ];
    let empties = [batch, 2 * batch].map(|count| empty_ticks(case.bracket, count, temperature));
    Ok(Sample {
        batch,
        with_operation: slope(once, twice),
        empty: slope(empties[0], empties[1]),
    })
}

/// Calls the operation until all is as it stays.
pub fn warm_up(case: &mut AnyCase<'_>) -> Result<(), Failure> {
    for _ in 0..WARM_UP {
        case.ticks(1, Temperature::Hot)?;
    }
    Ok(())
}

/// One operation with its proof.
pub fn prove(case: &mut AnyCase<'_>) -> Result<(), Failure> {
    case.case().prepare()?;
    case.perform();
    let proof = case.case().verify();
    let restored = case.case().restore();
    proof.and(restored)
}
