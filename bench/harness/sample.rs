//! One sample of one case, and one proof of it. How a sample is taken is `pagemark_bracket`'s.

use core::mem::MaybeUninit;

use pagemark::cpu::invalidate::evict;
use pagemark_bracket::block::{Operation, PAIR, Pair, SWEEP};
use pagemark_bracket::sample::{METERED, Meter};
use pagemark_bracket::{Brackets, Sample};
use pagemark_record::{Class, Figure};

use super::case::{Case, Failure};

/// Samples that are not kept before the first that is: caches, TLBs and tables are then as they stay.
const WARM_UP: u32 = 5;

/// What the caches and TLBs hold when an operation begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Temperature {
    /// What the calls before have left there.
    Hot,
    /// Nothing.
    Cold,
}

/// The operation as the bracket calls it. Nobody else calls it, so that it is here that it is compiled, without another call.
///
/// # Safety
///
/// `state` is a `&mut C` that nobody else uses meanwhile.
#[inline(never)]
unsafe extern "C" fn operation<C: Case>(state: *mut ()) -> MaybeUninit<u64> {
    // SAFETY: the caller's promise.
    let case = unsafe { &mut *state.cast::<C>() };
    case.operation();
    case.link()
}

/// A case of any type. Of all that the harness does, the operation alone is compiled for each case, as it alone is timed.
pub struct AnyCase<'c> {
    case: &'c mut dyn Case,
    operation: Operation,
    pair: Pair,
}

impl<'c> AnyCase<'c> {
    /// The case, and its operation as the bracket calls it.
    pub fn new<C: Case>(case: &'c mut C) -> Self {
        AnyCase {
            case,
            operation: operation::<C>,
            pair: PAIR,
        }
    }

    /// Has further samples taken by the next of the brackets in [`SWEEP`], round after round.
    pub fn sweep(&mut self, round: u32) {
        self.pair = SWEEP[round as usize % SWEEP.len()];
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

    /// What a figure of the case is at this temperature, and of how many operations its samples are.
    pub fn class(&mut self, temperature: Temperature) -> (Class, u32) {
        match (temperature, self.case.batch()) {
            // Only the first operation of a batch would be cold.
            (Temperature::Cold, _) | (_, 0..=1) => (Class::Single, 1),
            (Temperature::Hot, batch) => (self.case.class(), batch),
        }
    }
}

/// Brings about the state before a number of operations, runs the brackets, and undoes the operations.
///
/// # Safety
///
/// Nobody else uses the case while the closure runs, but for the brackets.
unsafe fn prepared<'c>(
    case: *mut (dyn Case + 'c),
    temperature: Temperature,
) -> impl FnMut(u32, &mut dyn FnMut()) -> Result<(), Failure> + use<'c> {
    move |count, brackets| {
        // SAFETY: no bracket runs now; the rest is the caller's promise.
        unsafe { &mut *case }.prepare_for(count)?;
        if temperature == Temperature::Cold {
            evict();
        }
        brackets();
        // SAFETY: as above.
        unsafe { &mut *case }.restore()
    }
}

/// The brackets of a case at this temperature.
fn brackets(any: &mut AnyCase<'_>, temperature: Temperature) -> Brackets {
    let (class, batch) = any.class(temperature);
    Brackets {
        pair: any.pair,
        class,
        batch,
    }
}

/// Takes one sample.
pub fn sample(any: &mut AnyCase<'_>, temperature: Temperature) -> Result<Sample, Failure> {
    let brackets = brackets(any, temperature);
    let (operation, state) = (any.operation, any.state());
    // The case is used by its pointer alone from here on: the bracket's calls and ours take turns.
    // SAFETY: we hold the case exclusively.
    let prepared = unsafe { prepared(any.case, temperature) };
    // SAFETY: `operation` gets the case that it is made for; a case says how often its operation can follow on itself.
    unsafe { brackets.sample(operation, state, prepared) }
}

/// Takes one sample by counters.
pub fn count(
    any: &mut AnyCase<'_>,
    temperature: Temperature,
    meter: &mut dyn Meter,
) -> Result<[Figure; METERED], Failure> {
    let brackets = brackets(any, temperature);
    let (operation, state) = (any.operation, any.state());
    // SAFETY: as in `sample`.
    let prepared = unsafe { prepared(any.case, temperature) };
    // SAFETY: as in `sample`.
    unsafe { brackets.count(operation, state, prepared, meter) }
}

/// Takes samples until all is as it stays, and as many more as earlier passes have kept. Many an operation changes the state that the
/// next one meets, and is dear only now and then. So the n-th sample of a case comes after as many others in each way of cutting a
/// run into passes: otherwise each pass would take its samples at the same point of such a course.
pub fn warm_up(any: &mut AnyCase<'_>, kept_before: u32) -> Result<(), Failure> {
    settle(any, WARM_UP + kept_before)
}

/// Takes samples that are not kept.
pub fn settle(any: &mut AnyCase<'_>, samples: u32) -> Result<(), Failure> {
    for _ in 0..samples {
        sample(any, Temperature::Hot)?;
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
