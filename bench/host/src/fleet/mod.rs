//! Many machines side by side: what each case costs on each, from the logs of any number of boots.
//!
//! - a machine is what logs have in common but for the suite ([`Fingerprint`]); its name is the `machine=` of its command lines, else
//!   the folder that its logs lie in, else its CPU;
//! - its figure of a case is the median of its boots' medians, with bounds of 95 % by order statistics;
//! - [`text`] writes tables; [`site`] a folder of pages that need neither network nor server.

pub mod site;
#[cfg(test)]
mod tests;
pub mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use pagemark_record::{Crossover, Translations};
use serde::Serialize;

use crate::compare::Fingerprint;
use crate::gate::ticks::median;
use crate::glob::Globs;
use crate::history::trace::{Trace, traces};
use crate::history::{self, Change, History};
use crate::log::{Log, printable};

/// Values of `machine=` that name no machine, but a type: those that `pagemark run` says.
pub const MACHINE_TYPES: [&str; 3] = ["q35", "pc", "microvm"];

/// Cases of a machine whose history is plotted, at most.
const TRACES: usize = 12;

/// What figures are in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Unit {
    /// What the clock counts: ticks, or instructions
    #[default]
    Clock,
    /// Nanoseconds, where the clock's rate is known
    Ns,
    /// Core cycles, where the CPU counts them
    Cycles,
}

/// All machines.
#[derive(Clone, Debug, Serialize)]
pub struct Fleet {
    /// What the figures are in.
    pub unit: String,
    /// The machines, by name.
    pub machines: Vec<Machine>,
    /// The cases that any of them has, in the order of the logs.
    pub cases: Vec<String>,
    /// Figures, by case, then by machine in their order; none where a machine has not measured it.
    pub figures: Vec<Vec<Option<Cell>>>,
}

/// One machine.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Its name, unlike all others'.
    pub name: String,
    /// Its CPU.
    pub cpu: String,
    /// What its clock counts.
    pub clock: String,
    /// Its boots.
    pub boots: usize,
    /// The dates of the first and the last of them.
    pub dates: [String; 2],
    /// The newest revision.
    pub revision: String,
    /// The newest log.
    pub newest: String,
    /// From how many pages on flushing everything is the cheaper way, in the newest log: of a kernel's translations, beside a working
    /// set of 512.
    pub crossover: Option<u64>,
    /// How far boots lie apart: the median over cases of the range of their figures, as a share of the figure.
    pub spread: f64,
    /// The changes over its logs.
    pub changes: Vec<Change>,
    /// The figures of the cases that changed most, for plots.
    #[serde(skip)]
    pub traces: Vec<Trace>,
}

/// A machine's figure of a case.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Cell {
    /// The median of the boots' medians.
    pub median: f64,
    /// Its bounds, with 95 %; of fewer than 6 boots the least and the most.
    pub interval: [f64; 2],
    /// How many boots measured it.
    pub boots: usize,
}

impl Cell {
    /// Of figures that are not empty.
    fn of(figures: &[f64]) -> Self {
        let mut sorted = figures.to_vec();
        sorted.sort_by(f64::total_cmp);
        let outside = outside(sorted.len());
        Self {
            median: median(figures),
            interval: [sorted[outside], sorted[sorted.len() - 1 - outside]],
            boots: sorted.len(),
        }
    }
}

/// How many figures at either end lie outside an interval of the median that holds with 95 % or more; 0 for few figures.
fn outside(figures: usize) -> usize {
    let (mut below, mut term, mut outside) = (0.0, 0.5_f64.powi(figures.min(1000) as i32), 0);
    for k in 0..figures / 2 {
        below += term;
        if 2.0 * below > 0.05 {
            break;
        }
        outside = k;
        term *= (figures - k) as f64 / (k + 1) as f64;
    }
    outside.min(figures.saturating_sub(1) / 2)
}

/// The machines that the logs are of, by name, each with its logs from the oldest on.
fn machines_of(logs: &[Log]) -> Vec<(Machine, Vec<&Log>)> {
    let mut groups: Vec<(Fingerprint, Vec<&Log>)> = Vec::new();
    for log in logs {
        let mut found = Fingerprint::of(log);
        found.parts.remove("suite");
        match groups
            .iter_mut()
            .find(|(known, _)| known.unlike(&found).is_empty())
        {
            Some((_, logs)) => logs.push(log),
            None => groups.push((found, vec![log])),
        }
    }
    let mut machines: Vec<(Machine, Vec<&Log>)> = Vec::new();
    let mut names = BTreeSet::new();
    for (_, mut logs) in groups {
        logs.sort_by_key(|log| {
            (
                log.origin.date.map(|date| date.time),
                log.origin.path.clone(),
                log.origin.run,
            )
        });
        let plain = name(&logs);
        let mut number = 1;
        let mut unique = plain.clone();
        while !names.insert(unique.clone()) {
            number += 1;
            unique = format!("{plain} ({number})");
        }
        machines.push((machine(unique, &logs), logs));
    }
    machines.sort_by(|a, b| a.0.name.cmp(&b.0.name));
    machines
}

