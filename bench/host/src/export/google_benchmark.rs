//! The JSON of google-benchmark, as its compare.py and its other readers take it. [`crate::import::google_benchmark`] reads it back.
//!
//! A figure of ours is the median of samples, and stands as that: as the aggregate `median` of as many repetitions. So its
//! `time_unit` can be the unit that it has, instructions for one: compare.py takes what iterations took for times, but passes
//! aggregates through. Bounds are two counters more, `median_low` and `median_high`.
//!
//! The context has no date: a log does not say when its run was.

use serde_json::{Map, Value, json};

use crate::figures::Entry;

/// The counters that hold the bounds.
pub const BOUNDS: [&str; 2] = ["median_low", "median_high"];

/// A context with what readers ask for, and one aggregate for each case.
pub fn write(figures: &[Entry]) -> String {
    let benchmarks: Vec<_> = figures.iter().enumerate().map(aggregate).collect();
    let context = json!({
        "host_name": "pagemark",
        "executable": "pagemark",
        "num_cpus": 1,
        "mhz_per_cpu": 0,
        "cpu_scaling_enabled": false,
        "caches": [],
        "load_avg": [],
        "library_build_type": "release",
        "json_schema_version": 1,
    });
    format!(
        "{:#}\n",
        json!({ "context": context, "benchmarks": benchmarks })
    )
}

fn aggregate((index, entry): (usize, &Entry)) -> Value {
    let mut run = Map::from_iter([
        ("name".to_owned(), json!(format!("{}_median", entry.name))),
        ("family_index".to_owned(), json!(index)),
        ("per_family_instance_index".to_owned(), json!(0)),
        ("run_name".to_owned(), json!(entry.name)),
        ("run_type".to_owned(), json!("aggregate")),
        ("threads".to_owned(), json!(1)),
        ("aggregate_name".to_owned(), json!("median")),
        ("aggregate_unit".to_owned(), json!("time")),
        ("real_time".to_owned(), json!(entry.value)),
        ("cpu_time".to_owned(), json!(entry.value)),
        ("time_unit".to_owned(), json!(entry.unit)),
    ]);
    if let Some(samples) = entry.samples {
        run.insert("repetitions".to_owned(), json!(samples));
        run.insert("iterations".to_owned(), json!(samples));
    }
    if let Some((low, high)) = entry.interval {
        for (counter, bound) in BOUNDS.into_iter().zip([low, high]) {
            run.insert(counter.to_owned(), json!(bound));
        }
    }
    if let Some(of) = entry.of {
        let below = if of.below {
            ", below its resolution"
        } else {
            ""
        };
        run.insert("label".to_owned(), json!(format!("{}{below}", of.class)));
        run.insert("resolution".to_owned(), json!(of.resolution));
    }
    Value::Object(run)
}
