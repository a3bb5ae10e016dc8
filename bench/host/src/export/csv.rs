//! CSV (RFC 4180) with a header.

use crate::figures::Entry;

/// The columns. Where `below` is `true` the median lies below the resolution, which stands for it.
pub const HEADER: [&str; 9] = [
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

/// One row for each case.
pub fn write(figures: &[Entry]) -> String {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    let blank = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    let rows = figures.iter().map(|entry| {
        [
            entry.name.clone(),
            entry.unit.clone(),
            entry.value.to_string(),
            blank(entry.interval.map(|interval| interval.0)),
            blank(entry.interval.map(|interval| interval.1)),
            entry
                .samples
                .map_or_else(String::new, |samples| samples.to_string()),
            entry.of.map_or_else(String::new, |of| of.class.to_string()),
            blank(entry.of.map(|of| of.resolution)),
            entry.of.map_or_else(String::new, |of| of.below.to_string()),
        ]
    });
    let _ = writer.write_record(HEADER);
    for row in rows {
        // A Vec takes everything, and all rows have as many fields.
        let _ = writer.write_record(&row);
    }
    String::from_utf8(writer.into_inner().unwrap_or_default()).unwrap_or_default()
}
