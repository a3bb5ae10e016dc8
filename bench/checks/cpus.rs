//! The CPUs that the command line asks for by their number run, as far as the machine has them.

use pagemark::machine::Machine;

use crate::harness::case::Failure;
use crate::harness::run::Run;

/// Writes the check down. Where no number is asked for, a CPU that is left out is a tag of the environment.
pub fn run(machine: &Machine, run: &mut Run) {
    if machine.options.smp.is_none() {
        return;
    }
    let (running, missing) = (machine.processors.count(), machine.processors.missing());
    let outcome = match missing {
        0 => Ok(()),
        _ => Err(Failure::new(format_args!(
            "{running} CPUs run of {} that were asked for and that the machine has",
            running + missing
        ))),
    };
    run.check("smp/all_run", outcome);
}
