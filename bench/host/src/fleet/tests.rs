//! A fleet of made-up machines, as tables and as a site.

use std::collections::BTreeSet;

use pagemark_record::Clock;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::text::Format;
use super::{Fleet, Unit, outside, site};
use crate::glob::Globs;
use crate::log::origin::{Date, DateSource};
use crate::log::sample::good;
use crate::log::{Log, read};
use crate::style::Look;

/// Twelve machines with this number of logs together, each with 149 cases.
pub(crate) fn logs(number: usize) -> Vec<Log> {
    let log = read(&good(Clock::Tsc)).unwrap();
    let mut random = StdRng::seed_from_u64(1);
    let time: jiff::civil::DateTime = "2026-01-01T06:00:00".parse().unwrap();
    (0..number)
        .map(|at| {
            let machine = at % 12;
            let mut log = log.clone();
            log.origin.path = format!("logs/rack{machine:02}/{at:03}.log").into();
            let time = time.checked_add(jiff::Span::new().days(at as i64)).unwrap();
            log.origin.date = Some(Date {
                time,
                source: DateSource::Clock,
            });
            let found = log.machine.as_mut().unwrap();
            found.model = machine as u32;
            found.cpu = format!("A CPU <{machine}>");
            let result = log.results[0].clone();
            log.results = (0..149)
                .map(|case| {
                    let mut result = result.clone();
                    result.case = format!("group{}/case={case}", case % 9);
                    let cost = 100 * (case as u64 + 1) * (machine as u64 + 4);
                    result.median = (cost * 1000 + random.random_range(0..cost * 10)).into();
                    result
                })
                .collect();
            log
        })
        .collect()
}

#[test]
fn machines_and_cases_in_every_format() {
    let fleet = Fleet::new(&logs(60), &Globs::new("group0/*"), Unit::Clock);
    assert_eq!(
        (fleet.machines.len(), fleet.cases.len(), fleet.unit.as_str()),
        (12, 17, "ticks")
    );
    assert!(
        fleet
            .machines
            .iter()
            .all(|machine| machine.boots == 5 && machine.spread < 0.02)
    );
    let text = fleet.write(Format::Text, None, Look::Plain);
    assert!(
        text.contains("rack07") && text.contains("12 machines, 17 cases"),
        "{text}"
    );
    let base = fleet.place("rack00");
    let relative = fleet.write(Format::Text, base, Look::Plain);
    let row = relative
        .lines()
        .find(|line| line.contains("group0/case=0 "))
        .unwrap();
    // 4 for the first machine, 15 for the last.
    let shares: Vec<f64> = row
        .split_whitespace()
        .skip(1)
        .map(|share| share.parse().unwrap())
        .collect();
    assert!(
        shares[0] == 1.0 && (shares[11] - 15.0 / 4.0).abs() < 0.1,
        "{row}"
    );
    let csv = fleet.write(Format::Csv, None, Look::Plain);
    assert_eq!(csv.lines().count(), 1 + 12 * 17);
    let json: serde_json::Value =
        serde_json::from_str(&fleet.write(Format::Json, None, Look::Plain)).unwrap();
    assert_eq!(json["figures"][0][3]["boots"], 5);
    let markdown = fleet.write(Format::Markdown, None, Look::Plain);
    assert!(
        markdown
            .lines()
            .all(|line| line.is_empty() || line.starts_with('|'))
    );
}

#[test]
fn the_site_of_12_machines_and_365_logs_is_small_and_whole() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = Fleet::new(&logs(365), &Globs::default(), Unit::Clock);
    site::write(&fleet, folder.path()).unwrap();
    let mut size = 0;
    let mut pages = BTreeSet::new();
    let mut links = BTreeSet::new();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        size += text.len();
        pages.insert(path.file_name().unwrap().to_string_lossy().into_owned());
        for link in text.split("href=\"").skip(1) {
            let link = link.split('"').next().unwrap();
            links.extend((!link.starts_with('#')).then(|| link.to_owned()));
        }
        assert!(
            !text.contains("http") && !text.contains("A CPU <"),
            "{}",
            path.display()
        );
    }
    assert!(size < 2 << 20, "{size} bytes");
    assert_eq!(pages.len(), 4 + 12 + 9 + 149);
    assert!(links.iter().all(|link| pages.contains(link)));
}

#[test]
fn bounds_of_a_median() {
    // As published for the sign test: from the second of nine, the second of ten, the tenth of thirty.
    let published = [(1, 0), (5, 0), (6, 1), (9, 2), (10, 2), (30, 10), (100, 40)];
    for (figures, left_out) in published {
        let left_out = usize::from(left_out > 0) * left_out;
        assert_eq!(
            outside(figures),
            left_out.saturating_sub(usize::from(left_out > 0)),
            "{figures}"
        );
    }
}
