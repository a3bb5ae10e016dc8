//! Figures that have left their log: what every format of other tools can hold, read from it or on the way to it.

use std::collections::HashMap;

use pagemark_record::{CaseResult, Class};

use crate::gate::ticks::median;
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
    /// What it is a figure of (`latency`, `throughput`, `single`) and what its case resolves, where known.
    pub of: Option<Kind>,
}

/// What a case's figure is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kind {
    /// Of what.
    pub class: Class,
    /// The smallest figure that differs from zero, in its unit.
    pub resolution: f64,
    /// The figure lies below that: what stands for it is the resolution.
    pub below: bool,
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
            of: None,
        }
    }
}

/// The figures of a log. For one that is not resolved the resolution stands, as other tools take numbers alone.
pub fn of_log(log: &Log) -> Vec<Entry> {
    let entries = log.results.iter().map(|result| {
        let figure_of = |figure| result.at_least_resolution(figure).as_f64();
        Entry {
            interval: Some((figure_of(result.interval[0]), figure_of(result.interval[1]))),
            samples: Some(result.samples),
            of: result
                .class
                .zip(result.resolution)
                .map(|(class, resolution)| Kind {
                    class,
                    resolution: resolution.as_f64(),
                    below: result.is_below_resolution(result.median),
                }),
            ..Entry::new(&result.case, result.unit.as_str(), figure_of(result.median))
        }
    });
    entries.collect()
}

/// The figures of a log in every unit it has them in: its clock's, and nanoseconds and what the core counted where the image knew them.
pub fn in_every_unit(log: &Log) -> Vec<Entry> {
    let mut entries = of_log(log);
    let resolved = |result: &&CaseResult<String>| !result.is_below_resolution(result.median);
    for result in log.results.iter().filter(resolved) {
        let counts = result.counts;
        let further = [
            ("ns", result.ns),
            ("cycles", result.cycles),
            ("instructions", counts.instructions),
            ("walks", counts.all_walks()),
            ("walk-cycles", counts.walk_cycles),
        ];
        entries.extend(further.into_iter().filter_map(|(unit, figure)| {
            Some(Entry {
                samples: Some(result.samples),
                ..Entry::new(&result.case, unit, figure?.as_f64())
            })
        }));
    }
    entries
}

/// One figure a name and unit, in the order in which they come first. Of several it is the median, behind which all their samples
/// stand; its bounds are not known then.
pub fn pool(entries: Vec<Entry>) -> Vec<Entry> {
    let mut places: HashMap<(String, String), usize> = HashMap::new();
    let mut groups: Vec<Vec<Entry>> = Vec::new();
    for entry in entries {
        let key = (entry.name.clone(), entry.unit.clone());
        let place = *places.entry(key).or_insert(groups.len());
        if place == groups.len() {
            groups.push(Vec::new());
        }
        groups[place].push(entry);
    }
    groups.into_iter().filter_map(middle).collect()
}

/// The median of figures of one name and unit.
fn middle(mut group: Vec<Entry>) -> Option<Entry> {
    if group.len() > 1 {
        let values: Vec<f64> = group.iter().map(|entry| entry.value).collect();
        let samples = group.iter().map(|entry| entry.samples);
        let samples = samples.reduce(|sum, samples| Some(sum?.saturating_add(samples?)));
        group.truncate(1);
        group[0].value = median(&values);
        group[0].interval = None;
        group[0].of = None;
        group[0].samples = samples.flatten();
    }
    group.pop()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_figures_of_one_name_and_unit_are_one() {
        let one = |value, samples| Entry {
            interval: Some((value, value)),
            samples,
            ..Entry::new("a", "ns", value)
        };
        let entries = vec![
            one(9.0, Some(1)),
            Entry::new("b", "ns", 4.0),
            one(1.0, Some(2)),
            Entry::new("a", "us", 5.0),
            one(2.0, Some(3)),
        ];
        let pooled = pool(entries.clone());
        let shown: Vec<_> = pooled
            .iter()
            .map(|entry| (entry.name.as_str(), entry.unit.as_str(), entry.value))
            .collect();
        assert_eq!(
            shown,
            [("a", "ns", 2.0), ("b", "ns", 4.0), ("a", "us", 5.0)]
        );
        assert_eq!((pooled[0].samples, pooled[0].interval), (Some(6), None));
        // Alone it stays what it is, and a number of samples that is not known makes the sum unknown.
        assert_eq!(pool(entries[..1].to_vec()), entries[..1]);
        assert_eq!(
            pool(vec![one(1.0, None), one(2.0, Some(1))])[0].samples,
            None
        );
    }
}
