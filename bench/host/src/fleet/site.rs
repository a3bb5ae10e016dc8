//! The fleet as a static site: an index, a page for each machine with its history, and one for each case over all machines.
//!
//! The pages work from `file://`. Nothing is loaded from elsewhere; the only script sorts and filters tables.

use std::path::Path;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::text::MACHINES;
use super::{Cell, Fleet};
use crate::style::measured;

const STYLE: &str = include_str!("site.css");
const SCRIPT: &str = include_str!("site.js");

/// Writes the site into `folder`.
///
/// # Errors
///
/// Those of writing files.
pub fn write(fleet: &Fleet, folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let put = |name: &str, text: &str| std::fs::write(folder.join(name), text);
    put("site.css", STYLE)?;
    put("site.js", SCRIPT)?;
    put("index.html", &index(fleet).into_string())?;
    for at in 0..fleet.machines.len() {
        put(&machine_page(at), &machine(fleet, at).into_string())?;
    }
    for at in 0..fleet.cases.len() {
        put(&case_page(at), &case(fleet, at).into_string())?;
    }
    Ok(())
}

fn machine_page(at: usize) -> String {
    format!("machine-{}.html", at + 1)
}

fn case_page(at: usize) -> String {
    format!("case-{}.html", at + 1)
}

fn page(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " – pagemark fleet" }
                link rel="stylesheet" href="site.css";
                script src="site.js" defer {}
            }
            body {
                header { nav aria-label="Site" { a href="index.html" { "pagemark fleet" } } }
                main { h1 { (title) } (body) }
            }
        }
    }
}

fn index(fleet: &Fleet) -> Markup {
    let body = html! {
        nav aria-label="On this page" { ul {
            li { a href="#machines" { "Machines" } }
            li { a href="#cases" { "Cases" } }
        } }
        h2 id="machines" { "Machines" }
        div.wide tabindex="0" role="region" aria-label="Table of machines" { table {
            thead { tr { @for title in MACHINES { th scope="col" { (title) } } } }
            tbody { @for (at, machine) in fleet.machines.iter().enumerate() { tr {
                th scope="row" { a href=(machine_page(at)) { (machine.name) } }
                td.text { (machine.cpu) } td.text { (machine.clock) } td { (machine.boots) }
                td { (format!("{:.2} %", machine.spread * 100.0)) }
                td { (machine.crossover.map_or("–".to_owned(), |pages| pages.to_string())) }
                td { (machine.changes.len()) } td.text { (machine.dates[1]) }
            } } }
        } }
        h2 id="cases" { "Cases" }
        p { "Medians of boots' medians in " (fleet.unit) "." }
        p { label { "Show cases that contain " input type="search" data-filters="matrix"; } }
        div.wide tabindex="0" role="region" aria-label="Table of cases" { table id="matrix" {
            thead { tr {
                th scope="col" { "case" }
                @for machine in &fleet.machines { th scope="col" { (machine.name) } }
            } }
            tbody { @for (at, (case, row)) in fleet.cases.iter().zip(&fleet.figures).enumerate() { tr {
                th scope="row" { a href=(case_page(at)) { (case) } }
                @for place in 0..row.len() { td { (Fleet::shown(row, place, None)) } }
            } } }
        } }
    };
    page("Machines and cases", &body)
}

fn machine(fleet: &Fleet, at: usize) -> Markup {
    let machine = &fleet.machines[at];
    let body = html! {
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
            div.wide tabindex="0" role="region" aria-label="Table of changes" { table {
                thead { tr { @for title in ["case", "date", "before", "after", "per cent", "95 %", "revision", "log"] { th scope="col" { (title) } } } }
                tbody { @for change in &machine.changes { tr {
                    th scope="row" { (change.case) } td.text { (change.date) }
                    td { (measured(change.before)) } td { (measured(change.after)) }
                    td { (format!("{:+.2}", change.rise() * 100.0)) }
                    td { @if let Some([low, high]) = change.interval { (format!("{:+.2} to {:+.2}", low * 100.0, high * 100.0)) } }
                    td.text { (change.revision) } td.text { (change.file) }
                } } }
            } }
        }
        h2 id="cases" { "Cases" }
        p { label { "Show cases that contain " input type="search" data-filters="cases-table"; } }
        div.wide tabindex="0" role="region" aria-label="Table of cases" { table id="cases-table" {
            thead { tr { @for title in ["case", fleet.unit.as_str(), "from", "to", "boots"] { th scope="col" { (title) } } } }
            tbody { @for (place, (case, row)) in fleet.cases.iter().zip(&fleet.figures).enumerate() {
                @if let Some(cell) = row[at] { tr {
                    th scope="row" { a href=(case_page(place)) { (case) } }
                    td { (measured(cell.median)) } td { (measured(cell.interval[0])) }
                    td { (measured(cell.interval[1])) } td { (cell.boots) }
                } }
            } }
        } }
    };
    page(&machine.name, &body)
}

