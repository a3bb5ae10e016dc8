//! A figure without its unit, what it is a figure of and what its case resolves is half a figure: each format that has a place for them
//! names them, for every case.
//!
//! The formats that have none: [`Format::Bmf`] and [`Format::Lava`] take a number and its unit; [`Format::Annotations`] has what a gate
//! found, in words.

use clap::ValueEnum;
use pagemark_record::{CaseResult, Class, Clock, Figure, Unit};
use serde_json::Value;

use super::{Format, export};
use crate::log::sample::good;
use crate::log::{Log, read};
use crate::show::{render, words};
use crate::style::Look;

/// A log of the three classes, in which no two cases have the same resolution, and some figures lie below it.
fn log(clock: Clock) -> Log {
    let mut log = read(&good(clock)).unwrap();
    let classes = [Class::Latency, Class::Throughput, Class::Single];
    for (place, result) in (0..).zip(&mut log.results) {
        result.class = Some(classes[place as usize % 3]);
        result.resolution = Some(Figure::from_thousandths(31_250 + 1000 * place));
    }
    log
}

/// What a case's piece of the text has to have in it, and where that piece is.
fn named(format: Format, text: &str, result: &CaseResult<String>) -> bool {
    let case = result.case.as_str();
    let (class, resolution) = (result.class.unwrap().as_str(), result.resolution.unwrap());
    let (unit, resolution) = (result.unit.as_str(), resolution.to_string());
    let line = |begins: &str| {
        text.lines()
            .find(|line| line.starts_with(begins))
            .unwrap_or_else(|| panic!("no {begins} in\n{text}"))
    };
    let has = |piece: &str, all: &[&str]| all.iter().all(|part| piece.contains(part));
    let between = |from: &str, to: &str| {
        let start = text.find(from).unwrap_or_else(|| panic!("no {from}"));
        text[start..].split(to).next().unwrap()
    };
    let in_words = format!(", {class}, resolution {resolution} {unit}");
    let json = || serde_json::from_str::<Value>(text).unwrap();
    let of_case = |list: &Value, key: &str| {
        let list = list.as_array().unwrap();
        list.iter().find(|one| one[key] == case).unwrap().clone()
    };
    match format {
        Format::Csv => {
            let row: Vec<&str> = line(&format!("{case},")).split(',').collect();
            row[1] == unit && row[6] == class && row[7] == resolution
        }
        Format::Markdown => {
            let row = line(&format!("| `{case}`"));
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            text.contains(&format!("median {}", words(result.unit)))
                && cells.contains(&class)
                && cells.contains(&resolution.as_str())
        }
        Format::Html => {
            let table = text.find("results-table").unwrap();
            let row = &text[table..][text[table..].find(&format!(">{case}</th>")).unwrap()..];
            let row = row.split("</tr>").next().unwrap();
            let cells = [format!(">{class}<"), format!(">{resolution}<")];
            text.contains(&format!("In {}.", words(result.unit)))
                && has(row, &[&cells[0], &cells[1]])
        }
        Format::Junit => between(&format!("<testcase name=\"{case}\""), "</testcase>").contains(&in_words),
        Format::Tap => between(&format!(" - {case}\n"), "\nok ").contains(&in_words),
        Format::GoText => {
            let name = format!("Benchmark{}{} ", case[..1].to_uppercase(), &case[1..]);
            let ahead = text.split(&name).next().unwrap().lines().last().unwrap();
            ahead == format!("# {class}, resolution {resolution} {unit}")
                && line(&name).ends_with(&format!(" {unit}"))
        }
        Format::SmallerIsBetter => {
            let one = of_case(&json(), "name");
            let extra = one["extra"].as_str().unwrap();
            one["unit"] == unit && has(extra, &[class, &format!(" {resolution}")])
        }
        Format::GoogleBenchmark => {
            let one = of_case(&json()["benchmarks"], "run_name");
            one["time_unit"] == unit
                && one["label"].as_str().is_some_and(|label| label.starts_with(class))
                && one["resolution"].as_f64() == resolution.parse().ok()
        }
        Format::Openmetrics => text.lines().any(|line| {
            let named = format!("pagemark_median_{unit}{{case=\"{case}\",class=\"{class}\",resolution=\"{resolution}\"");
            line.starts_with(&named)
        }),
        Format::Json => {
            let one = of_case(&json()[0]["results"], "case");
            one["unit"] == unit && one["class"] == class && one["resolution"].as_f64() == resolution.parse().ok()
        }
        Format::Bmf | Format::Lava | Format::Annotations => {
            unreachable!("has no place for it")
        }
    }
}

