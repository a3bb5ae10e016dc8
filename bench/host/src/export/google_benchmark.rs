//! The JSON of google-benchmark, as its compare.py and its other readers take it. Its times have units of time alone, so that what
//! counts other things stands as nanoseconds, with the true unit in the label: a reader that does not look there takes instructions for
//! nanoseconds.

use serde_json::json;

use crate::figures::Entry;

/// A context with what readers ask for, and one iteration run for each case.
pub fn write(figures: &[Entry]) -> String {
    let benchmarks: Vec<_> = figures
        .iter()
        .enumerate()
        .map(|(index, entry)| {
            let mut run = json!({
                "name": entry.name,
                "family_index": index,
                "per_family_instance_index": 0,
                "run_name": entry.name,
                "run_type": "iteration",
                "repetitions": 1,
                "repetition_index": 0,
                "threads": 1,
                "iterations": entry.samples.unwrap_or(1),
                "real_time": entry.value,
                "cpu_time": entry.value,
                "time_unit": "ns",
                "label": entry.unit,
            });
            if let Some((low, high)) = entry.interval {
                run["median_low"] = json!(low);
                run["median_high"] = json!(high);
            }
            run
        })
        .collect();
    let context = json!({
        "date": "1970-01-01T00:00:00+00:00",
        "host_name": "pagemark",
        "executable": "pagemark",
        "num_cpus": 1,
        "mhz_per_cpu": 0,
        "cpu_scaling_enabled": false,
        "caches": [],
        "load_avg": [],
        "library_build_type": "release",
    });
    format!(
        "{:#}\n",
        json!({ "context": context, "benchmarks": benchmarks })
    )
}
