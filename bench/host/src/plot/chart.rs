//! Lines or dots over two axes.

use maud::{Markup, html};

use super::at;
use super::palette::{self, Look};
use super::scale::{Axis, Scale};
use crate::gate::ticks::median;
use crate::style::measured;

const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 270.0;
const TOP: f64 = 22.0;
const RIGHT: f64 = 26.0;
const BOTTOM: f64 = 44.0;
/// Columns of a character of a mark.
const CHARACTER: f64 = 7.0;
/// More dots than this are one path, without a text for each.
const MOST_MARKS: usize = 24;
/// Lines this near to each other over their whole length, as a share of the height, are drawn as one inside the other.
const NEAR: f64 = 0.012;
/// How many interquartile ranges beyond the quartiles an outlier lies (Tukey, "Exploratory Data Analysis", 1977: far out).
const FAR_OUT: f64 = 3.0;

/// A line or a cloud of dots.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// Its name; empty where a plot has one alone.
    pub name: String,
    /// Its points.
    pub points: Vec<(f64, f64)>,
}

/// What a plot shows.
#[derive(Clone, Debug)]
pub struct Chart {
    /// The heading.
    pub title: String,
    /// What is measured along, with its unit.
    pub x: (String, Scale),
    /// What is measured, with its unit.
    pub y: (String, Scale),
    /// What is drawn.
    pub series: Vec<Series>,
    /// Whether the points of a series are joined.
    pub joined: bool,
    /// Upright lines with a word each: crossovers, changes.
    pub cuts: Vec<(f64, String)>,
    /// Whether far outliers are put to the edge, so that the others keep their room.
    pub clip: bool,
}

impl Chart {
    /// The plot as a `figure`; none without a point.
    pub fn figure(&self) -> Option<Markup> {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let [left, right] = ends(
            points()
                .map(|point| point.0)
                .chain(self.cuts.iter().map(|cut| cut.0)),
        )?;
        let heights: Vec<f64> = points().map(|point| point.1).collect();
        let log = self.y.1 == Scale::Log;
        let drawn = heights
            .iter()
            .copied()
            .filter(|height| !log || *height > 0.0);
        // Where no figure is above 0 there is nothing to take a logarithm of.
        let (scale, [low, high]) = match ends(drawn) {
            Some(ends) => (self.y.1, ends),
            None => (Scale::Linear, ends(heights.iter().copied())?),
        };
        let [low, high] = match self.clip {
            true => self.inner(low, high),
            false => [low, high],
        };
        let (x, y) = (
            Axis::new(self.x.1, left, right),
            Axis::new(scale, low, high),
        );
        let names: Vec<&str> = self
            .series
            .iter()
            .map(|series| series.name.as_str())
            .collect();
        let looks = palette::looks(&names);
        Some(html! {
            figure {
                figcaption { (self.title) }
                (self.svg(&x, &y, &looks))
                @let outside = self.outside(&y);
                @if let Some([least, most]) = ends(outside.iter().map(|point| point.1)) { small {
                    (outside.len()) " outside of the axis: "
                    @if least == most { (measured(most)) } @else { (measured(least)) " to " (measured(most)) }
                } }
                @if names.iter().any(|name| !name.is_empty()) { (self.legend(&y, &looks)) }
            }
        })
    }

