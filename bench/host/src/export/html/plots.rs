//! The page's plots, as SVG. Colours are readable on light and dark paper; titles and legends are the page's, which knows how wide it is.

use std::collections::BTreeMap;
use std::ops::Range;

use pagemark_record::{CaseResult, Crossover, Translations, read_series};
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;

use crate::history;
use crate::log::Log;

const SIZE: (u32, u32) = (440, 250);
const GREY: RGBColor = RGBColor(128, 128, 128);
const COLOURS: [RGBColor; 6] = [
    RGBColor(40, 120, 190),
    RGBColor(200, 110, 30),
    RGBColor(60, 150, 80),
    RGBColor(180, 70, 110),
    RGBColor(120, 100, 190),
    RGBColor(140, 120, 60),
];
/// More plots than this make no page.
const MOST: usize = 24;
/// Lines in one plot.
const MOST_LINES: usize = 6;

/// The cases that [`crossover`] shows begin so: those of logs of version 3, and those of version 2.
const BESIDE: [&str; 2] = ["tlb/flush/", "tlb/flush_user/"];
const REFILL: &str = "tlb/refill/";

/// A plot's lines: a name and its points.
type Lines = BTreeMap<String, Vec<(f64, f64)>>;

/// A plot.
pub struct Plot {
    /// What it shows.
    pub title: String,
    /// It, as an `<svg>` element.
    pub svg: String,
    /// Its lines, where they have names: a colour of CSS and the name.
    pub legend: Vec<(String, String)>,
}

/// The cases that flush a number of pages and use a working set afterwards, page by page and all at once, and where the one becomes
/// cheaper than the other: a plot for each working set, and for logs of version 2 one.
pub fn crossover(log: &Log) -> Vec<Plot> {
    log.crossovers
        .iter()
        .filter_map(|found| crossing(log, found))
        .collect()
}

fn crossing(log: &Log, found: &Crossover) -> Option<Plot> {
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
    let mut lines = vec![
        ("page by page".to_owned(), line("by_page")),
        ("everything".to_owned(), line("whole")),
    ];
    if lines.iter().any(|(_, points)| points.len() < 2) {
        return None;
    }
    if let Some(pages) = found.pages {
        let heights = || {
            lines
                .iter()
                .flat_map(|(_, points)| points)
                .map(|point| point.1)
        };
        let ends = range(heights()).map(|heights| [heights.start, heights.end]);
        let upright = ends.map(|ends| ends.map(|height| (pages as f64, height)));
        lines.extend(upright.map(|ends| (format!("crossover: {pages}"), ends.to_vec())));
    }
    logarithmic(&title, &lines)
}

/// Cases whose names differ in a number alone, one plot for each first part of a name and key.
pub fn scaling(log: &Log) -> Vec<Plot> {
    let mut plots: BTreeMap<(String, String), Lines> = BTreeMap::new();
    let drawn = |case: &str, family: &str| case.starts_with(family);
    let others = |case: &str| {
        !BESIDE.iter().any(|family| drawn(case, family))
            && (log
                .crossovers
                .iter()
                .all(|found| found.working_set.is_some())
                || !drawn(case, REFILL))
    };
    for result in log.results.iter().filter(|result| others(&result.case)) {
        let parts: Vec<&str> = result.case.split('/').collect();
        let Some((place, key, value)) = parts.iter().enumerate().find_map(|(place, part)| {
            let (key, value) = part.split_once('=')?;
            Some((place, key, amount(value)?))
        }) else {
            continue;
        };
        // An order is a logarithm already.
        let x = if key == "order" {
            2_f64.powf(value)
        } else {
            value
        };
        let y = result.median.as_f64();
        if x > 0.0 && y > 0.0 {
            let line: Vec<&str> = parts
                .iter()
                .enumerate()
                .filter(|&(at, _)| at > 0 && at != place)
                .map(|(_, part)| *part)
                .collect();
            let title = (parts[0].to_owned(), key.to_owned());
            plots
                .entry(title)
                .or_default()
                .entry(line.join("/"))
                .or_default()
                .push((x, y));
        }
    }
    let mut drawn = Vec::new();
    for ((group, key), lines) in plots {
        let lines: Vec<(String, Vec<(f64, f64)>)> = lines
            .into_iter()
            .filter(|(_, points)| points.len() > 1)
            .collect();
        let label = if key == "order" {
            "frames"
        } else {
            key.as_str()
        };
        drawn.extend(
            lines
                .chunks(MOST_LINES)
                .filter_map(|lines| logarithmic(&format!("{group}, by {label}"), lines)),
        );
    }
    drawn.truncate(MOST);
    drawn
}

/// `512`, `16MiB`, `4KiB` as a number.
fn amount(text: &str) -> Option<f64> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let scale = match &text[digits.len()..] {
        "" => 1.0,
        "KiB" => 1024.0,
        "MiB" => 1024.0 * 1024.0,
        "GiB" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    digits.parse::<f64>().ok().map(|number| number * scale)
}

