//! What vmalloc is there for: its two users in Linux 2.4 (the book, section 7.1).

mod module;
mod swap_map;

use pagemark::machine::Machine;

use crate::harness::run::Run;

/// Why a process does not run a case.
const ACCESSES_ITS_AREA: &str =
    "it accesses the area that it maps, and the CPU does not translate its address in a process";

pub(super) fn run(machine: &mut Machine, run: &mut Run) {
    swap_map::run(machine, run);
    module::run(machine, run);
}
