//! CSV (RFC 4180) with a header.

use pagemark_record::{CaseResult, Figure};

use crate::figures::{Entry, of_log};
use crate::log::Log;

/// The columns of every figure. Where `below` is `true` the median lies below the resolution, which stands for it.
const HEADER: [&str; 9] = [
    "case",
    "unit",
    "median",
    "low",
    "high",
    "samples",
    "class",
    "resolution",
    "below",
];

/// The further columns of a log's: what was measured, also where it lies below the resolution, then medians in other units, then
/// what the core counted an operation, and samples that something struck, by cause. `rounds` are all samples ([`pagemark_record::Series`]).
const OF_LOG: [&str; 22] = [
    "min",
    "p25",
    "measured_median",
    "p75",
    "p99",
    "max",
    "overhead",
    "batch",
    "ns",
    "cycles",
    "instructions",
    "load_walks",
    "store_walks",
    "walks",
    "walk_cycles",
    "smi",
    "steal",
    "frequency",
    "unknown",
    "preempted",
    "migrated",
    "rounds",
];

/// One row for each figure.
pub fn write(figures: &[Entry]) -> String {
    table(
        HEADER.map(str::to_owned).into(),
        figures.iter().map(|entry| cells(entry).into()),
    )
}

/// One row for each case, with all that the log has of it.
pub fn write_log(log: &Log) -> String {
    let header = HEADER.iter().chain(&OF_LOG);
    let entries = of_log(log);
    let rows = entries.iter().zip(&log.results);
    table(
        header.map(|&name| name.to_owned()).collect(),
        rows.map(|(entry, result)| cells(entry).into_iter().chain(further(result)).collect()),
    )
}

fn table(header: Vec<String>, rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    for row in std::iter::once(header).chain(rows) {
        // A Vec takes everything, and all rows have as many fields.
        let _ = writer.write_record(&row);
    }
    String::from_utf8(writer.into_inner().unwrap_or_default()).unwrap_or_default()
}

fn blank<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

fn cells(entry: &Entry) -> [String; HEADER.len()] {
    [
        entry.name.clone(),
        entry.unit.clone(),
        entry.value.to_string(),
        blank(entry.interval.map(|interval| interval.0)),
        blank(entry.interval.map(|interval| interval.1)),
        blank(entry.samples),
        blank(entry.of.map(|of| of.class)),
        blank(entry.of.map(|of| of.resolution)),
        blank(entry.of.map(|of| of.below)),
    ]
}

fn further(result: &CaseResult<String>) -> [String; OF_LOG.len()] {
    let (counts, struck) = (result.counts, result.disturbances);
    let known = |figure: Figure| figure.to_string();
    [
        known(result.min),
        known(result.p25),
        known(result.median),
        known(result.p75),
        known(result.p99),
        known(result.max),
        known(result.overhead),
        result.batch.to_string(),
        blank(result.ns),
        blank(result.cycles),
        blank(counts.instructions),
        blank(counts.load_walks),
        blank(counts.store_walks),
        blank(counts.walks),
        blank(counts.walk_cycles),
        struck.smi.to_string(),
        struck.steal.to_string(),
        struck.frequency.to_string(),
        struck.unknown.to_string(),
        struck.preempted.to_string(),
        struck.migrated.to_string(),
        result.rounds.clone(),
    ]
}
