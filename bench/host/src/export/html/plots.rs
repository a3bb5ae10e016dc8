//! Which plots the page of a log has.

use std::collections::BTreeMap;

use pagemark_record::{CaseResult, Crossover, Translations, read_series};

use crate::log::Log;
use crate::plot::chart::{Chart, Series};
use crate::plot::scale::Scale;
use crate::show::words;

/// More plots of one kind than this make no page.
pub const MOST: usize = 24;
/// Lines in one plot.
const MOST_LINES: usize = 6;

/// The cases that [`crossover`] shows begin so: those of logs of version 3, and those of version 2.
const BESIDE: [&str; 2] = ["tlb/flush/", "tlb/flush_user/"];
const REFILL: &str = "tlb/refill/";

/// A plot's lines: a name and its points.
type Lines = BTreeMap<String, Vec<(f64, f64)>>;

fn median_in(log: &Log) -> String {
    format!("median, {}", log.unit().map_or("", words))
}

/// The cases that flush a number of pages and use a working set afterwards, page by page and all at once, and where the one becomes
/// cheaper than the other: a plot for each working set, and for logs of version 2 one.
pub fn crossover(log: &Log) -> Vec<Chart> {
    log.crossovers
        .iter()
        .filter_map(|found| crossing(log, found))
        .collect()
}

fn crossing(log: &Log, found: &Crossover) -> Option<Chart> {
    let (prefix, title) = match (found.translations, found.working_set) {
        (Some(translations), Some(live)) => {
            let (family, whose) = match translations {
                Translations::Kernel => (BESIDE[0], "kernel"),
                Translations::User => (BESIDE[1], "user"),
            };
            let title = format!("{whose} pages beside {live} live translations");
            (format!("{family}live={live}/pages="), title)
        }
        _ => (
            format!("{REFILL}pages="),
            "flush and refill, by pages".to_owned(),
        ),
    };
    let line = |way: &str| {
        let points = log.results.iter().filter_map(|result| {
            let (pages, of) = result.case.strip_prefix(&prefix)?.split_once('/')?;
            let pages = pages.parse().ok().filter(|_| of == way)?;
            Some((pages, result.median.as_f64()))
        });
        points.filter(|point| point.1 > 0.0).collect::<Vec<_>>()
    };
    let lines = [("page by page", "by_page"), ("everything", "whole")].map(|(name, way)| Series {
        name: name.to_owned(),
        points: line(way),
    });
    if lines.iter().any(|line| line.points.len() < 2) {
        return None;
    }
    let cut = found
        .pages
        .map(|pages| (pages as f64, format!("crossover: {pages}")));
    Some(Chart {
        title,
        x: ("pages flushed".to_owned(), Scale::Log),
        y: (median_in(log), Scale::Log),
        series: lines.to_vec(),
        joined: true,
        cuts: cut.into_iter().collect(),
        clip: false,
    })
}

/// Cases of one family whose names differ in a number alone, one plot for each key and operation.
pub fn scaling(log: &Log, family: &str) -> Vec<Chart> {
    let mut plots: BTreeMap<(&str, &str), (bool, Lines)> = BTreeMap::new();
    let drawn = |case: &str, family: &str| case.starts_with(family);
    let others = |case: &str| {
        !BESIDE.iter().any(|family| drawn(case, family))
            && (log
                .crossovers
                .iter()
                .all(|found| found.working_set.is_some())
                || !drawn(case, REFILL))
    };
    let of_family = |result: &&CaseResult<String>| super::family(result) == family;
    for result in log
        .results
        .iter()
        .filter(of_family)
        .filter(|result| others(&result.case))
    {
        let parts: Vec<&str> = result.case.split('/').collect();
        let Some((place, key, value)) = parts.iter().enumerate().find_map(|(place, part)| {
            let (key, value) = part.split_once('=')?;
            Some((place, key, amount(value)?))
        }) else {
            continue;
        };
        // An order is a logarithm already.
        let x = if key == "order" {
            2_f64.powf(value.0)
        } else {
            value.0
        };
        let operation = if place > 1 { parts[1] } else { "" };
        let line: Vec<&str> = parts
            .iter()
            .enumerate()
            .filter(|&(at, part)| at > 0 && at != place && *part != operation)
            .map(|(_, part)| *part)
            .collect();
        if x > 0.0 {
            let (bytes, lines) = plots.entry((key, operation)).or_default();
            *bytes |= value.1;
            let points = lines.entry(line.join("/")).or_default();
            points.push((x, result.median.as_f64()));
        }
    }
    let mut charts = Vec::new();
    for ((key, operation), (bytes, lines)) in plots {
        let lines: Vec<Series> = lines
            .into_iter()
            .filter(|(_, points)| points.len() > 1)
            .map(|(name, points)| Series {
                name: if name.is_empty() {
                    operation.to_owned()
                } else {
                    name
                },
                points,
            })
            .collect();
        let (label, scale) = match (key, bytes) {
            ("order", _) => ("frames of a block".to_owned(), Scale::Log),
            (key, true) => (format!("{key}, bytes"), Scale::Bytes),
            (key, false) => (key.to_owned(), Scale::Log),
        };
        let parts = lines.len().div_ceil(MOST_LINES);
        charts.extend(lines.chunks(MOST_LINES).enumerate().map(|(at, lines)| {
            let part = match parts {
                1 => String::new(),
                parts => format!(" ({} of {parts})", at + 1),
            };
            Chart {
                title: format!("{family} {operation} by {key}{part}").replace("  ", " "),
                x: (label.clone(), scale),
                y: (median_in(log), Scale::Log),
                series: lines.to_vec(),
                joined: true,
                cuts: Vec::new(),
                clip: false,
            }
        }));
    }
    charts.truncate(MOST);
    charts
}

/// `512`, `16MiB`, `4KiB` as a number, and whether it is one of bytes.
fn amount(text: &str) -> Option<(f64, bool)> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let scale = match &text[digits.len()..] {
        "" => 1.0,
        "KiB" => 1024.0,
        "MiB" => 1024.0 * 1024.0,
        "GiB" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    let number: f64 = digits.parse().ok()?;
    Some((number * scale, scale > 1.0))
}

/// The rounds of the cases of one family whose samples differ most, `most` of them.
pub fn distributions(log: &Log, family: &str, most: usize) -> Vec<Chart> {
    let mut spread: Vec<_> = log
        .results
        .iter()
        .filter(|result| result.min != result.max && super::family(result) == family)
        .collect();
    let share = |result: &CaseResult<String>| {
        result.max.less(result.min).as_f64() / result.median.as_f64().max(1.0)
    };
    spread.sort_by(|a, b| share(b).total_cmp(&share(a)));
    let chart = |result: &CaseResult<String>| {
        let rounds = read_series(&result.rounds).flatten();
        let points: Vec<(f64, f64)> = rounds
            .enumerate()
            .map(|(round, figure)| (round as f64 + 1.0, figure.as_f64()))
            .collect();
        let differ = points.windows(2).any(|two| two[0].1 != two[1].1);
        differ.then(|| Chart {
            title: result.case.clone(),
            x: ("round, in the order taken".to_owned(), Scale::Count),
            y: (log.unit().map_or("", words).to_owned(), Scale::Linear),
            series: vec![Series {
                name: String::new(),
                points,
            }],
            joined: false,
            cuts: Vec::new(),
            clip: true,
        })
    };
    spread.into_iter().filter_map(chart).take(most).collect()
}
