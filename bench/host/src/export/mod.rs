//! Writes a log's figures, or a judgement, in the formats of other tools.
//!
//! Figures: [`bmf`], [`smaller_is_better`], [`google_benchmark`], [`go_text`], [`csv`], [`openmetrics`]. All of a log: [`json`]. What a gate found, or what a run
//! proved: [`markdown`], [`annotations`], [`junit`], [`tap`], [`lava`]. The page for people: [`html`].

pub mod annotations;
pub mod bmf;
pub mod csv;
pub mod go_text;
pub mod google_benchmark;
pub mod html;
pub mod json;
pub mod junit;
pub mod lava;
pub mod markdown;
pub mod openmetrics;
pub mod smaller_is_better;
pub mod tap;

#[cfg(test)]
mod figure_tests;
#[cfg(test)]
mod tests;

use pagemark_record::CaseResult;

use crate::figures::{Entry, of_log};
use crate::gate::Judgement;
use crate::log::Log;

/// A format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Markdown, for GitHub's step summary
    Markdown,
    /// GitHub's annotations, for a workflow's standard output
    Annotations,
    /// One self-contained page
    Html,
    /// Bencher metric format
    Bmf,
    /// github-action-benchmark's customSmallerIsBetter
    SmallerIsBetter,
    /// The JSON that google-benchmark's tools read
    GoogleBenchmark,
    /// Go benchmark text, which benchstat reads
    GoText,
    /// JUnit XML
    Junit,
    /// TAP version 13
    Tap,
    /// LAVA's signals of test cases, which signals=lava puts into the log itself
    Lava,
    /// OpenMetrics text, for GitLab's metrics reports
    Openmetrics,
    /// CSV with a header: all that a log has of each case
    Csv,
    /// The whole log, or all logs of a capture, as `show --json` writes them
    Json,
}

/// Writes `log`, and what a gate made of it where there is one, in `format`. `history` are earlier logs, oldest first, for the page.
pub fn export(format: Format, log: &Log, judgement: Option<&Judgement>, history: &[Log]) -> String {
    match format {
        Format::Markdown => markdown::write(log, judgement),
        Format::Annotations => annotations::write(log, judgement),
        Format::Html => html::write(log, judgement, history),
        Format::Junit => junit::write(log, judgement),
        Format::Tap => tap::write(log, judgement),
        Format::Lava => lava::write(log, judgement),
        Format::Csv => csv::write_log(log),
        Format::Json => json::whole(&[log]) + "\n",
        Format::Bmf
        | Format::SmallerIsBetter
        | Format::GoogleBenchmark
        | Format::GoText
        | Format::Openmetrics => figures(format, &of_log(log)).unwrap_or_default(),
    }
}

/// Writes figures alone, whatever they are of; none in a format that describes a run.
pub fn figures(format: Format, figures: &[Entry]) -> Option<String> {
    Some(match format {
        Format::Bmf => bmf::write(figures),
        Format::SmallerIsBetter => smaller_is_better::write(figures),
        Format::GoogleBenchmark => google_benchmark::write(figures),
        Format::GoText => go_text::write(figures),
        Format::Openmetrics => openmetrics::write(figures),
        Format::Csv => csv::write(figures),
        Format::Markdown
        | Format::Annotations
        | Format::Html
        | Format::Junit
        | Format::Tap
        | Format::Lava
        | Format::Json => {
            return None;
        }
    })
}

/// One line of a report on a log: a case or a check, and what became of it.
struct Outcome<'a> {
    name: &'a str,
    /// Why it failed.
    failure: Option<String>,
    /// Why it did not run.
    skipped: Option<&'a str>,
    /// What it measured.
    measured: Option<&'a CaseResult<String>>,
}

impl Outcome<'_> {
    /// The figure with its unit, what it is a figure of and what it resolves, in one line.
    fn figure(&self) -> Option<String> {
        let result = self.measured?;
        let unit = result.unit;
        let median = match result.is_below_resolution(result.median) {
            true => "below its resolution".to_owned(),
            false => format!("{} {unit}", result.median),
        };
        let class = result.class.map(|class| format!(", {class}"));
        let resolution = result
            .resolution
            .map(|r| format!(", resolution {r} {unit}"));
        Some(median + &class.unwrap_or_default() + &resolution.unwrap_or_default())
    }
}

/// Checks, cases and what the gate found of them. A case whose own check failed is reported once.
fn outcomes<'a>(log: &'a Log, judgement: Option<&'a Judgement>) -> Vec<Outcome<'a>> {
    let measured = |name: &str| log.results.iter().any(|result| result.case == name);
    let checks = log
        .checks
        .iter()
        .filter(|check| !check.pass || !measured(&check.name));
    let mut outcomes: Vec<Outcome<'a>> = checks
        .map(|check| Outcome {
            name: &check.name,
            failure: (!check.pass).then(|| check.detail.clone()),
            skipped: None,
            measured: None,
        })
        .collect();
    outcomes.extend(log.results.iter().map(|result| Outcome {
        name: &result.case,
        failure: judgement.and_then(|judgement| found(judgement, &result.case)),
        skipped: None,
        measured: Some(result),
    }));
    outcomes.extend(log.skips.iter().map(|skip| Outcome {
        name: &skip.case,
        failure: None,
        skipped: Some(&skip.reason),
        measured: None,
    }));
    if let Some(judgement) = judgement {
        let gone = judgement
            .rows
            .iter()
            .filter(|row| row.new.is_none() && !row.muted);
        let known: std::collections::HashSet<&str> =
            log.skips.iter().map(|skip| skip.case.as_str()).collect();
        outcomes.extend(
            gone.filter(|row| !known.contains(row.name.as_str()))
                .map(|row| Outcome {
                    name: &row.name,
                    failure: Some(row.message()),
                    skipped: None,
                    measured: None,
                }),
        );
    }
    outcomes
}

/// What stops the gate at this case.
fn found(judgement: &Judgement, case: &str) -> Option<String> {
    let rows = judgement
        .rows
        .iter()
        .filter(|row| row.case() == case && !row.muted && judgement.stops(row.finding));
    let messages: Vec<String> = rows.map(crate::gate::Row::message).collect();
    (!messages.is_empty()).then(|| messages.join("; "))
}