    fn svg(&self, x: &Axis, y: &Axis, looks: &[Look]) -> Markup {
        let longest = y.marks.iter().map(|(_, text)| text.chars().count()).max();
        let left = 26.0 + CHARACTER * longest.unwrap_or(0) as f64;
        let (width, height) = (WIDTH - left - RIGHT, HEIGHT - TOP - BOTTOM);
        let across = |value: f64| left + width * x.share(value).clamp(0.0, 1.0);
        let down = |value: f64| TOP + height * (1.0 - y.share(value).clamp(0.0, 1.0));
        let inside =
            |value: f64| (-1e-9..=1.0 + 1e-9).contains(&y.share(value)) && value.is_finite();
        let bottom = TOP + height;
        let outside = self.outside(y);
        html! {
            svg role="img" aria-label=(self.description()) viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) {
                @let along = spaced(&x.marks, across).collect::<Vec<_>>();
                path.grid d={
                    @for (value, _) in &y.marks { "M" (at(left)) " " (at(down(*value))) "H" (at(left + width)) }
                    @for (value, _) in &along { "M" (at(across(*value))) " " (at(TOP)) "V" (at(bottom)) }
                } {}
                g.end { @for (value, text) in &y.marks { text x=(at(left - 6.0)) y=(at(down(*value) + 4.0)) { (text) } } }
                g.mid { @for (value, text) in &along { text x=(at(across(*value))) y=(at(bottom + 16.0)) { (text) } } }
                line.axis x1=(at(left)) x2=(at(left + width)) y1=(at(bottom)) y2=(at(bottom)) {}
                line.axis x1=(at(left)) x2=(at(left)) y1=(at(TOP)) y2=(at(bottom)) {}
                text.mid x=(at(left + width / 2.0)) y=(at(HEIGHT - 8.0)) { (self.x.0) }
                text.mid transform=(format!("translate(12 {}) rotate(-90)", at(TOP + height / 2.0))) { (self.y.0) }
                @for (place, word) in &self.cuts {
                    line.cut x1=(at(across(*place))) x2=(at(across(*place))) y1=(at(TOP)) y2=(at(bottom)) {}
                    @let right = x.share(*place) > 0.5;
                    text.end[right] x=(at(across(*place) + if right { -4.0 } else { 4.0 })) y=(at(TOP - 8.0)) { (word) }
                }
                @for (line, series) in self.series.iter().enumerate() {
                    @let Look { colour, dash } = looks[line];
                    @let points = from_left(series.points.iter().copied().filter(|point| point.0.is_finite() && inside(point.1)));
                    @if self.joined && points.len() > 1 {
                        @let under = if self.is_under(line, y).is_some() { " under" } else { "" };
                        path class=(format!("line c{colour} d{dash}{under}")) d=(path(&points, across, down)) {}
                    }
                    @if points.len() > MOST_MARKS {
                        path class=(format!("dots c{colour}")) d=(dots(&points, across, down)) {}
                    } @else { @for point in &points {
                        circle class=(format!("mark c{colour}")) cx=(at(across(point.0))) cy=(at(down(point.1))) r="2.5" {
                            title { (measured(point.1)) }
                        }
                    } }
                }
                // What lies beyond the axis stands at its end, as an arrow.
                @for (place, value, line) in &outside {
                    @let (tip, foot) = if y.share(*value) > 0.5 { (TOP - 5.0, TOP + 3.0) } else { (bottom + 5.0, bottom - 3.0) };
                    @let middle = across(*place);
                    path class=(format!("out c{}", looks[*line].colour))
                        d=(format!("M{} {}L{} {}H{}z", at(middle), at(tip), at(middle - 4.5), at(foot), at(middle + 4.5))) {
                        title { (measured(*value)) }
                    }
                }
            }
        }
    }

    /// The points that lie beyond the ends of the axis, with the number of their series.
    fn outside(&self, y: &Axis) -> Vec<(f64, f64, usize)> {
        let points = self.series.iter().enumerate().flat_map(|(line, series)| {
            series
                .points
                .iter()
                .map(move |point| (point.0, point.1, line))
        });
        let is_drawn = |point: &(f64, f64, usize)| point.0.is_finite() && !point.1.is_nan();
        points
            .filter(is_drawn)
            .filter(|point| !is_inside(y, point.1))
            .collect()
    }

    /// The ends of the figures, without those that lie far out of the stretch between two cuts that they are in.
    fn inner(&self, low: f64, high: f64) -> [f64; 2] {
        let mut cuts: Vec<f64> = self.cuts.iter().map(|cut| cut.0).collect();
        cuts.sort_by(f64::total_cmp);
        let stretches = (0..=cuts.len()).filter_map(|at| {
            let from = at.checked_sub(1).map_or(f64::MIN, |before| cuts[before]);
            let to = cuts.get(at).copied().unwrap_or(f64::INFINITY);
            let points = self.series.iter().flat_map(|series| &series.points);
            let heights: Vec<f64> = points
                .filter(|point| (from..to).contains(&point.0))
                .map(|point| point.1)
                .collect();
            inner(&heights)
        });
        ends(stretches.flatten()).unwrap_or([low, high])
    }

    /// The picture in words.
    fn description(&self) -> String {
        let names: Vec<&str> = self
            .series
            .iter()
            .map(|series| series.name.as_str())
            .filter(|name| !name.is_empty())
            .collect();
        let of = if names.is_empty() {
            String::new()
        } else {
            format!(": {}", names.join(", "))
        };
        format!("{}{of}; {} over {}", self.title, self.y.0, self.x.0)
    }

    fn legend(&self, y: &Axis, looks: &[Look]) -> Markup {
        html! {
            ul.legend { @for (line, series) in self.series.iter().enumerate() { li {
                @let Look { colour, dash } = looks[line];
                @let over = self.is_under(line, y);
                svg viewBox="0 0 26 10" aria-hidden="true" {
                    path class=(format!("line c{colour} d{dash}{}", if over.is_some() { " under" } else { "" })) d="M0 5H26" {}
                }
                span { (series.name) @if let Some(over) = over { " (wide, below " (over) ")" } }
            } } }
        }
    }

    /// The name of a later line that hides this one, or nearly.
    fn is_under(&self, line: usize, y: &Axis) -> Option<&str> {
        let points = &self.series[line].points;
        let hides = |other: &&Series| {
            let mut shared = 0;
            points.iter().all(|(place, height)| {
                let Some((_, of_other)) = other.points.iter().find(|point| point.0 == *place)
                else {
                    return true;
                };
                shared += 1;
                (y.share(*height) - y.share(*of_other)).abs() < NEAR
            }) && shared > 1
        };
        self.series[line + 1..]
            .iter()
            .find(hides)
            .map(|other| other.name.as_str())
    }
}

