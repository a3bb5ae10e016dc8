//! github-action-benchmark's `customSmallerIsBetter`: an array of `{name, unit, value, range, extra}`.
//! [`crate::import::smaller_is_better`] reads it back.
//!
//! The range stands behind a `±` there, so it is half the interval of the median. The interval itself, which need not lie evenly
//! around the figure, is in the text that the action's charts show with a point.

use serde_json::{Value, json};

use crate::figures::Entry;

/// One object for each case.
pub fn write(figures: &[Entry]) -> String {
    let benches = figures.iter().map(|entry| {
        let mut bench = json!({ "name": entry.name, "unit": entry.unit, "value": entry.value });
        if let Some((low, high)) = entry.interval {
            bench["range"] = json!((high / 2.0 - low / 2.0).to_string());
        }
        let extra = extra(entry);
        if !extra.is_empty() {
            bench["extra"] = json!(extra);
        }
        bench
    });
    format!("{:#}\n", Value::Array(benches.collect()))
}

/// `100 samples, median from 5 to 7`, or as much of it as is known.
fn extra(entry: &Entry) -> String {
    let samples = entry.samples.map(|samples| format!("{samples} samples"));
    let interval = entry
        .interval
        .map(|(low, high)| format!("median from {low} to {high}"));
    let of = entry.of.map(|of| {
        let below = if of.below {
            "below its resolution of"
        } else {
            "resolution"
        };
        format!("{}, {below} {}", of.class, of.resolution)
    });
    let parts: Vec<String> = samples.into_iter().chain(interval).chain(of).collect();
    parts.join(", ")
}

/// The numbers in such a text.
pub fn of_extra(extra: &str) -> (Option<u64>, Option<(f64, f64)>) {
    let (mut samples, mut interval) = (None, None);
    for part in extra.split(", ") {
        if let Some(count) = part.strip_suffix(" samples") {
            samples = count.parse().ok();
        }
        let bounds = part.strip_prefix("median from ");
        if let Some((low, high)) = bounds.and_then(|bounds| bounds.split_once(" to ")) {
            interval = bound(low).zip(bound(high));
        }
    }
    (samples, interval)
}

fn bound(text: &str) -> Option<f64> {
    text.parse().ok().filter(|bound| f64::is_finite(*bound))
}
