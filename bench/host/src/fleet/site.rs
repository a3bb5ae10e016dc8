//! The fleet as a static site: an index, a page for each machine, one for each family of cases and one for each case over all
//! machines, and one for the changes of all machines in order of time.
//!
//! The pages work from `file://`. Nothing is loaded from elsewhere; the only script sorts and filters tables.

use std::path::Path;

use maud::{Markup, html};

use super::text::MACHINES;
use super::{Fleet, Machine};
use crate::history::Change;
use crate::plot::bounds;
use crate::style::{counted, measured};
use crate::web::{self, Assets, SCRIPT, SCRIPT_FILE, STYLE_FILE};

/// The page of all changes.
const HISTORY: &str = "history.html";
/// Plots on the page of all changes, those of the machines in turn.
const MOST_PLOTS: usize = 24;

/// Writes the site into `folder`.
///
/// # Errors
///
/// Those of writing files.
pub fn write(fleet: &Fleet, folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let put = |name: &str, text: &str| std::fs::write(folder.join(name), text);
    put(STYLE_FILE, &web::style())?;
    put(SCRIPT_FILE, SCRIPT)?;
    put("index.html", &index(fleet).into_string())?;
    put(HISTORY, &history(fleet).into_string())?;
    for at in 0..fleet.machines.len() {
        put(&machine_page(at), &machine(fleet, at).into_string())?;
    }
    for at in 0..families(fleet).len() {
        put(&family_page(at), &family(fleet, at).into_string())?;
    }
    for at in 0..fleet.cases.len() {
        put(&case_page(at), &case(fleet, at).into_string())?;
    }
    Ok(())
}

fn machine_page(at: usize) -> String {
    format!("machine-{}.html", at + 1)
}

fn family_page(at: usize) -> String {
    format!("family-{}.html", at + 1)
}

fn case_page(at: usize) -> String {
    format!("case-{}.html", at + 1)
}

/// The first parts of the cases' names, each with the places of its cases.
fn families(fleet: &Fleet) -> Vec<(&str, Vec<usize>)> {
    let mut families: Vec<(&str, Vec<usize>)> = Vec::new();
    for (at, case) in fleet.cases.iter().enumerate() {
        let name = case.split('/').next().unwrap_or(case);
        match families.iter_mut().find(|family| family.0 == name) {
            Some(family) => family.1.push(at),
            None => families.push((name, vec![at])),
        }
    }
    families
}

fn page(title: &str, contents: &[(&str, &str)], content: &Markup) -> Markup {
    let site = html! {
        nav aria-label="Site" {
            a href="index.html" { "Fleet" } " · " a href=(HISTORY) { "History" }
        }
    };
    let title = format!("{title} – pagemark fleet");
    web::page(&title, Assets::Beside, &site, contents, content)
}

/// A row of a case's figures on all machines, whose name leads to its page.
fn row(fleet: &Fleet, at: usize) -> Markup {
    let figures = &fleet.figures[at];
    html! { tr {
        th scope="row" { a href=(case_page(at)) { (fleet.cases[at]) } }
        @for place in 0..figures.len() { td { (Fleet::shown(figures, place, None)) } }
    } }
}

/// The titles of a table with such rows.
fn titles(fleet: &Fleet) -> Vec<&str> {
    let names = fleet.machines.iter().map(|machine| machine.name.as_str());
    ["case"].into_iter().chain(names).collect()
}

