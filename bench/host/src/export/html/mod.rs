//! One self-contained page for people: what the gate found, the figures that most look for, plots by family of cases, and tables
//! that sort. Nothing is loaded from elsewhere.

mod plots;

use maud::{Markup, html};
use pagemark_record::{CaseResult, Class};

use crate::gate::{Finding, Judgement};
use crate::history::{self, History};
use crate::log::Log;
use crate::plot::chart::Chart;
use crate::show::{self, summary, words};
use crate::style::{figure, number, resolved, thousands};
use crate::web::{self, Assets};

/// Cases of a family whose samples are plotted.
const SPREAD: usize = 3;

/// A section: its anchor, its heading, and what it shows.
type Section = (String, String, Markup);

/// The page. `history` are earlier logs, oldest first.
pub fn write(log: &Log, judgement: Option<&Judgement>, history: &[Log]) -> String {
    let title = format!("pagemark {}, suite {}", log.start.revision, log.start.suite);
    let mut sections = vec![section("machine", "Machine", machine(log))];
    sections.extend(judgement.map(|judgement| section("gate", "Gate", gate(judgement))));
    sections.extend(failures(log));
    sections.extend(summarised(log));
    sections.extend(crossover(log));
    sections.extend(families(log));
    sections.extend(changes(history));
    sections.extend(results(log));
    sections.extend(skipped(log));
    let contents: Vec<(&str, &str)> = sections
        .iter()
        .map(|(anchor, heading, _)| (anchor.as_str(), heading.as_str()))
        .collect();
    let content = html! {
        @for (anchor, heading, content) in &sections {
            section aria-labelledby=(anchor) { h2 id=(anchor) { (heading) } (content) }
        }
    };
    web::page(&title, Assets::Inside, &html! {}, &contents, &content).into_string()
}

fn section(anchor: &str, heading: &str, content: Markup) -> Section {
    (anchor.to_owned(), heading.to_owned(), content)
}

fn machine(log: &Log) -> Markup {
    html! {
        dl {
            @if let Some(machine) = &log.machine {
                dt { "CPU" } dd { (machine.cpu.trim()) ", " (machine.cpus) " in use" }
                dt { "hypervisor" } dd { (machine.hypervisor.as_deref().unwrap_or("none says that it is there")) }
                dt { "clock" } dd { (machine.clock) ", in " (words(machine.clock.unit())) }
                @if let Some(found) = &log.environment { dt { "environment" } dd { (show::environment(found)) } }
                dt { "layout, loader" } dd { (machine.layout) ", " (machine.loader) }
            }
            dt { "date" } dd { (log.origin.date_shown()) }
            dt { "command line" } dd { (log.start.command_line) }
        }
    }
}

fn gate(judgement: &Judgement) -> Markup {
    let class = if judgement.fails() { "bad" } else { "good" };
    let found = || {
        judgement
            .rows
            .iter()
            .filter(|row| row.finding != Finding::Same)
    };
    let shown = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), number);
    let rows = html! { @for row in found() { tr {
        th scope="row" { (row.name) @for line in &row.blame { br; small { (line) } } }
        td { (shown(row.base)) } td { (shown(row.new)) }
        td { @if row.base.is_some() && row.new.is_some() { (format!("{:+.2}", row.rise() * 100.0)) } }
        td.text { (row.finding.word()) @if row.muted { ", muted" } }
    } } };
    html! {
        p class=(class) { (judgement.summary()) }
        p.note { (judgement.rule) }
        @if found().next().is_some() {
            (web::table("gate-table", "What the gate found", &["case", "base", "new", "per cent", "finding"], &rows))
        }
    }
}

fn failures(log: &Log) -> Option<Section> {
    let failed = || log.checks.iter().filter(|check| !check.pass);
    let any = failed().next().is_some() || !log.errors.is_empty();
    any.then(|| {
        let content = html! { ul {
            @for check in failed() { li.bad { (check.name) ": " (check.detail) } }
            @for error in &log.errors { li.bad { (error) } }
        } };
        section("failed", "Failed", content)
    })
}

fn summarised(log: &Log) -> Option<Section> {
    let unit = log.unit().map_or("", words);
    let lines = summary::rows(log);
    let mut titles = vec!["what", unit];
    titles.extend(lines.first()?.ns.as_ref().map(|_| "ns"));
    let rows = html! { @for line in &lines { tr {
        th scope="row" { (line.what) }
        td { (line.figures) }
        @if let Some(ns) = &line.ns { td { (ns) } }
    } } };
    Some(section(
        "summary",
        "Summary",
        web::table(
            "summary-table",
            "Figures that most look for",
            &titles,
            &rows,
        ),
    ))
}

