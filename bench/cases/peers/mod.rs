//! Other projects' allocators and page tables in the shapes that ours are measured in, so that anyone can repeat the comparison
//! on any machine.
//!
//! Built with the feature `peers` alone. Names: `peer`, the crate, the operation, the shape.

mod frames;
#[cfg(target_os = "none")]
mod page_tables;

use pagemark::machine::Machine;

use crate::harness::run::Run;

/// All peers.
pub(super) fn run(machine: &mut Machine, run: &mut Run) {
    frames::run(machine, run);
    #[cfg(target_os = "none")]
    page_tables::run(machine, run);
    #[cfg(not(target_os = "none"))]
    for group in ["peer/x86_64", "peer/page_table_multiarch"] {
        run.skip_group(group, "it flushes by an instruction of ring 0");
    }
}