fn case(fleet: &Fleet, at: usize) -> Markup {
    let (case, row) = (&fleet.cases[at], &fleet.figures[at]);
    let body = html! {
        figure {
            (plot(fleet, case, row))
            figcaption { "Median of boots' medians in " (fleet.unit) ", with its bounds of 95 %, by machine; log scale." }
        }
        div.wide tabindex="0" role="region" aria-label="Table of machines" { table {
            thead { tr { @for title in ["machine", fleet.unit.as_str(), "from", "to", "boots"] { th scope="col" { (title) } } } }
            tbody { @for (place, machine) in fleet.machines.iter().enumerate() {
                @if let Some(cell) = row[place] { tr {
                    th scope="row" { a href=(machine_page(place)) { (machine.name) } }
                    td { (measured(cell.median)) } td { (measured(cell.interval[0])) }
                    td { (measured(cell.interval[1])) } td { (cell.boots) }
                } }
            } }
        } }
    };
    page(case, &body)
}

/// Points with their bounds, a line a machine, over a log scale whose marks are 1, 2 and 5 times powers of ten.
fn plot(fleet: &Fleet, case: &str, row: &[Option<Cell>]) -> Markup {
    const LEFT: f64 = 220.0;
    const WIDTH: f64 = 460.0;
    const LINE: f64 = 24.0;
    let present: Vec<(usize, Cell)> = row
        .iter()
        .enumerate()
        .filter_map(|(place, cell)| Some((place, (*cell)?)))
        .collect();
    let positive = || {
        present
            .iter()
            .flat_map(|(_, cell)| cell.interval)
            .filter(|figure| *figure > 0.0)
    };
    let low = positive().fold(f64::MAX, f64::min);
    let high = positive().fold(f64::MIN, f64::max);
    if low > high {
        return html! { p { "Every figure is 0." } };
    }
    let marks = marks(low, high);
    let (first, last) = (marks[0].ln(), marks[marks.len() - 1].ln());
    let x = |figure: f64| {
        let place = (figure.max(f64::MIN_POSITIVE).ln() - first) / (last - first);
        LEFT + WIDTH * place.clamp(0.0, 1.0)
    };
    let height = LINE * present.len() as f64;
    let number = |figure: f64| format!("{figure:.1}");
    html! {
        svg role="img" aria-label=(format!("{case} by machine")) viewBox=(format!("0 0 720 {}", number(height + 60.0))) {
            @for mark in &marks {
                line.grid x1=(number(x(*mark))) x2=(number(x(*mark))) y1="8" y2=(number(height + 12.0)) {}
                text.mark x=(number(x(*mark))) y=(number(height + 30.0)) { (measured(*mark)) }
            }
            text.mark x=(number(LEFT + WIDTH / 2.0)) y=(number(height + 52.0)) { (fleet.unit) }
            @for (line, (place, cell)) in present.iter().enumerate() {
                @let y = number(LINE * line as f64 + 20.0);
                text.name x=(number(LEFT - 12.0)) y=(number(LINE * line as f64 + 24.0)) { (clipped(&fleet.machines[*place].name)) }
                line.bounds x1=(number(x(cell.interval[0]))) x2=(number(x(cell.interval[1]))) y1=(y) y2=(y) {}
                circle cx=(number(x(cell.median))) cy=(y) r="4" { title { (measured(cell.median)) " " (fleet.unit) } }
            }
            (PreEscaped(""))
        }
    }
}

fn clipped(name: &str) -> String {
    const MOST: usize = 28;
    match name.chars().count() > MOST {
        true => name.chars().take(MOST - 1).chain(['…']).collect(),
        false => name.to_owned(),
    }
}

/// Marks of a log scale that enclose `low` and `high`, which are positive: 1, 2, 5, 10, ...; of many decades powers of ten alone.
fn marks(low: f64, high: f64) -> Vec<f64> {
    const MOST: usize = 10;
    let scale = |steps: &[f64]| -> Vec<f64> {
        let decades = low.log10().floor() as i32..=high.log10().ceil() as i32;
        let all: Vec<f64> = decades
            .flat_map(|decade| steps.iter().map(move |step| step * 10_f64.powi(decade)))
            .collect();
        let from = all.iter().rposition(|mark| *mark <= low).unwrap_or(0);
        let to = all
            .iter()
            .position(|mark| *mark >= high)
            .unwrap_or(all.len() - 1);
        all[from..=to.max(from + 1).min(all.len() - 1)].to_vec()
    };
    let fine = scale(&[1.0, 2.0, 5.0]);
    if fine.len() <= MOST {
        fine
    } else {
        scale(&[1.0])
    }
}