fn index(fleet: &Fleet) -> Markup {
    let families = families(fleet);
    let machines = html! { @for (at, machine) in fleet.machines.iter().enumerate() { tr {
        th scope="row" { a href=(machine_page(at)) { (machine.name) } }
        td.text { (machine.cpu) } td.text { (machine.clock) } td { (machine.boots) }
        td { (format!("{:.2} %", machine.spread * 100.0)) }
        td { (machine.crossover.map_or("–".to_owned(), |pages| pages.to_string())) }
        td { (machine.changes.len()) } td.text { (machine.dates[1]) }
    } } };
    let matrix = html! { @for at in 0..fleet.cases.len() { (row(fleet, at)) } };
    let content = html! {
        h2 id="machines" { "Machines" }
        (web::table("machines-table", "Machines", &MACHINES, &machines))
        h2 id="families" { "Families of cases" }
        ul { @for (at, (name, cases)) in families.iter().enumerate() {
            li { a href=(family_page(at)) { (name) } ", " (counted(cases.len(), "case")) }
        } }
        h2 id="cases" { "Cases" }
        p.note { "Medians of boots' medians in " (fleet.unit) "." }
        (web::filter("matrix"))
        (web::table("matrix", "Cases by machine", &titles(fleet), &matrix))
    };
    let contents = [
        ("machines", "Machines"),
        ("families", "Families of cases"),
        ("cases", "Cases"),
    ];
    page("Machines and cases", &contents, &content)
}

/// The changes as a table; `machine` gives the name and the page of each one's machine.
fn changes<'a>(
    anchor: &str,
    changes: impl Iterator<Item = (Option<(usize, &'a Machine)>, &'a Change)>,
) -> Markup {
    let changes: Vec<_> = changes.collect();
    let with_machine = changes.iter().any(|(machine, _)| machine.is_some());
    let titles = [
        "date",
        "case",
        "before",
        "after",
        "per cent",
        "95 % from",
        "to",
        "revision",
        "log",
    ];
    let mut titles = titles.to_vec();
    if with_machine {
        titles.insert(1, "machine");
    }
    let rows = html! { @for (machine, change) in &changes { tr {
        th scope="row" { (change.date) }
        @if let Some((at, machine)) = machine { td.text { a href=(machine_page(*at)) { (machine.name) } } }
        td.text { (change.case) }
        td { (measured(change.before)) } td { (measured(change.after)) }
        td { (format!("{:+.2}", change.rise() * 100.0)) }
        @for bound in 0..2 { td { @if let Some(bounds) = change.interval { (format!("{:+.2}", bounds[bound] * 100.0)) } } }
        td.text { (change.revision) } td.text { (change.file) }
    } } };
    web::table(anchor, "Changes", &titles, &rows)
}

fn history(fleet: &Fleet) -> Markup {
    let mut all: Vec<(Option<(usize, &Machine)>, &Change)> = Vec::new();
    for (at, machine) in fleet.machines.iter().enumerate() {
        all.extend(
            machine
                .changes
                .iter()
                .map(|change| (Some((at, machine)), change)),
        );
    }
    // Dates are text that sorts by time.
    all.sort_by(|a, b| {
        a.1.date
            .cmp(&b.1.date)
            .then_with(|| a.1.case.cmp(&b.1.case))
    });
    let most = fleet
        .machines
        .iter()
        .map(|machine| machine.traces.len())
        .max()
        .unwrap_or(0);
    let in_turn = (0..most).flat_map(|at| {
        fleet
            .machines
            .iter()
            .filter_map(move |machine| Some((machine, machine.traces.get(at)?)))
    });
    let figures: Vec<Markup> = in_turn
        .take(MOST_PLOTS)
        .filter_map(|(machine, trace)| {
            let title = format!("{}: {}", machine.name, trace.case);
            trace.chart(&title, fleet.clock_unit()).figure()
        })
        .collect();
    let boots = fleet.machines.iter().map(|machine| machine.boots).sum();
    let content = html! {
        h2 id="changes" { "Changes" }
        p.note { "Where figures changed on each machine, over " (counted(boots, "log")) "." }
        @if all.is_empty() { p { "No change." } } @else { (changes("changes-table", all.into_iter())) }
        @if !figures.is_empty() {
            h2 id="plots" { "The cases that changed most" }
            div.plots { @for figure in figures { (figure) } }
        }
    };
    page(
        "History",
        &[("changes", "Changes"), ("plots", "Plots")][..1 + usize::from(most > 0)],
        &content,
    )
}

