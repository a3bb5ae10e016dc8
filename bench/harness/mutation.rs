//! Proofs put to the proof: with the operation left out, or only the flush in it, each has to fail.
//!
//! A proof that holds all the same would hold of a case that does nothing, and the case's figure would be worth nothing.

use core::sync::atomic::{AtomicBool, Ordering};

use pagemark::boot::command_line::Mutate;
use pagemark::cpu::invalidate;

use super::case::{Case, Failure};
use super::sample::AnyCase;

/// The proof that runs is one without its operation.
static OPERATION_LEFT_OUT: AtomicBool = AtomicBool::new(false);

/// One operation within a proof, for cases whose proof sets the scene itself. Left out where that is put to the proof.
pub fn perform<C: Case>(case: &mut C) {
    if !OPERATION_LEFT_OUT.load(Ordering::Relaxed) {
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
pub fn mutate(any: &mut AnyCase<'_>, mutate: Mutate) -> Result<Outcome, Failure> {
    if let Some(reason) = any.case().without_effect() {
        return Ok(Outcome::Nothing(reason));
    }
    any.case().prepare()?;
    let proof = match mutate {
        Mutate::Operation => {
            OPERATION_LEFT_OUT.store(true, Ordering::Relaxed);
            let proof = any.case().verify();
            OPERATION_LEFT_OUT.store(false, Ordering::Relaxed);
            any.perform();
            proof
        }
        Mutate::Flush => {
            let left_out = invalidate::leave_out(|| any.perform());
            if left_out == 0 {
                any.case().restore()?;
                return Ok(Outcome::Nothing("the operation owes no flush"));
            }
            let proof = any.case().verify();
            invalidate::flush_everything();
            proof
        }
    };
    // The proof may have changed what the operation met then: its errors tell nothing.
    let _ = any.case().restore();
    Ok(match proof {
        Err(failure) => Outcome::Killed(failure),
        Ok(()) => Outcome::Survived,
    })
}