/// Points in the order in which a line joins them.
fn from_left(points: impl Iterator<Item = (f64, f64)>) -> Vec<(f64, f64)> {
    let mut points: Vec<(f64, f64)> = points.collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    points
}

/// Marks whose texts do not run into each other.
fn spaced(
    marks: &[(f64, String)],
    across: impl Fn(f64) -> f64,
) -> impl Iterator<Item = &(f64, String)> {
    let mut free = f64::MIN;
    marks.iter().filter(move |(value, text)| {
        let half = text.chars().count() as f64 * CHARACTER / 2.0;
        let middle = across(*value);
        let fits = middle - half > free;
        if fits {
            free = middle + half + 4.0;
        }
        fits
    })
}

fn path(points: &[(f64, f64)], across: impl Fn(f64) -> f64, down: impl Fn(f64) -> f64) -> String {
    let place = |point: &(f64, f64)| format!("{} {}", at(across(point.0)), at(down(point.1)));
    let places: Vec<String> = points.iter().map(place).collect();
    format!("M{}", places.join("L"))
}

fn dots(points: &[(f64, f64)], across: impl Fn(f64) -> f64, down: impl Fn(f64) -> f64) -> String {
    points
        .iter()
        .map(|point| format!("M{} {}h0", at(across(point.0)), at(down(point.1))))
        .collect()
}

/// The least and the most of the finite ones.
fn ends(values: impl Iterator<Item = f64>) -> Option<[f64; 2]> {
    values
        .filter(|value| value.is_finite())
        .fold(None, |ends: Option<[f64; 2]>, value| {
            Some(ends.map_or([value; 2], |[low, high]| [low.min(value), high.max(value)]))
        })
}

/// Whether `value` lies between the ends of the axis.
fn is_inside(axis: &Axis, value: f64) -> bool {
    value.is_finite() && (-1e-9..=1.0 + 1e-9).contains(&axis.share(value))
}

/// The ends without far outliers; none of no figures.
fn inner(values: &[f64]) -> Option<[f64; 2]> {
    let mut sorted: Vec<f64> = values
        .iter()
        .copied()
        .filter(|value| value.is_finite())
        .collect();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    if half < 2 {
        return ends(sorted.into_iter());
    }
    let (below, above) = (
        median(&sorted[..half]),
        median(&sorted[sorted.len() - half..]),
    );
    // Of equal figures but a few, those few are no outliers of a range of nothing: the least that is shown is 1 %.
    let range = (above - below).max(median(&sorted).abs() * 0.01);
    let fences = [below - FAR_OUT * range, above + FAR_OUT * range];
    ends(
        sorted
            .into_iter()
            .filter(|value| (fences[0]..=fences[1]).contains(value)),
    )
}
