//! Flushes on several CPUs, by both protocols, and the interrupt that they are made with.
//!
//! On a clock that counts instructions a figure is the sum of what all CPUs execute until the operation is over, those that only
//! wait included: a measure of the code, not of a latency.

mod ipi;
mod latency;
pub mod pages;
mod responders;

use pagemark::machine::Machine;
use pagemark::mm::shootdown::{GlobalSlot, Mailboxes};
use pagemark::smp::tlbs::{GLOBAL_SLOT, mailboxes};

use crate::harness::run::{Run, Tier};

/// Needs another CPU.
const ALONE: &str = "only one CPU runs";

pub(super) fn run(machine: &mut Machine, run: &mut Run) {
    run.in_tier(Tier::Full, |run| {
        ipi::run(machine, run);
        latency::run::<GlobalSlot>(machine, run, &GLOBAL_SLOT);
        latency::run::<Mailboxes>(machine, run, mailboxes());
    });
}
