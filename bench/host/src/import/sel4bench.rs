//! sel4bench's JSON: an array of `{"Benchmark": name, "Results": [row, …]}`, alone in a file or in a serial log between the lines
//! `JSON OUTPUT` and `END JSON OUTPUT`; and the history that sel4bench-results keeps, one object a line with a vector a metric.
//!
//! - A figure is a row's median, or its mean where the benchmark keeps nothing else (its other statistics are all 0 then). A row's name
//!   is that of the benchmark and of its columns: `Mapping Benchmark/Num of Page Mapped=1/Phase=map`.
//! - Of several iterations it is their median; all their samples stand behind it.
//! - The unit is `ccnt`, the counter that sel4bench reads: cycles of the core on ARM and RISC-V, ticks of the TSC on x86, and the file
//!   does not say which. A row of a performance counter counts that counter's `events`.
//! - Of a history the newest line is read, by its time.
//! - Quartiles, deviations and raw results are lost.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::json::Number;
use super::{Format, Found, ImportError, json, text_lines};
use crate::figures::Entry;

/// What stands before the JSON in a serial log; in some versions with `BEGIN` before it.
const START: &str = "JSON OUTPUT";
/// What stands behind it, in the same line as its last bracket.
const END: &str = "END JSON OUTPUT";
/// The unit of times.
const COUNTER: &str = "ccnt";
/// The column of a row of a performance counter, and the one of them that counts time.
const EVENT: &str = "Event";
const CYCLE_COUNTER: &str = "Cycle counter";
/// The keys of a history's line that are no metrics, and that identify it.
const TIME: &str = "ts";
const KERNEL: &str = "sha_kernel";

#[derive(Deserialize)]
struct Benchmark {
    #[serde(rename = "Benchmark")]
    name: String,
    #[serde(rename = "Results")]
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    #[serde(rename = "Min")]
    min: Number,
    #[serde(rename = "Max")]
    max: Number,
    #[serde(rename = "Mean")]
    mean: Number,
    #[serde(rename = "Median")]
    median: Number,
    #[serde(rename = "Samples")]
    samples: u64,
    /// The columns that make it another row, and statistics that are not used.
    #[serde(flatten)]
    columns: BTreeMap<String, Value>,
}

/// Statistics that are among a row's columns.
const STATISTICS: [&str; 6] = [
    "Stddev",
    "Variance",
    "Mode",
    "1st quantile",
    "3rd quantile",
    "Raw results",
];

/// Whether that is an array of benchmarks.
pub fn is_array(json: &Value) -> bool {
    let benchmarks = json.as_array().filter(|benchmarks| !benchmarks.is_empty());
    let is_benchmark = |it: &Value| {
        it.get("Benchmark").is_some() && it.get("Results").is_some_and(Value::is_array)
    };
    benchmarks.is_some_and(|benchmarks| benchmarks.iter().all(is_benchmark))
}

/// Whether the lines are there between which the array stands, or a history's.
pub fn is_one(bytes: &[u8]) -> bool {
    is_history(bytes) || text_lines(bytes).any(|(_, text)| starts(&text))
}

fn starts(text: &str) -> bool {
    let text = text.trim();
    text.strip_prefix("BEGIN ").unwrap_or(text) == START
}

/// Whether the first line is an object with a time and a kernel.
fn is_history(bytes: &[u8]) -> bool {
    let first = text_lines(bytes).find(|(_, text)| !text.trim().is_empty());
    let object = first.and_then(|(_, text)| json::value(text.as_bytes()));
    object.is_some_and(|object| object.get(TIME).is_some() && object.get(KERNEL).is_some())
}

/// The figures of a file.
pub(super) fn read(bytes: &[u8]) -> Result<Found, ImportError> {
    if is_history(bytes) {
        return history(bytes);
    }
    let benchmarks: Vec<Benchmark> = json::typed(Format::Sel4bench.name(), &array(bytes))?;
    let mut found = Found::default();
    for Benchmark { name, rows } in benchmarks {
        rows.into_iter().for_each(|row| row.find(&name, &mut found));
    }
    Ok(found)
}

