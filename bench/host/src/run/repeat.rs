//! The same run again and again under icount, on every machine type, with one CPU and with four, on an idle host and on a busy
//! one: a figure that is exact is the same in all of them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Result, bail};
use clap::ValueEnum;

use super::{Accelerator, Boot, INTERRUPTED, MachineType, boot, judge};
use crate::log::Log;

/// CPUs of the machines.
const CPUS: [u32; 2] = [1, 4];

/// A run that did not come to the same figures as the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which run, counted from 1, and on what.
    pub run: String,
    /// What was different, a line each.
    pub figures: Vec<String>,
}

/// What came of all runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repeated {
    /// Runs that were made.
    pub runs: u32,
    /// Cases that each of them measured.
    pub cases: usize,
    /// Those whose figures were not those of the first.
    pub differences: Vec<Difference>,
}

/// Boots as `first` says, `runs` times, and holds each run's figures against the first's. Machine type and number of CPUs change from
/// run to run; in the second half every core of the host is busy. `observer` is called after each run.
pub fn repeat(first: &Boot, runs: u32, observer: &mut dyn FnMut(u32, &str)) -> Result<Repeated> {
    let mut repeated = Repeated::default();
    let mut expected: Option<Log> = None;
    let configurations: Vec<_> = MachineType::value_variants()
        .iter()
        .flat_map(|&machine| CPUS.map(|cpus| (machine, cpus)))
        .collect();
    let load = Load::default();
    thread::scope(|scope| {
        // Whatever way the scope is left, the busy threads end with it.
        let _stopped = load.guard();
        for run in 0..runs {
            if run == runs / 2 {
                load.start(scope);
            }
            let (machine, cpus) = configurations[run as usize % configurations.len()];
            let boot_now = Boot {
                accelerator: Accelerator::Icount,
                machine,
                cpus,
                ..first.clone()
            };
            let name = format!(
                "run {}, {machine:?} with {cpus} CPUs, {}",
                run + 1,
                if run < runs / 2 {
                    "host idle"
                } else {
                    "host busy"
                }
            );
            observer(run + 1, &name);
            let finished = boot(&boot_now)?;
            let outcome = judge(&finished);
            if INTERRUPTED.load(Ordering::Relaxed) {
                break;
            }
            let Some(log) = outcome.log().filter(|_| outcome.exit_status() == 0) else {
                let raw = String::from_utf8_lossy(&finished.raw);
                bail!("{name}: {outcome:?}\n{raw}");
            };
            repeated.runs = run + 1;
            match &expected {
                None => {
                    repeated.cases = log.results.len();
                    expected = Some(log.clone());
                }
                Some(expected) => {
                    let figures = differences(expected, log);
                    if !figures.is_empty() {
                        repeated.differences.push(Difference { run: name, figures });
                    }
                }
            }
        }
        Ok(())
    })?;
    Ok(repeated)
}

/// Every case whose result or reason to be skipped is not the same in both.
fn differences(expected: &Log, found: &Log) -> Vec<String> {
    let mut differences = Vec::new();
    for result in &expected.results {
        match found.results.iter().find(|other| other.case == result.case) {
            Some(other) if other == result => {}
            Some(other) => differences.push(format!(
                "{}: {} in the first run, {} now",
                result.case, result.rounds, other.rounds
            )),
            None => differences.push(format!("{}: not measured now", result.case)),
        }
    }
    let known = |case: &str| expected.results.iter().any(|result| result.case == case);
    let new = found.results.iter().filter(|result| !known(&result.case));
    differences.extend(new.map(|result| format!("{}: not measured in the first run", result.case)));
    if expected.skips != found.skips {
        differences.push("other cases were skipped".to_owned());
    }
    differences
}

/// A busy thread for each core of the host.
#[derive(Default)]
struct Load {
    stop: AtomicBool,
}

/// Ends a load.
struct Stop<'l>(&'l Load);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }
}

impl Load {
    fn guard(&self) -> Stop<'_> {
        Stop(self)
    }

    fn start<'scope>(&'scope self, scope: &'scope thread::Scope<'scope, '_>) {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                let mut sum = 0_u64;
                // Without a pause: it is there to take the core from others.
                while !self.stop.load(Ordering::Relaxed) {
                    sum = std::hint::black_box(sum.wrapping_add(1));
                }
            });
        }
    }
}
