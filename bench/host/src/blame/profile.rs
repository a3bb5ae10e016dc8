//! Counted instructions, by function, and what two such counts differ by.

use std::collections::{BTreeMap, BTreeSet};

use crate::style::number;

/// The least change in an operation that is reported, in instructions: a mean over operations that differ is no whole number.
const LEAST: f64 = 0.001;

/// Instructions executed in the samples of a case.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    /// Operations in those samples.
    pub operations: u64,
    /// Instructions of each function, the bracket's own among them.
    pub functions: BTreeMap<String, u64>,
}

impl Profile {
    /// Of instructions by their addresses, whose functions `name` gives.
    pub fn new(
        operations: u64,
        addresses: &BTreeMap<u64, u64>,
        name: impl Fn(u64) -> Option<String>,
    ) -> Self {
        let mut functions = BTreeMap::new();
        for (&address, count) in addresses {
            let name = name(address).unwrap_or_else(|| "?".to_owned());
            *functions.entry(name).or_default() += count;
        }
        Self {
            operations,
            functions,
        }
    }

    /// What a function has in an operation.
    fn share(&self, function: &str) -> f64 {
        let count = self.functions.get(function).copied().unwrap_or(0);
        count as f64 / self.operations.max(1) as f64
    }
}

/// The functions whose instructions in an operation changed, the largest change first: `name +1`.
pub fn differences(base: &Profile, new: &Profile) -> Vec<String> {
    let names: BTreeSet<&String> = base.functions.keys().chain(new.functions.keys()).collect();
    let mut changed: Vec<(f64, &str)> = names
        .into_iter()
        .map(|name| (new.share(name) - base.share(name), name.as_str()))
        .filter(|(difference, _)| difference.abs() >= LEAST)
        .collect();
    changed.sort_by(|a, b| b.0.abs().total_cmp(&a.0.abs()));
    let row = |(difference, name): (f64, &str)| {
        let sign = if difference < 0.0 { '-' } else { '+' };
        format!("{name} {sign}{}", number(difference.abs()))
    };
    changed.into_iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(operations: u64, functions: &[(&str, u64)]) -> Profile {
        Profile {
            operations,
            functions: functions
                .iter()
                .map(|&(name, count)| (name.to_owned(), count))
                .collect(),
        }
    }

    #[test]
    fn a_function_s_gain_is_reported_for_one_operation() {
        let base = profile(10, &[("a", 100), ("b", 50), ("gone", 10)]);
        let new = profile(20, &[("a", 220), ("b", 100), ("c", 60)]);
        assert_eq!(differences(&base, &new), ["c +3", "a +1", "gone -1"]);
        assert_eq!(differences(&new, &base), ["c -3", "a -1", "gone +1"]);
        assert!(differences(&base, &base).is_empty());
    }
}
