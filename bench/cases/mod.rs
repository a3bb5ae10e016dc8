//! What is measured: one file per hot path. Knows no statistics.
//!
//! Names: the hot path, the operation, then parameters as `key=value`. They are part of the log's format: a renamed case is
//! a new case to every reader.

mod access;
pub mod address_space;
mod buddy;
mod contended;
mod control;
mod direct_map;
mod fault;
mod fixmap;
mod kmap;
mod page_table;
#[cfg(feature = "peers")]
mod peers;
pub mod proof;
pub mod shootdown;
mod test_vmalloc;
mod tlb;
mod uses;
mod vmalloc;

pub use tlb::tell_crossover;

use pagemark::machine::Machine;

use crate::harness::run::Run;

/// Cases that stand together in the log. Each group leaves the machine as it found it.
type Group = fn(&mut Machine, &mut Run);

const GROUPS: &[Group] = &[
    |_, run| control::run(run),
    tlb::run,
    fault::run,
    access::run,
    page_table::run,
    buddy::run,
    vmalloc::run,
    uses::run,
    test_vmalloc::run,
    kmap::run,
    fixmap::run,
    direct_map::run,
    address_space::run,
    shootdown::run,
    contended::run,
    #[cfg(feature = "peers")]
    peers::run,
];

/// Runs every case that the run wants.
pub fn run(machine: &mut Machine, run: &mut Run) {
    let mut groups: [Group; GROUPS.len()] = core::array::from_fn(|place| GROUPS[place]);
    run.order(&mut groups);
    for group in groups {
        group(machine, run);
    }
}
