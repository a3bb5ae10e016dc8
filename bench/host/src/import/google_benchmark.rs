//! The JSON of google-benchmark (`--benchmark_format=json`): a context, and the runs of benchmarks.
//!
//! - A figure is a benchmark's real time in the unit of its runs: the aggregate `median` where there is one, with as many samples as
//!   it has repetitions, or else the median of its iteration runs.
//! - `NaN` and `Infinity`, which google-benchmark writes and JSON does not have, are no figures. Runs that failed or were skipped
//!   become notes, and so do benchmarks of which there are other aggregates alone.
//! - CPU time, threads, the context, labels, other aggregates and counters are lost, save for the two that
//!   [`crate::export::google_benchmark`] gives a median's bounds in.

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;
use serde_json::Value;

use super::{Format, Found, ImportError, json};
use crate::figures::Entry;

#[derive(Deserialize)]
struct File {
    benchmarks: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    name: String,
    /// The name without that of the aggregate; older versions have none.
    run_name: Option<String>,
    run_type: Option<String>,
    aggregate_name: Option<String>,
    repetitions: Option<u64>,
    real_time: Option<f64>,
    #[serde(default = "ns")]
    time_unit: String,
    median_low: Option<f64>,
    median_high: Option<f64>,
    #[serde(default)]
    error_occurred: bool,
    error_message: Option<String>,
    #[serde(default)]
    skipped: bool,
    skip_message: Option<String>,
}

fn ns() -> String {
    "ns".to_owned()
}

impl Run {
    fn case(&self) -> &str {
        self.run_name.as_ref().unwrap_or(&self.name)
    }

    fn is_median(&self) -> bool {
        self.aggregate_name.as_deref() == Some("median")
    }

    /// Whether it sums up other runs; in older versions the aggregate's name alone says so.
    fn is_aggregate(&self) -> bool {
        self.aggregate_name.is_some() || self.run_type.as_deref() == Some("aggregate")
    }

    /// Why it has no figure.
    fn note(&self) -> Option<String> {
        let because = |message: &Option<String>| message.clone().unwrap_or_default();
        match (self.error_occurred, self.skipped, self.real_time) {
            (true, ..) => Some(format!(
                "{}: failed: {}",
                self.name,
                because(&self.error_message)
            )),
            (_, true, _) => Some(format!(
                "{}: skipped: {}",
                self.name,
                because(&self.skip_message)
            )),
            (_, _, None) => Some(format!("{}: has no `real_time`", self.name)),
            _ => None,
        }
    }
}

/// Whether that is an object with a list of benchmarks.
pub fn is_one(json: &Value) -> bool {
    json.get("benchmarks").is_some_and(Value::is_array)
}

/// The figures of a file.
pub(super) fn read(bytes: &[u8]) -> Result<Found, ImportError> {
    let File { benchmarks } = json::typed(Format::GoogleBenchmark.name(), bytes)?;
    let summed_up: HashSet<(String, String)> = benchmarks
        .iter()
        .filter(|run| run.is_median())
        .map(|run| (run.case().to_owned(), run.time_unit.clone()))
        .collect();
    let mut found = Found::default();
    let mut reported = HashSet::new();
    let mut others: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for run in benchmarks {
        let key = (run.case().to_owned(), run.time_unit.clone());
        let is_aggregate = run.is_aggregate();
        if is_aggregate && !run.is_median() {
            let name = run.aggregate_name;
            let name = name.unwrap_or_else(|| "(unnamed)".to_owned());
            others.entry(key.0).or_default().push(name);
            continue;
        }
        reported.insert(key.0.clone());
        match (run.note(), run.real_time) {
            // Its median has it, too.
            (None, Some(_)) if !is_aggregate && summed_up.contains(&key) => {}
            (None, Some(value)) => found.entries.push(Entry {
                interval: run.median_low.zip(run.median_high),
                samples: if is_aggregate {
                    run.repetitions
                } else {
                    Some(1)
                },
                ..Entry::new(key.0, key.1, value)
            }),
            (note, _) => found.notes.extend(note),
        }
    }
    others.retain(|case, _| !reported.contains(case));
    let without = |(case, names): (String, Vec<String>)| {
        let names = names.join(", ");
        format!("{case}: has neither a run nor a median, only the aggregates {names}")
    };
    found.notes.extend(others.into_iter().map(without));
    Ok(found)
}
