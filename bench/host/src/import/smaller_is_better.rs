//! github-action-benchmark's `customSmallerIsBetter` and `customBiggerIsBetter`: an array of `{name, unit, value, range, extra}`.
//!
//! - A value may be text, as the action has it. One that is no number becomes a note.
//! - `ns/iter` and `ns/op` are `ns`, and so with other units of time.
//! - The range is taken for the distance of both bounds from the value: `± 5`, `5`, `±1.5%`. Of an array that
//!   [`crate::export::smaller_is_better`] wrote the text behind it has the bounds themselves, and the number of samples.
//! - Which direction is better is lost, and any other text.

use serde::Deserialize;
use serde_json::Value;

use super::json::Number;
use super::{Format, Found, ImportError, json, of_one};
use crate::export::smaller_is_better::of_extra;
use crate::figures::Entry;

/// One benchmark's figure.
#[derive(Deserialize)]
pub(super) struct Bench {
    name: String,
    #[serde(default)]
    unit: String,
    value: Number,
    range: Option<String>,
    extra: Option<String>,
}

/// Whether that is an array of objects with a name and a value.
pub fn is_one(json: &Value) -> bool {
    let benches = json.as_array().filter(|benches| !benches.is_empty());
    let is_bench = |bench: &Value| bench.get("name").is_some() && bench.get("value").is_some();
    benches.is_some_and(|benches| benches.iter().all(is_bench))
}

/// The figures of a file.
pub(super) fn read(bytes: &[u8]) -> Result<Found, ImportError> {
    let benches: Vec<Bench> = json::typed(Format::SmallerIsBetter.name(), bytes)?;
    let mut found = Found::default();
    benches
        .into_iter()
        .for_each(|bench| bench.find("", &mut found));
    Ok(found)
}

impl Bench {
    /// Adds its figure, or a note; `prefix` stands before its name.
    pub(super) fn find(self, prefix: &str, found: &mut Found) {
        let name = format!("{prefix}{}", self.name);
        let Number(Some(value)) = self.value else {
            return found.notes.push(format!("{name}: has no value"));
        };
        let (samples, interval) = self.extra.as_deref().map(of_extra).unwrap_or_default();
        let distance = self.range.and_then(|range| distance(&range, value));
        found.entries.push(Entry {
            interval: interval.or(distance.map(|far| (value - far, value + far))),
            samples,
            ..Entry::new(name, of_one(&self.unit), value)
        });
    }
}

/// How far the bounds are from `value`, by a range such as `± 5`, `+-5` or `±1.5%`.
fn distance(range: &str, value: f64) -> Option<f64> {
    let number = range.trim().trim_start_matches(['±', '+', '-']).trim();
    let far = match number.strip_suffix('%') {
        Some(share) => share.trim_end().parse::<f64>().ok()? * value.abs() / 100.0,
        None => number.parse().ok()?,
    };
    far.is_finite().then_some(far)
}
