//! The CPUs that the command line asks for by their number run.

use pagemark::machine::Machine;

use crate::harness::case::Failure;
use crate::harness::run::Run;

/// Writes the check down. Where no number is asked for, a CPU that is left out is a tag of the environment.
pub fn run(machine: &Machine, run: &mut Run) {
    let Some(asked) = machine.options.smp.map(|smp| smp.0) else {
        return;
    };
    let running = machine.processors.count();
    let listed = &machine.firmware.processors;
    let there = (listed.enabled as usize).max(1);
    // A number that counts firmware's repeated entries is met by all CPUs.
    let entries = there + listed.repeated as usize;
    let outcome = if running >= asked || running == there && asked <= entries {
        Ok(())
    } else {
        Err(Failure::new(format_args!(
            "smp={asked} asks for {asked} CPUs, the machine has {there}, and {running} run"
        )))
    };
    run.check("smp/all_run", outcome);
}
