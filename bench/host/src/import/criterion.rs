//! What criterion.rs leaves in `target/criterion/GROUP/FUNCTION/VALUE/new/`: `estimates.json`, which has the figures, beside
//! `benchmark.json`, which has the name.
//!
//! - A figure is the median and its confidence interval, in nanoseconds: so criterion's measurement of wall time has it, and the file
//!   does not say if it was another.
//! - A folder stands for every `new/estimates.json` under it. Without a `benchmark.json` the name is that of the folders.
//! - Mean, slope, deviations and the samples, which are in a file of their own, are lost. `change/estimates.json` has shares and no
//!   times, and is refused.

use std::io;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::{Format, ImportError, json};
use crate::figures::Entry;

/// The file of the figures.
const ESTIMATES: &str = "estimates.json";
/// The file beside it.
const BENCHMARK: &str = "benchmark.json";

#[derive(Deserialize)]
struct Estimates {
    median: Estimate,
    /// What a file of changes does not have.
    #[serde(rename = "std_dev")]
    _deviation: IgnoredAny,
}

#[derive(Deserialize)]
struct Estimate {
    point_estimate: f64,
    confidence_interval: Interval,
}

#[derive(Deserialize)]
struct Interval {
    lower_bound: f64,
    upper_bound: f64,
}

#[derive(Deserialize)]
struct Benchmark {
    full_id: String,
}

/// Whether that is an object with criterion's estimates of times.
pub fn is_one(json: &Value) -> bool {
    let estimate = |name: &str| json.get(name).and_then(|it| it.get("point_estimate"));
    estimate("median").is_some() && estimate("std_dev").is_some()
}

/// The figure of a file, which is called `name`.
pub(super) fn read(bytes: &[u8], name: &str) -> Result<Vec<Entry>, ImportError> {
    let Estimates { median, .. } = json::typed(Format::Criterion.name(), bytes)?;
    let Interval {
        lower_bound,
        upper_bound,
    } = median.confidence_interval;
    Ok(vec![Entry {
        interval: Some((lower_bound, upper_bound)),
        ..Entry::new(name, "ns", median.point_estimate)
    }])
}

/// The name of the benchmark whose estimates `path` holds.
pub fn name(path: &Path) -> String {
    let beside = std::fs::read(path.with_file_name(BENCHMARK)).ok();
    let benchmark = beside.and_then(|bytes| json::typed("name", &bytes).ok());
    benchmark.map_or_else(|| name_of_folders(path), |Benchmark { full_id }| full_id)
}

/// The folders between `criterion` and `new`, or the last two before it.
fn name_of_folders(path: &Path) -> String {
    let folders = path.parent().into_iter().flat_map(Path::components);
    let mut folders: Vec<_> = folders
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_string_lossy()),
            _ => None,
        })
        .collect();
    if matches!(folders.last().map(AsRef::as_ref), Some("new" | "base")) {
        folders.pop();
    }
    let start = match folders.iter().rposition(|name| name == "criterion") {
        Some(root) => root + 1,
        None => folders.len().saturating_sub(2),
    };
    match folders[start..].join("/") {
        name if name.is_empty() => ESTIMATES.to_owned(),
        name => name,
    }
}

/// Every `new/estimates.json` under a folder, by name.
pub fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            // Not a link to a folder: that could lead back here.
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else if entry.file_name() == ESTIMATES && folder.ends_with("new") {
                files.push(entry.path());
            }
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_that_of_its_folders_where_nothing_else_says_it() {
        for (path, name) in [
            (
                "target/criterion/map/one page/new/estimates.json",
                "map/one page",
            ),
            ("/t/criterion/map/base/estimates.json", "map"),
            ("kept/map/page/1/estimates.json", "page/1"),
            ("estimates.json", "estimates.json"),
        ] {
            assert_eq!(name_of_folders(Path::new(path)), name, "{path}");
        }
    }
}
