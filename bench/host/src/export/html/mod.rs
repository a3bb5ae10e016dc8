//! One self-contained page for people: what the gate found, tables that sort, plots. Nothing is loaded from elsewhere.

mod plots;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use self::plots::Plot;
use pagemark_record::Class;

use crate::gate::{Finding, Judgement};
use crate::history;
use crate::log::Log;
use crate::show::{self, words};
use crate::style::{figure, number, resolved, thousands};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The page. `history` are earlier logs, oldest first.
pub fn write(log: &Log, judgement: Option<&Judgement>, history: &[Log]) -> String {
    let title = format!("pagemark {}, suite {}", log.start.revision, log.start.suite);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { (title) }
                (machine(log))
                @if let Some(judgement) = judgement { (gate(judgement)) }
                (failures(log))
                (crossover(log))
                (plotted("How cost grows with size", "Medians over the number in a case's name; both axes are logarithmic.", plots::scaling(log)))
                (plotted("How samples are spread", "The cases whose samples differ most: each dot is one round, in the order taken.", plots::distributions(log)))
                (changes(history))
                (plotted("History", "Medians of the cases that changed most, from log to log.", plots::history(history)))
                (results(log))
                (skipped(log))
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

fn machine(log: &Log) -> Markup {
    html! {
        @if let Some(machine) = &log.machine {
            dl {
                dt { "CPU" } dd { (machine.cpu.trim()) ", " (machine.cpus) " in use" }
                dt { "hypervisor" } dd { (machine.hypervisor.as_deref().unwrap_or("none says that it is there")) }
                dt { "clock" } dd { (machine.clock) ", in " (words(machine.clock.unit())) }
                @if let Some(found) = &log.environment { dt { "environment" } dd { (show::environment(found)) } }
                dt { "layout, loader" } dd { (machine.layout) ", " (machine.loader) }
                dt { "command line" } dd { (log.start.command_line) }
            }
        }
    }
}

fn gate(judgement: &Judgement) -> Markup {
    let class = if judgement.fails() { "bad" } else { "good" };
    let told = || {
        judgement
            .rows
            .iter()
            .filter(|row| row.finding != Finding::Same)
    };
    let shown = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), number);
    html! {
        h2 { "Gate" }
        p class=(class) { (judgement.summary()) }
        p class="note" { (judgement.rule) }
        @if told().next().is_some() {
            div class="wide" { table class="sorts" {
                thead { tr { th { "case" } th { "base" } th { "new" } th { "per cent" } th { "finding" } } }
                tbody { @for row in told() { tr {
                    td { (row.name) @for line in &row.blame { br; small { (line) } } }
                    td { (shown(row.base)) } td { (shown(row.new)) }
                    td { @if row.base.is_some() && row.new.is_some() { (format!("{:+.2}", row.rise() * 100.0)) } }
                    td { (row.finding.word()) @if row.muted { ", muted" } }
                } } }
            } }
        }
    }
}

fn failures(log: &Log) -> Markup {
    let failed = || log.checks.iter().filter(|check| !check.pass);
    html! {
        @if failed().next().is_some() || !log.errors.is_empty() {
            h2 { "Failed" }
            ul {
                @for check in failed() { li class="bad" { (check.name) ": " (check.detail) } }
                @for error in &log.errors { li class="bad" { (error) } }
            }
        }
    }
}

fn results(log: &Log) -> Markup {
    html! {
        @if !log.results.is_empty() {
            h2 { "Results" }
            p class="note" { "In " (log.clock().map_or("", |clock| words(clock.unit()))) ". A click on a heading sorts." }
            label { "Only " input type="search" id="filter" placeholder="part of a name"; }
            div class="wide" { table class="sorts some" id="results" {
                thead { tr {
                    th { "case" }
                    @for title in ["median", "min", "p25", "p75", "p99", "max", "samples", "class", "resolution"] { th { (title) } }
                } }
                tbody { @for result in &log.results { tr {
                    td { (result.case) }
                    @for value in [result.median, result.min, result.p25, result.p75, result.p99, result.max] { td { (resolved(result, value)) } }
                    td { (thousands(result.samples)) }
                    td { (result.class.map_or("", Class::as_str)) }
                    td { (result.resolution.map_or_else(String::new, figure)) }
                } } }
            } }
        }
    }
}

fn crossover(log: &Log) -> Markup {
    let told = show::crossover::told(log).map(|text| format!("Crossover: {text}."));
    let advised = show::crossover::advised(log).map(|text| format!("Advice: {text}."));
    let note: Vec<String> = told.into_iter().chain(advised).collect();
    let note = note.join(" ");
    plotted(
        "Flush page by page, or everything",
        &note,
        plots::crossover(log),
    )
}

fn plotted(title: &str, note: &str, plots: Vec<Plot>) -> Markup {
    html! {
        @if !plots.is_empty() {
            h2 { (title) }
            p class="note" { (note) }
            div class="plots" { @for plot in plots { figure {
                figcaption { (plot.title) }
                (PreEscaped(plot.svg))
                @if !plot.legend.is_empty() {
                    ul { @for (colour, name) in plot.legend { li { span style=(format!("background: {colour}")) {} (name) } } }
                }
            } } }
        }
    }
}

fn changes(logs: &[Log]) -> Markup {
    let changes = history::changes(&history::History::of(logs));
    html! {
        @if !changes.is_empty() {
            h2 { "Changes over time" }
            div class="wide" { table class="sorts" {
                thead { tr { th { "case" } th { "date" } th { "log" } th { "revision" } th { "before" } th { "after" } th { "per cent" } } }
                tbody { @for change in &changes { tr {
                    td { (change.case) } td { (change.date) } td { (change.file) } td { (change.revision) }
                    td { (number(change.before)) } td { (number(change.after)) }
                    td { (format!("{:+.2}", change.rise() * 100.0)) }
                } } }
            } }
        }
    }
}

fn skipped(log: &Log) -> Markup {
    html! {
        @if !log.skips.is_empty() {
            h2 { "Skipped" }
            ul { @for skip in &log.skips { li { (skip.case) ": " (skip.reason) } } }
        }
    }
}
