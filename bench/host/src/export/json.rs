//! Whole logs as JSON: every record, with where the log was read.

use serde_json::{Value, json};

use crate::log::{Ending, Log};

/// The logs as an array.
pub fn whole(logs: &[&Log]) -> String {
    let logs: Vec<Value> = logs.iter().map(|log| value(log)).collect();
    serde_json::to_string_pretty(&logs).unwrap_or_default()
}

/// One log: its records by kind, under the names that the log's own JSON has.
pub fn value(log: &Log) -> Value {
    let ending = match &log.ending {
        Ending::End(end) => json!({ "end": end }),
        Ending::Panic(panic) => json!({ "panic": panic }),
    };
    json!({
        "file": log.origin.name(),
        "date": log.origin.date.map(|date| date.time.to_string()),
        "start": log.start,
        "machine": log.machine,
        "environment": log.environment,
        "cpus": log.cpus,
        "regions": log.regions,
        "zones": log.zones,
        "buddyinfo": log.buddyinfo,
        "vmallocinfo": log.vmallocinfo,
        "notices": log.notices,
        "boot": log.boot,
        "checks": log.checks,
        "results": log.results,
        "skips": log.skips,
        "frames": log.frames,
        "crossovers": log.crossovers,
        "advice": log.advice,
        "probe": log.probe,
        "errors": log.errors,
        "ending": ending,
    })
}