impl Row {
    fn find(self, benchmark: &str, found: &mut Found) {
        let columns = self.columns.iter();
        let columns = columns.filter(|(key, _)| !STATISTICS.contains(&key.as_str()));
        let name = columns.fold(benchmark.to_owned(), |name, (key, value)| match value {
            Value::String(text) => format!("{name}/{key}={text}"),
            value => format!("{name}/{key}={value}"),
        });
        let unit = match self.columns.get(EVENT) {
            Some(event) if event != CYCLE_COUNTER => "events",
            _ => COUNTER,
        };
        let middle = middle(self.min.0, self.median.0, self.mean.0, self.max.0);
        match middle {
            Some(value) => found.entries.push(Entry {
                samples: Some(self.samples),
                ..Entry::new(name, unit, value)
            }),
            None => found.notes.push(format!("{name}: has no mean")),
        }
    }
}

/// The median; the mean where only that was kept.
fn middle(
    min: Option<f64>,
    median: Option<f64>,
    mean: Option<f64>,
    max: Option<f64>,
) -> Option<f64> {
    let nothing_else = [min, median, max] == [Some(0.0); 3];
    if nothing_else { mean } else { median.or(mean) }
}

/// The array of a serial log, on the lines where it stands there; what is no such log as it is.
fn array(bytes: &[u8]) -> Vec<u8> {
    let (mut array, mut inside, mut found) = (String::new(), false, false);
    for (_, text) in text_lines(bytes) {
        if inside {
            let end = text.find(END);
            array += &text[..end.unwrap_or(text.len())];
            inside = end.is_none();
        } else if !found {
            inside = starts(&text);
            found = inside;
        }
        array.push('\n');
    }
    if inside {
        // Cut off: there is no line behind the last.
        array.pop();
    }
    if found {
        array.into_bytes()
    } else {
        bytes.to_vec()
    }
}

/// One line of a history.
#[derive(Deserialize)]
struct Line {
    ts: String,
    #[serde(flatten)]
    metrics: BTreeMap<String, Value>,
}

/// The figures of a history's newest line.
fn history(bytes: &[u8]) -> Result<Found, ImportError> {
    let mut newest: Option<Line> = None;
    for (number, text) in text_lines(bytes) {
        if text.trim().is_empty() {
            continue;
        }
        let line: Line = match json::typed(Format::Sel4bench.name(), text.as_bytes()) {
            Ok(line) => line,
            // Again, behind as many lines as stand before it: the error names its place in the file then.
            Err(_) => {
                let at_its_place = "\n".repeat(number - 1) + &text;
                json::typed(Format::Sel4bench.name(), at_its_place.as_bytes())?
            }
        };
        // All times are UTC, written in one way.
        if newest.as_ref().is_none_or(|newest| newest.ts < line.ts) {
            newest = Some(line);
        }
    }
    let mut found = Found::default();
    for (metric, value) in newest.into_iter().flat_map(|line| line.metrics) {
        let Value::Array(parts) = &value else {
            continue;
        };
        let single = parts.first().is_some_and(Value::is_number);
        let vectors = if single {
            std::slice::from_ref(&value)
        } else {
            parts
        };
        for vector in vectors {
            match of_vector(vector) {
                Some((value, samples)) => found.entries.push(Entry {
                    samples: Some(samples),
                    ..Entry::new(&metric, COUNTER, value)
                }),
                None => found
                    .notes
                    .push(format!("{metric}: {vector} is no vector of its statistics")),
            }
        }
    }
    Ok(found)
}

/// `[min, q1, median, mean, q3, max, stddev, n]`.
fn of_vector(vector: &Value) -> Option<(f64, u64)> {
    let [min, _, median, mean, _, max, _, samples] = vector.as_array()?.as_slice() else {
        return None;
    };
    let [min, median, mean, max] = [min, median, mean, max].map(Value::as_f64);
    Some((middle(min, median, mean, max)?, samples.as_u64()?))
}
