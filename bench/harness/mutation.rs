//! Proofs put to the proof: with the operation left out, or only the flush in it, each has to fail.
//!
//! A proof that holds all the same would hold of a case that does nothing, and the case's figure would be worth nothing.

use core::sync::atomic::{AtomicBool, Ordering};

use pagemark::boot::command_line::Mutate;
use pagemark::cpu::invalidate;
use pagemark::mm::left_out::leave_out;

use super::case::{Case, Failure};
use super::sample::{AnyCase, prove};

/// The proof that runs is one without its operation.
static OPERATION_LEFT_OUT: AtomicBool = AtomicBool::new(false);
/// The proof that runs is one without the flush of its operation.
static FLUSH_LEFT_OUT: AtomicBool = AtomicBool::new(false);

/// One operation within a proof, for cases whose proof sets the scene itself. Left out where that is put to the proof.
pub fn perform<C: Case>(case: &mut C) {
    if OPERATION_LEFT_OUT.load(Ordering::Relaxed) {
        return;
    }
    if FLUSH_LEFT_OUT.load(Ordering::Relaxed) {
        leave_out(|| AnyCase::new(case).perform());
    } else {
        AnyCase::new(case).perform();
    }
}

/// What came of a mutation.
pub enum Outcome {
    /// The proof failed, as it has to, with these words.
    Killed(Failure),
    /// The proof held.
    Survived,
    /// There was nothing to leave out.
    Nothing(&'static str),
}

/// One proof with something left out of the operation. What was left out is made up for afterwards.
///
/// A flush is left out of the first operation and, where that goes unnoticed, of a later one: the first may meet no translation
/// that could be stale.
pub fn mutate(any: &mut AnyCase<'_>, mutate: Mutate) -> Result<Outcome, Failure> {
    if let Some(reason) = any.case().without_effect() {
        return Ok(Outcome::Nothing(reason));
    }
    match mutate {
        Mutate::Operation => without_operation(any),
        Mutate::Flush => match without_flush(any)? {
            Outcome::Survived => {
                prove(any)?;
                match without_flush(any)? {
                    Outcome::Nothing(_) => Ok(Outcome::Survived),
                    outcome => Ok(outcome),
                }
            }
            outcome => Ok(outcome),
        },
    }
}

fn without_operation(any: &mut AnyCase<'_>) -> Result<Outcome, Failure> {
    any.case().prepare()?;
    OPERATION_LEFT_OUT.store(true, Ordering::Relaxed);
    let proof = any.case().verify();
    OPERATION_LEFT_OUT.store(false, Ordering::Relaxed);
    any.perform();
    Ok(outcome(any, proof))
}

fn without_flush(any: &mut AnyCase<'_>) -> Result<Outcome, Failure> {
    any.case().prepare()?;
    if leave_out(|| any.perform()) == 0 {
        any.case().restore()?;
        return Ok(Outcome::Nothing("the operation owes no flush"));
    }
    FLUSH_LEFT_OUT.store(true, Ordering::Relaxed);
    let proof = any.case().verify();
    FLUSH_LEFT_OUT.store(false, Ordering::Relaxed);
    invalidate::flush_everything();
    Ok(outcome(any, proof))
}

/// What the proof says of the mutation, after the case is as it was.
fn outcome(any: &mut AnyCase<'_>, proof: Result<(), Failure>) -> Outcome {
    // The proof may have changed what the operation met then: its errors have no meaning.
    let _ = any.case().restore();
    match proof {
        Err(failure) => Outcome::Killed(failure),
        Ok(()) => Outcome::Survived,
    }
}
