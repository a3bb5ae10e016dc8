//! What is measured: one file per hot path. Knows no statistics.
//!
//! Names: the hot path, the operation, then parameters as `key=value`. They are part of the log's format: a renamed case is
//! a new case to every reader.

mod buddy;
mod control;
mod page_table;
#[cfg(feature = "peers")]
mod peers;
pub mod proof;
mod tlb;
mod vmalloc;

use pagemark::machine::Machine;

use crate::harness::run::Run;

/// Runs every case that the run wants.
pub fn run(machine: &mut Machine, run: &mut Run) {
    control::run(run);
    tlb::run(machine, run);
    page_table::run(machine, run);
    buddy::run(machine, run);
    vmalloc::run(machine, run);
    #[cfg(feature = "peers")]
    peers::run(machine, run);
}
