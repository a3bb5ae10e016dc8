//! Bencher metric format: `{"case": {"measure": {"value": 1, "lower_value": …, "upper_value": …}}}`, as bencher.dev defines it.
//!
//! Its measures `latency` and `instructions` are nanoseconds and instructions by definition, and become `ns` and `insns`; other
//! measures keep their name. The interval is there where both bounds are. It has no numbers of samples, and no order: cases come
//! sorted by name.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{Format, ImportError, json};
use crate::export::bmf::unit;
use crate::figures::Entry;

#[derive(Deserialize)]
struct Metric {
    value: f64,
    lower_value: Option<f64>,
    upper_value: Option<f64>,
}

/// Whether that is an object of cases that are objects of measures that have values.
pub fn is_one(json: &Value) -> bool {
    each(json, |case| {
        each(case, |metric| metric.get("value").is_some())
    })
}

/// Whether `value` is an object, not an empty one, and each of its values is `accepted`.
fn each(value: &Value, accepted: fn(&Value) -> bool) -> bool {
    let object = value.as_object().filter(|object| !object.is_empty());
    object.is_some_and(|object| object.values().all(accepted))
}

/// The figures of a file.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Entry>, ImportError> {
    let cases: BTreeMap<String, BTreeMap<String, Metric>> = json::typed(Format::Bmf.name(), bytes)?;
    let entries = cases.into_iter().flat_map(|(case, measures)| {
        measures.into_iter().map(move |(measure, metric)| Entry {
            interval: metric.lower_value.zip(metric.upper_value),
            ..Entry::new(&case, unit(&measure), metric.value)
        })
    });
    Ok(entries.collect())
}
