//! github-action-benchmark's history, `data.js`: `window.BENCHMARK_DATA = {"entries": {"suite": [{"date", "benches": […]}]}}`.
//!
//! The newest entry of each suite is read, its benches as [`super::smaller_is_better`] has them. Where there are several suites, a
//! suite's name stands before those of its benches. Older entries and commits are lost.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::smaller_is_better::Bench;
use super::{Format, Found, ImportError, json};

/// What the file begins with.
const ASSIGNMENT: &[u8] = b"window.BENCHMARK_DATA";

#[derive(Deserialize)]
struct Data {
    entries: BTreeMap<String, Vec<Run>>,
}

#[derive(Deserialize)]
struct Run {
    /// In milliseconds since 1970.
    #[serde(default)]
    date: f64,
    benches: Vec<Bench>,
}

/// Whether the variable is what it begins with.
pub fn is_one(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().starts_with(ASSIGNMENT)
}

/// The newest figures of a file.
pub(super) fn read(bytes: &[u8]) -> Result<Found, ImportError> {
    let Data { entries } = json::typed(Format::DataJs.name(), &object(bytes))?;
    let several = entries.len() > 1;
    let mut found = Found::default();
    for (suite, runs) in entries {
        let newest = runs.into_iter().max_by(|a, b| a.date.total_cmp(&b.date));
        let prefix = if several {
            format!("{suite}/")
        } else {
            String::new()
        };
        for bench in newest.into_iter().flat_map(|run| run.benches) {
            bench.find(&prefix, &mut found);
        }
    }
    Ok(found)
}

/// The JSON, each byte at its place: what makes it a script is blank.
fn object(bytes: &[u8]) -> Vec<u8> {
    let mut json = bytes.to_vec();
    let blank = |bytes: &mut [u8]| {
        for byte in bytes.iter_mut().filter(|byte| **byte != b'\n') {
            *byte = b' ';
        }
    };
    if is_one(bytes) {
        let start = json.iter().position(|&byte| byte == b'=');
        if let Some(start) = start {
            blank(&mut json[..=start]);
        }
    }
    let end = json.trim_ascii_end().len();
    if let Some(last) = json[..end].last_mut().filter(|last| **last == b';') {
        *last = b' ';
    }
    json
}