/// The median range of a case's figures, as a part of their median; 0 for a machine with one log.
fn spread(cases: &BTreeMap<&str, Vec<f64>>) -> f64 {
    let ranges: Vec<f64> = cases
        .values()
        .filter(|figures| figures.len() > 1 && median(figures) > 0.0)
        .map(|figures| {
            let most = figures.iter().copied().fold(f64::MIN, f64::max);
            let least = figures.iter().copied().fold(f64::MAX, f64::min);
            (most - least) / median(figures)
        })
        .collect();
    if ranges.is_empty() {
        0.0
    } else {
        median(&ranges)
    }
}

impl Fleet {
    /// The machines that `logs` are of, with the cases that `only` admits.
    pub fn new(logs: &[Log], only: &Globs, unit: Unit) -> Self {
        let machines = machines_of(logs);
        let mut cases: Vec<String> = Vec::new();
        let mut known = BTreeSet::new();
        for result in logs.iter().flat_map(|log| &log.results) {
            if only.admit(&result.case) && known.insert(result.case.clone()) {
                cases.push(result.case.clone());
            }
        }
        let by_machine: Vec<BTreeMap<&str, Vec<f64>>> = machines
            .iter()
            .map(|(_, logs)| figures(logs, unit))
            .collect();
        let figures: Vec<Vec<Option<Cell>>> = cases
            .iter()
            .map(|case| {
                by_machine
                    .iter()
                    .map(|of| of.get(case.as_str()).map(|figures| Cell::of(figures)))
                    .collect()
            })
            .collect();
        let mut machines: Vec<Machine> = machines.into_iter().map(|(machine, _)| machine).collect();
        for (at, machine) in machines.iter_mut().enumerate() {
            machine.spread = spread(&by_machine[at]);
        }
        let clocks: BTreeSet<&str> = machines
            .iter()
            .map(|machine| machine.clock.as_str())
            .collect();
        let unit = match unit {
            Unit::Clock if clocks.len() == 1 && clocks.contains("icount") => "instructions",
            Unit::Clock => "ticks",
            Unit::Ns => "ns",
            Unit::Cycles => "cycles",
        };
        Self {
            unit: unit.to_owned(),
            machines,
            cases,
            figures,
        }
    }

    /// Whether instructions and ticks would stand in one row.
    pub fn mixes_clocks(&self) -> bool {
        let counted = self
            .machines
            .iter()
            .filter(|machine| machine.clock == "icount")
            .count();
        counted > 0 && counted < self.machines.len()
    }

    /// What the clock of its machines counts, whatever the table is in.
    pub fn clock_unit(&self) -> &'static str {
        match self.machines.first() {
            Some(machine) if machine.clock == "icount" => "instructions",
            _ => "ticks",
        }
    }

    /// The place of the machine of that name.
    pub fn place(&self, name: &str) -> Option<usize> {
        self.machines
            .iter()
            .position(|machine| machine.name == name)
    }
}

fn figures<'a>(logs: &[&'a Log], unit: Unit) -> BTreeMap<&'a str, Vec<f64>> {
    let mut figures: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for result in logs.iter().flat_map(|log| &log.results) {
        let figure = match unit {
            Unit::Clock => Some(result.median),
            Unit::Ns => result.ns,
            Unit::Cycles => result.cycles,
        };
        if let Some(figure) = figure {
            figures
                .entry(&result.case)
                .or_default()
                .push(figure.as_f64());
        }
    }
    figures
}

/// What the machine of these logs is called.
fn name(logs: &[&Log]) -> String {
    let folder = || {
        let folders: BTreeSet<_> = logs.iter().map(|log| log.origin.path.parent()).collect();
        match folders.into_iter().collect::<Vec<_>>()[..] {
            [Some(folder)] => folder
                .file_name()
                .map(|name| printable::path(Path::new(name))),
            _ => None,
        }
    };
    let newest = logs[logs.len() - 1];
    let name = newest
        .word("machine")
        .filter(|name| !MACHINE_TYPES.contains(name));
    name.map(str::to_owned)
        .or_else(folder)
        .or_else(|| newest.machine.as_ref().map(|machine| machine.cpu.clone()))
        .unwrap_or_else(|| "unknown".to_owned())
}

fn machine(name: String, logs: &[&Log]) -> Machine {
    let (first, newest) = (logs[0], logs[logs.len() - 1]);
    let found = newest.machine.as_ref();
    let history = History {
        machine: name.clone(),
        points: logs.iter().map(|&log| log.into()).collect(),
    };
    let changes = history::changes(&history);
    Machine {
        traces: traces(&history, &changes, TRACES),
        name,
        cpu: found.map_or_else(String::new, |machine| machine.cpu.trim().to_owned()),
        clock: found.map_or_else(String::new, |machine| machine.clock.to_string()),
        boots: logs.len(),
        dates: [first, newest].map(|log| log.origin.date_shown()),
        revision: newest.start.revision.clone(),
        newest: newest.origin.name(),
        crossover: crossover(newest),
        spread: 0.0,
        changes,
    }
}

/// The crossover that stands for a log: that of a kernel's translations beside 512 live ones, of one of version 2 the only one.
fn crossover(log: &Log) -> Option<u64> {
    const WORKING_SET: u64 = 512;
    let stands = |found: &&Crossover| match found.working_set {
        Some(live) => live == WORKING_SET && found.translations == Some(Translations::Kernel),
        None => true,
    };
    log.crossovers.iter().find(stands)?.pages
}
