//! The TLB: what it costs to drop translations, to fill them in again, and to change between address spaces.
//!
//! - `operations`: the bare instructions: no policy, no loop
//! - `policy`: a flush through the policy, as the memory system makes it
//! - `refill`: a flush and what it takes to fill the TLB in again
//! - `beside`: a flush beside a working set that is used afterwards, and from how many pages on everything should be flushed
//! - `switch`: changes of the address space, with PCIDs and without
//! - `staleness`: whether this machine's TLB is known to keep what was not flushed

mod beside;
mod operations;
mod policy;
mod refill;
mod staleness;
mod switch;

use pagemark::machine::Machine;

use crate::harness::run::Run;

pub use beside::record_crossovers;

pub(super) fn run(machine: &mut Machine, run: &mut Run) {
    operations::run(machine, run);
    policy::run(machine, run);
    refill::run(machine, run);
    beside::run(machine, run);
    switch::run(machine, run);
}