fn machine(fleet: &Fleet, at: usize) -> Markup {
    let machine = &fleet.machines[at];
    let rows = html! { @for (place, (case, row)) in fleet.cases.iter().zip(&fleet.figures).enumerate() {
        @if let Some(cell) = row[at] { tr {
            th scope="row" { a href=(case_page(place)) { (case) } }
            td { (measured(cell.median)) } td { (measured(cell.interval[0])) }
            td { (measured(cell.interval[1])) } td { (cell.boots) }
        } }
    } };
    let plots: Vec<Markup> = machine
        .traces
        .iter()
        .filter_map(|trace| trace.chart(&trace.case, fleet.clock_unit()).figure())
        .collect();
    let content = html! {
        dl {
            dt { "CPU" } dd { (machine.cpu) }
            dt { "Clock" } dd { (machine.clock) }
            dt { "Boots" } dd { (machine.boots) ", " (machine.dates[0]) " to " (machine.dates[1]) }
            dt { "Newest" } dd { (machine.newest) ", revision " (machine.revision) }
            dt { "Spread of boots" } dd { (format!("{:.2} %", machine.spread * 100.0)) }
            @if let Some(pages) = machine.crossover {
                dt { "Crossover" } dd { "from " (pages) " pages on flushing everything is the cheaper way" }
            }
        }
        h2 id="changes" { "History" }
        @if machine.changes.is_empty() { p { "No change over these boots." } } @else {
            (changes("changes-table", machine.changes.iter().map(|change| (None, change))))
            div.plots { @for plot in plots { (plot) } }
        }
        h2 id="cases" { "Cases" }
        (web::filter("cases-table"))
        (web::table("cases-table", "Cases", &["case", &fleet.unit, "95 % from", "to", "boots"], &rows))
    };
    page(
        &machine.name,
        &[("changes", "History"), ("cases", "Cases")],
        &content,
    )
}

/// All plots of a family's cases on one page, with a list of contents.
fn family(fleet: &Fleet, at: usize) -> Markup {
    let (name, cases) = &families(fleet)[at];
    let rows = html! { @for place in cases { (row(fleet, *place)) } };
    let content = html! {
        h2 id="table" { "Table" }
        p.note { "Medians of boots' medians in " (fleet.unit) "." }
        (web::table("family-table", "Cases by machine", &titles(fleet), &rows))
        h2 id="plots" { "Plots" }
        div.plots { @for place in cases { (figure(fleet, *place)) } }
    };
    page(
        &format!("Family {name}"),
        &[("table", "Table"), ("plots", "Plots")],
        &content,
    )
}

fn case(fleet: &Fleet, at: usize) -> Markup {
    let row = &fleet.figures[at];
    let rows = html! { @for (place, machine) in fleet.machines.iter().enumerate() {
        @if let Some(cell) = row[place] { tr {
            th scope="row" { a href=(machine_page(place)) { (machine.name) } }
            td { (measured(cell.median)) } td { (measured(cell.interval[0])) }
            td { (measured(cell.interval[1])) } td { (cell.boots) }
        } }
    } };
    let content = html! {
        (figure(fleet, at))
        (web::table("machines-table", "Machines", &["machine", &fleet.unit, "95 % from", "to", "boots"], &rows))
    };
    page(&fleet.cases[at], &[], &content)
}

/// The figures of a case on all machines.
fn figure(fleet: &Fleet, at: usize) -> Markup {
    let present = fleet.machines.iter().zip(&fleet.figures[at]);
    let rows: Vec<bounds::Row<'_>> = present
        .filter_map(|(machine, cell)| {
            let cell = (*cell)?;
            Some(bounds::Row {
                name: &machine.name,
                median: cell.median,
                bounds: cell.interval,
            })
        })
        .collect();
    let case = &fleet.cases[at];
    html! { figure {
        figcaption { a href=(case_page(at)) { (case) } small { "Median of boots' medians with its bounds of 95 %" } }
        (bounds::svg(&format!("{case} by machine"), &fleet.unit, &rows))
    } }
}
