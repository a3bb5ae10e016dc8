//! github-action-benchmark's `customSmallerIsBetter`: an array of `{name, unit, value, range, extra}`.

use serde_json::{Value, json};

use crate::figures::Entry;

/// One object for each case; the range is half the interval of the median.
pub fn write(figures: &[Entry]) -> String {
    let benches = figures.iter().map(|entry| {
        let mut bench = json!({ "name": entry.name, "unit": entry.unit, "value": entry.value });
        if let Some((low, high)) = entry.interval {
            bench["range"] = json!(((high - low) / 2.0).to_string());
        }
        if let Some(samples) = entry.samples {
            bench["extra"] = json!(format!("{samples} samples"));
        }
        bench
    });
    format!("{:#}\n", Value::Array(benches.collect()))
}