/// The rounds of the cases whose samples differ most.
pub fn distributions(log: &Log) -> Vec<Plot> {
    let mut spread: Vec<_> = log
        .results
        .iter()
        .filter(|result| result.min != result.max)
        .collect();
    let share = |result: &CaseResult<String>| {
        result.max.less(result.min).as_f64() / result.median.as_f64().max(1.0)
    };
    spread.sort_by(|a, b| share(b).total_cmp(&share(a)));
    spread
        .into_iter()
        .take(MOST)
        .filter_map(|result| {
            let rounds = read_series(&result.rounds).flatten();
            let points: Vec<(f64, f64)> = rounds
                .enumerate()
                .map(|(round, figure)| (round as f64, figure.as_f64()))
                .collect();
            dots(&result.case, &points)
        })
        .collect()
}

/// The medians of the cases that changed most over the logs.
pub fn history(logs: &[Log]) -> Vec<Plot> {
    let mut changes = history::changes(&history::History::of(logs));
    changes.sort_by(|a, b| b.rise().abs().total_cmp(&a.rise().abs()));
    let mut cases: Vec<String> = Vec::new();
    for change in changes {
        if !cases.contains(&change.case) {
            cases.push(change.case);
        }
    }
    let medians = crate::gate::medians(logs);
    cases
        .iter()
        .take(MOST)
        .filter_map(|case| {
            let points: Vec<(f64, f64)> = medians
                .get(case)?
                .iter()
                .enumerate()
                .map(|(at, &y)| (at as f64, y))
                .collect();
            dots(case, &points)
        })
        .collect()
}

fn logarithmic(title: &str, lines: &[(String, Vec<(f64, f64)>)]) -> Option<Plot> {
    let points = || lines.iter().flat_map(|(_, points)| points);
    let x = range(points().map(|point| point.0))?;
    let y = range(points().map(|point| point.1))?;
    draw(
        title,
        (x.start..x.end * 1.1).log_scale(),
        (y.start * 0.8..y.end * 1.25).log_scale(),
        lines,
        true,
    )
}

fn dots(title: &str, points: &[(f64, f64)]) -> Option<Plot> {
    let x = range(points.iter().map(|point| point.0))?;
    let y = range(points.iter().map(|point| point.1))?;
    let margin = (y.end - y.start).max(y.end * 0.01).max(0.5) * 0.1;
    let lines = [(String::new(), points.to_vec())];
    draw(
        title,
        x.start..x.end.max(x.start + 1.0),
        y.start - margin..y.end + margin,
        &lines,
        false,
    )
}

fn range(values: impl Iterator<Item = f64>) -> Option<Range<f64>> {
    values.fold(None, |range: Option<Range<f64>>, value| {
        Some(range.map_or(value..value, |range| {
            range.start.min(value)..range.end.max(value)
        }))
    })
}

/// None where a plot cannot be drawn.
fn draw<X, Y>(
    title: &str,
    x: X,
    y: Y,
    lines: &[(String, Vec<(f64, f64)>)],
    joined: bool,
) -> Option<Plot>
where
    X: AsRangedCoord<Value = f64>,
    Y: AsRangedCoord<Value = f64>,
    X::CoordDescType: ValueFormatter<f64>,
    Y::CoordDescType: ValueFormatter<f64>,
{
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let font = |size: u32| ("sans-serif", size).into_font().color(&GREY);
        let mut chart = ChartBuilder::on(&area)
            .margin(6)
            .margin_right(24)
            .x_label_area_size(26)
            .y_label_area_size(56)
            .build_cartesian_2d(x, y)
            .ok()?;
        chart
            .configure_mesh()
            .axis_style(GREY)
            .bold_line_style(GREY.mix(0.25))
            .light_line_style(TRANSPARENT)
            .label_style(font(13))
            .x_labels(6)
            .y_labels(6)
            .x_label_formatter(&|value| short(*value))
            .y_label_formatter(&|value| short(*value))
            .draw()
            .ok()?;
        for ((_, points), colour) in lines.iter().zip(COLOURS.iter().cycle()) {
            let mut points = points.clone();
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            if joined {
                chart
                    .draw_series(LineSeries::new(
                        points.iter().copied(),
                        colour.stroke_width(2),
                    ))
                    .ok()?;
            }
            chart
                .draw_series(
                    points
                        .iter()
                        .map(|&point| Circle::new(point, 2, colour.filled())),
                )
                .ok()?;
        }
        area.present().ok()?;
    }
    let legend = lines.iter().zip(COLOURS.iter().cycle());
    Some(Plot {
        title: title.to_owned(),
        svg,
        legend: legend
            .filter(|((name, _), _)| !name.is_empty())
            .map(|((name, _), RGBColor(r, g, b))| (format!("rgb({r} {g} {b})"), name.clone()))
            .collect(),
    })
}

fn short(value: f64) -> String {
    match value.abs() {
        1e9.. => format!("{:.0}G", value / 1e9),
        1e6.. => format!("{:.0}M", value / 1e6),
        1e4.. => format!("{:.0}k", value / 1e3),
        _ => crate::style::number(value),
    }
}
