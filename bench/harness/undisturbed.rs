//! A round again, where something struck it: an SMI, stolen time; in a process, the kernel's scheduler.

use pagemark_bracket::Sample;
use pagemark_record::Disturbances;
use pagemark_verdict::{Cause, Seen, cause};

use super::case::Failure;
use super::round;
use super::sample::{AnyCase, Temperature};
use crate::environment::Witness;

/// Samples that may be taken again in place of one that something struck.
const RETRIES: u32 = 3;

/// A round that nothing struck, or, where something strikes again and again, the last one. Each that was struck is counted.
pub fn undisturbed(
    case: &mut AnyCase<'_>,
    temperature: Temperature,
    repeats: u32,
    witness: Option<&Witness>,
    disturbances: &mut Disturbances,
) -> Result<Sample, Failure> {
    let look = || witness.map_or(Seen::default(), Witness::look);
    for retry in 0.. {
        let before = look();
        let sample = round::take(case, temperature, repeats)?;
        match cause(before, look()) {
            None => return Ok(sample),
            Some(Cause::Smi) => disturbances.smi += 1,
            Some(Cause::Steal) => disturbances.steal += 1,
            #[cfg(not(target_os = "none"))]
            Some(Cause::Preempted) => disturbances.preempted += 1,
            #[cfg(not(target_os = "none"))]
            Some(Cause::Migrated) => disturbances.migrated += 1,
        }
        if retry == RETRIES {
            return Ok(sample);
        }
    }
    unreachable!("the loop ends by itself")
}
