//! Other projects' allocators and page tables in the shapes that ours are measured in, so that anyone can repeat the comparison
//! on any machine.
//!
//! Built with the feature `peers` alone. Names: `peer`, the crate, the operation, the shape.

mod frames;
mod page_tables;

use pagemark::machine::Machine;

use crate::harness::run::Run;

/// All peers.
pub(super) fn run(machine: &mut Machine, run: &mut Run) {
    frames::run(machine, run);
    page_tables::run(machine, run);
}