fn crossover(log: &Log) -> Option<Section> {
    let found = show::crossover::summary(log).map(|text| format!("Crossover: {text}."));
    let advised = show::crossover::advised(log).map(|text| format!("Advice: {text}."));
    let note: Vec<String> = found.into_iter().chain(advised).collect();
    let plots = plotted(&plots::crossover(log));
    let any = !plots.0.is_empty() || !note.is_empty();
    any.then(|| {
        let content = html! { p.note { (note.join(" ")) } (plots) };
        section("crossover", "Flush page by page, or everything", content)
    })
}

/// A section for each first part of the cases' names that has anything to plot.
fn families(log: &Log) -> Vec<Section> {
    let mut names: Vec<&str> = Vec::new();
    for result in &log.results {
        let family = family(result);
        if !names.contains(&family) {
            names.push(family);
        }
    }
    let sections = names.into_iter().filter_map(|name| {
        let scaling = plotted(&plots::scaling(log, name));
        let spread = plotted(&plots::distributions(log, name, SPREAD));
        let content = match (scaling.0.is_empty(), spread.0.is_empty()) {
            (true, true) => return None,
            (scaling_is_empty, spread_is_empty) => html! {
                @if !scaling_is_empty { h3 { "How cost grows" } (scaling) }
                @if !spread_is_empty { h3 { "The widest spread: each dot is a round" } (spread) }
            },
        };
        Some((
            format!("family-{}", anchor(name)),
            format!("Family {name}"),
            content,
        ))
    });
    sections.collect()
}

/// The first part of a case's name.
fn family(result: &CaseResult<String>) -> &str {
    result.case.split('/').next().unwrap_or(&result.case)
}

/// `name` as part of an anchor.
fn anchor(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect()
}

fn plotted(charts: &[Chart]) -> Markup {
    let figures: Vec<Markup> = charts.iter().filter_map(Chart::figure).collect();
    html! { @if !figures.is_empty() { div.plots { @for figure in figures { (figure) } } } }
}

fn changes(logs: &[Log]) -> Option<Section> {
    let history = History::of(logs);
    let changes = history::changes(&history);
    let unit = logs.first()?.unit().map_or("", words);
    let rows = html! { @for change in &changes { tr {
        th scope="row" { (change.case) }
        td.text { (change.date) } td.text { (change.file) } td.text { (change.revision) }
        td { (number(change.before)) } td { (number(change.after)) }
        td { (format!("{:+.2}", change.rise() * 100.0)) }
    } } };
    let charts: Vec<Chart> = history::trace::traces(&history, &changes, plots::MOST)
        .iter()
        .map(|trace| trace.chart(&trace.case, unit))
        .collect();
    let titles = [
        "case", "date", "log", "revision", "before", "after", "per cent",
    ];
    let content = html! {
        @if changes.is_empty() { p { "No change over " (logs.len()) " logs." } } @else {
            (web::table("history-table", "Changes over time", &titles, &rows))
            (plotted(&charts))
        }
    };
    Some(section("history", "History", content))
}

fn results(log: &Log) -> Option<Section> {
    let titles = [
        "case",
        "median",
        "min",
        "p25",
        "p75",
        "p99",
        "max",
        "samples",
        "class",
        "resolution",
    ];
    let rows = html! { @for result in &log.results { tr {
        th scope="row" { (result.case) }
        @for value in [result.median, result.min, result.p25, result.p75, result.p99, result.max] { td { (resolved(result, value)) } }
        td { (thousands(result.samples)) }
        td.text { (result.class.map_or("", Class::as_str)) }
        td { (result.resolution.map_or_else(String::new, figure)) }
    } } };
    (!log.results.is_empty()).then(|| {
        let content = html! {
            p.note { "In " (log.clock().map_or("", |clock| words(clock.unit()))) "." }
            (web::filter("results-table"))
            (web::table("results-table", "Results of all cases", &titles, &rows))
        };
        section("results", "All results", content)
    })
}

fn skipped(log: &Log) -> Option<Section> {
    (!log.skips.is_empty()).then(|| {
        let content =
            html! { ul { @for skip in &log.skips { li { (skip.case) ": " (skip.reason) } } } };
        section("skipped", "Skipped", content)
    })
}
