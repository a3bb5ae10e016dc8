//! What is measured: one file per hot path. Knows no statistics.
//!
//! Names: the hot path, the operation, then parameters as `key=value`. They are part of the log's format: a renamed case is
//! a new case to every reader.

mod access;
#[cfg(target_os = "none")]
pub mod address_space;
#[cfg(target_os = "none")]
mod assist;
mod buddy;
mod contended;
mod contents;
mod control;
mod direct_map;
#[cfg(target_os = "none")]
mod entry;
#[cfg(target_os = "none")]
mod fault;
mod fixmap;
mod kmap;
mod page_table;
#[cfg(feature = "peers")]
mod peers;
pub mod proof;
#[cfg(target_os = "none")]
pub mod shootdown;
#[cfg(target_os = "none")]
mod test_vmalloc;
#[cfg(target_os = "none")]
mod tlb;
mod uses;
mod vmalloc;
#[cfg(not(target_os = "none"))]
mod without_ring_0;

#[cfg(target_os = "none")]
pub use tlb::record_crossovers;
#[cfg(not(target_os = "none"))]
use without_ring_0::{address_space, assist, entry, fault, shootdown, test_vmalloc, tlb};

use pagemark::machine::Machine;

use crate::checks::tables;
use crate::harness::run::Run;

/// Cases that stand together in the log. Each group leaves the machine as it found it.
type Group = (&'static str, fn(&mut Machine, &mut Run));

const GROUPS: &[Group] = &[
    ("control", |_, run| control::run(run)),
    ("tlb", tlb::run),
    ("fault", fault::run),
    ("entry", entry::run),
    ("assist", assist::run),
    ("access", access::run),
    ("page_table", page_table::run),
    ("buddy", buddy::run),
    ("vmalloc", vmalloc::run),
    ("uses", uses::run),
    ("test_vmalloc", test_vmalloc::run),
    ("kmap", kmap::run),
    ("fixmap", fixmap::run),
    ("direct_map", direct_map::run),
    ("address_space", address_space::run),
    ("shootdown", shootdown::run),
    ("contended", contended::run),
    ("contents", contents::run),
    #[cfg(feature = "peers")]
    ("peers", peers::run),
];

/// Runs every case that the run wants. Not inlined: a test counts the cases' code by their symbols, apart from the image's own. A group that loses a table, or gives one back with an entry in it, fails the run.
#[inline(never)]
pub fn run(machine: &mut Machine, run: &mut Run) {
    let mut groups: [Group; GROUPS.len()] = core::array::from_fn(|place| GROUPS[place]);
    run.order(&mut groups);
    let elsewhere = machine.kernel.tables_elsewhere();
    for (name, group) in groups {
        group(machine, run);
        let tables = tables::cached_are_zero(machine)
            .and_then(|()| tables::all_returned(machine, elsewhere));
        if tables.is_err() {
            run.check(format_args!("tables/after/{name}"), tables);
        }
    }
}
