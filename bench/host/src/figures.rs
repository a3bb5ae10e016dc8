//! Figures that have left their log: what every format of other tools can hold, read from it or on the way to it.

use crate::log::Log;

/// One case's figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The case.
    pub name: String,
    /// The unit: `insns`, `ticks`, `ns`, ….
    pub unit: String,
    /// The figure; of a log the median.
    pub value: f64,
    /// The bounds of the median, where known.
    pub interval: Option<(f64, f64)>,
    /// Samples behind it, where known.
    pub samples: Option<u64>,
}

impl Entry {
    /// A figure of which nothing more is known.
    pub fn new(name: impl Into<String>, unit: impl Into<String>, value: f64) -> Self {
        Self {
            name: name.into(),
            unit: unit.into(),
            value,
            interval: None,
            samples: None,
        }
    }
}

/// The figures of a log.
pub fn of_log(log: &Log) -> Vec<Entry> {
    let entries = log.results.iter().map(|result| Entry {
        interval: Some((result.interval[0].as_f64(), result.interval[1].as_f64())),
        samples: Some(result.samples),
        ..Entry::new(&result.case, result.unit.as_str(), result.median.as_f64())
    });
    entries.collect()
}
