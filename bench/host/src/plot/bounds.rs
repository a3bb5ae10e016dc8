//! A median with its bounds for each of several names, one below the other, over a logarithmic axis.

use maud::{Markup, html};

use super::at;
use super::scale::{Axis, Scale};

const LEFT: f64 = 116.0;
const WIDTH: f64 = 270.0;
const RIGHT: f64 = 34.0;
const LINE: f64 = 18.0;
/// Characters of a name.
const MOST: usize = 16;

/// One name's figure.
#[derive(Clone, Debug)]
pub struct Row<'a> {
    /// The name.
    pub name: &'a str,
    /// The figure.
    pub median: f64,
    /// Its bounds.
    pub bounds: [f64; 2],
}

/// The picture, which `label` names; `unit` is that of the figures.
pub fn svg(label: &str, unit: &str, rows: &[Row<'_>]) -> Markup {
    let figures = || {
        rows.iter()
            .flat_map(|row| row.bounds.into_iter().chain([row.median]))
    };
    let scale = match figures().all(|figure| figure > 0.0) {
        true => Scale::Log,
        false => Scale::Linear,
    };
    let low = figures().fold(f64::MAX, f64::min);
    let high = figures().fold(f64::MIN, f64::max);
    if !(low.is_finite() && high.is_finite() && low <= high) {
        return html! { p { "No figures." } };
    }
    let axis = Axis::new(scale, low, high);
    let x = |figure: f64| at(LEFT + WIDTH * axis.share(figure).clamp(0.0, 1.0));
    let height = LINE * rows.len() as f64;
    let down = |line: usize| LINE * line as f64 + 18.0;
    html! {
        svg role="img" aria-label=(label) viewBox=(format!("0 0 {} {}", LEFT + WIDTH + RIGHT, at(height + 60.0))) {
            path class="grid" d=(lines(axis.marks.iter().map(|(mark, _)| format!("{} 8V{}", x(*mark), at(height + 12.0))))) {}
            g.mid {
                @for (mark, text) in &axis.marks { text x=(x(*mark)) y=(at(height + 30.0)) { (text) } }
                text x=(at(LEFT + WIDTH / 2.0)) y=(at(height + 52.0)) { (unit) }
            }
            g.end { @for (line, row) in rows.iter().enumerate() {
                text x=(at(LEFT - 12.0)) y=(at(down(line) + 4.0)) { (clipped(row.name)) }
            } }
            path class="line c1" d=(lines(rows.iter().enumerate().map(|(line, row)| {
                format!("{} {}H{}", x(row.bounds[0]), at(down(line)), x(row.bounds[1]))
            }))) {}
            path class="dots wide-dots c1" d=(lines(rows.iter().enumerate().map(|(line, row)| {
                format!("{} {}h0", x(row.median), at(down(line)))
            }))) {}
        }
    }
}

/// Each from its own point on.
fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.map(|line| format!("M{line}")).collect()
}

fn clipped(name: &str) -> String {
    match name.chars().count() > MOST {
        true => name.chars().take(MOST - 1).chain(['…']).collect(),
        false => name.to_owned(),
    }
}
