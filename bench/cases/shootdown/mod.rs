//! Flushes on several CPUs, by both protocols, and the interrupt that they are made with.
//!
//! On a clock that counts instructions a figure is the sum of what all CPUs execute until the operation is over, those that only
//! wait included: a measure of the code, not of a latency.

mod ipi;
mod latency;
pub mod pages;
mod responders;
mod selection;
mod sibling;

use pagemark::machine::Machine;
use pagemark::mm::shootdown::{GlobalSlot, Mailboxes};
use pagemark::smp::tlbs::{GLOBAL_SLOT, mailboxes};

use self::selection::Selections;
use crate::harness::run::{Run, Tier};

/// Needs another CPU.
const ALONE: &str = "only one CPU runs";

pub(super) fn run(machine: &mut Machine, run: &mut Run) {
    run.in_tier(Tier::Full, |run| {
        if !["ipi", "shootdown", "sibling"]
            .iter()
            .any(|group| run.would_some(group))
        {
            return;
        }
        let selections = Selections::new(machine);
        selections.note(machine, run);
        ipi::run(machine, run, &selections);
        sibling::run(machine, run, &selections);
        latency::run::<GlobalSlot>(machine, run, &GLOBAL_SLOT, &selections);
        latency::run::<Mailboxes>(machine, run, mailboxes(), &selections);
    });
}
