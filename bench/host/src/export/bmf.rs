//! Bencher metric format: `{"case": {"measure": {"value": 1, "lower_value": …, "upper_value": …}}}`. [`crate::import::bmf`] reads it.

use serde_json::{Map, Value, json};

use crate::figures::Entry;

/// The slug of Bencher's measure for a unit.
pub fn measure(unit: &str) -> &str {
    match unit {
        "ns" => "latency",
        "insns" => "instructions",
        other => other,
    }
}

/// The unit of a measure: what [`measure`] was given, unless that was itself the slug of another.
pub fn unit(measure: &str) -> &str {
    match measure {
        "latency" => "ns",
        "instructions" => "insns",
        other => other,
    }
}

/// One object for each case.
pub fn write(figures: &[Entry]) -> String {
    let mut cases = Map::new();
    for entry in figures {
        let mut metric = Map::from_iter([("value".to_owned(), json!(entry.value))]);
        if let Some((low, high)) = entry.interval {
            metric.insert("lower_value".to_owned(), json!(low));
            metric.insert("upper_value".to_owned(), json!(high));
        }
        let case = cases.entry(entry.name.clone()).or_insert_with(|| json!({}));
        case[measure(&entry.unit)] = Value::Object(metric);
    }
    format!("{:#}\n", Value::Object(cases))
}