/// The formats that have a place for all of it.
fn formats() -> Vec<Format> {
    let without = [Format::Bmf, Format::Lava, Format::Annotations];
    let all = Format::value_variants().iter().copied();
    all.filter(|format| !without.contains(format)).collect()
}

#[test]
fn every_format_names_unit_class_and_resolution_of_every_case() {
    for clock in [Clock::Icount, Clock::Tsc, Clock::Emulated] {
        let log = log(clock);
        assert_eq!(log.results.len(), 5);
        for format in formats() {
            let text = export(format, &log, None, &[]);
            for result in &log.results {
                assert!(
                    named(format, &text, result),
                    "{format:?}: {}\n{text}",
                    result.case
                );
            }
        }
    }
}

/// A format that named them for some cases alone, or something else, would be found.
#[test]
fn a_case_that_is_not_named_so_is_seen() {
    let whole = log(Clock::Tsc);
    let spoil: [fn(&mut Log, usize); 3] = [
        |log, place| log.results[place].class = Some(Class::Latency),
        |log, place| log.results[place].resolution = Some(7.into()),
        |log, place| {
            log.results[place].unit = Unit::Insns;
            log.machine.as_mut().unwrap().clock = Clock::Icount;
        },
    ];
    for format in formats() {
        for spoil in spoil {
            // The third case is no latency.
            let mut log = log(Clock::Tsc);
            spoil(&mut log, 2);
            let text = export(format, &log, None, &[]);
            let seen = std::panic::catch_unwind(|| named(format, &text, &whole.results[2]));
            assert!(!seen.unwrap_or(false), "{format:?}\n{text}");
        }
    }
}

#[test]
fn those_without_a_place_name_the_unit() {
    let log = log(Clock::Tsc);
    let [bmf, lava] = [Format::Bmf, Format::Lava].map(|format| export(format, &log, None, &[]));
    let bmf: Value = serde_json::from_str(&bmf).unwrap();
    for result in &log.results {
        assert!(bmf[&result.case]["ticks"]["value"].is_number(), "{bmf}");
        let name = result.case.replace('/', ".").replace('=', "-");
        let signal = lava
            .lines()
            .find(|line| line.contains(&format!("={name} ")));
        let figure = result.at_least_resolution(result.median);
        let measured = format!(" UNITS=ticks MEASUREMENT={figure}>");
        assert!(
            signal.is_some_and(|line| line.ends_with(&measured)),
            "{lava}"
        );
    }
}

#[test]
fn so_does_the_table_that_people_see() {
    for clock in [Clock::Icount, Clock::Tsc] {
        let log = log(clock);
        let text = render(&log, Look::Plain, None);
        let title = text.lines().find(|line| line.contains(" class ")).unwrap();
        assert!(title.contains(words(log.results[0].unit)), "{title}");
        for result in &log.results {
            let (_, name) = result.case.split_once('/').unwrap();
            let row = text
                .lines()
                .find(|line| line.trim_start().starts_with(&format!("{name} ")))
                .unwrap();
            let cells: Vec<&str> = row.split_whitespace().collect();
            assert!(cells.contains(&result.class.unwrap().as_str()), "{row}");
            let resolution = result.resolution.unwrap().to_string();
            // Each count of instructions is exact, which is said once.
            let resolved = cells.contains(&resolution.as_str());
            assert!(clock == Clock::Icount || resolved, "{row}");
        }
        assert_eq!(
            text.contains("the resolution of each is 1 instruction"),
            clock == Clock::Icount
        );
    }
}
