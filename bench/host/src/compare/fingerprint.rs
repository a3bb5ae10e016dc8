//! What must be alike for figures to mean the same: the suite, and the machine as its log describes it.
//!
//! Most of it is equal or not. The rate of the time-stamp counter is measured on many machines, and moves by some millionths from boot
//! to boot: two rates are alike where two sources of one boot would be ([`AGREEMENT_PPM`]), which is far less than the rates that CPUs
//! are sold with lie apart. Ticks alone hang on it: of a clock that counts instructions it is no part.

use std::collections::{BTreeMap, BTreeSet};

use pagemark_record::Clock;
use pagemark_verdict::AGREEMENT_PPM;

use crate::log::Log;
use crate::style::thousands;

/// Tags of an environment that describe what happened in a run, not what machine it is.
const PASSING: [&str; 13] = [
    "frequency",
    "frequency_disagrees",
    "frequency_unconfirmed",
    "frequency_unknown",
    "machine_check",
    "migrated",
    "nmi",
    "nops_disagree",
    "overhead_varies",
    "preempted",
    "smi",
    "steal",
    "walks_do_not_fit",
];
/// What stands for a part that there is none of.
const NONE: &str = "none";
/// What stands for a part that a side does not name.
const UNTOLD: &str = "-";

/// A suite and a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint {
    /// What must be equal, by name.
    pub parts: BTreeMap<String, String>,
    /// Ticks a second, where the figures are ticks and their rate is known.
    pub tsc_hz: Option<u64>,
}

impl Fingerprint {
    /// That of `log`.
    pub fn of(log: &Log) -> Self {
        let mut parts = vec![("suite", log.start.suite.clone())];
        if let Some(machine) = &log.machine {
            let number = |family, model, stepping| format!("{family}/{model}/{stepping}");
            parts.extend([
                ("clock", machine.clock.to_string()),
                ("CPU", machine.cpu.clone()),
                (
                    "family/model/stepping",
                    number(machine.family, machine.model, machine.stepping),
                ),
                ("hypervisor", machine.hypervisor.clone().unwrap_or_default()),
                ("CPUs", machine.cpus.to_string()),
                ("bytes of RAM", thousands(machine.ram_bytes)),
                ("layout", machine.layout.clone()),
                ("loader", machine.loader.clone()),
                // Which way a path takes. QEMU's names of its machine and CPU model are no part: they say no more about the figures.
                ("features", machine.features.clone()),
            ]);
        }
        if let Some(found) = &log.environment {
            let tags = found.tags.split_whitespace();
            let tags: Vec<&str> = tags.filter(|tag| !PASSING.contains(tag)).collect();
            let microcode = found.microcode.map(|revision| format!("{:#x}", revision.0));
            parts.extend([
                ("microcode", microcode.unwrap_or_default()),
                ("tags", tags.join(" ")),
            ]);
        }
        // A baseline file has no line for nothing.
        let shown = |value: &str| match value.trim() {
            "" => NONE.to_owned(),
            value => value.to_owned(),
        };
        Self {
            parts: parts
                .into_iter()
                .map(|(what, value)| (what.to_owned(), shown(&value)))
                .collect(),
            tsc_hz: tsc_hz(log),
        }
    }

    /// The parts that `new` has otherwise, in words. What one side does not name is not like what the other does.
    pub fn unlike(&self, new: &Self) -> Vec<String> {
        let keys: BTreeSet<&String> = self.parts.keys().chain(new.parts.keys()).collect();
        let value = |side: &Self, key| {
            side.parts
                .get(key)
                .map_or(UNTOLD, String::as_str)
                .to_owned()
        };
        let mut unlike: Vec<String> = keys
            .into_iter()
            .map(|key| (key, value(self, key), value(new, key)))
            .filter(|(_, before, after)| before != after)
            .map(|(key, before, after)| format!("{key}: {before} | {after}"))
            .collect();
        let alike = match (self.tsc_hz, new.tsc_hz) {
            (Some(before), Some(after)) => agree(before, after),
            (before, after) => before == after,
        };
        if !alike {
            let shown = |hertz: Option<u64>| hertz.map_or_else(|| UNTOLD.to_owned(), thousands);
            let [before, after] = [self.tsc_hz, new.tsc_hz].map(shown);
            unlike.push(format!("TSC in Hz: {before} | {after}"));
        }
        unlike
    }
}

/// The rate that the ticks of `log` have, as its sources agree on it; none where figures are no ticks of hardware.
fn tsc_hz(log: &Log) -> Option<u64> {
    let machine = log.machine.as_ref()?;
    machine.tsc_hz.filter(|_| machine.clock == Clock::Tsc)
}

/// Whether two rates in hertz are those of one machine.
fn agree(one: u64, other: u64) -> bool {
    let apart = u128::from(one.abs_diff(other)) * 1_000_000;
    apart <= u128::from(AGREEMENT_PPM) * u128::from(one.max(other))
}
