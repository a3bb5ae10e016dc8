//! Plots as SVG, for the page of a log and for the site of a fleet.
//!
//! - [`scale`] says where a value lies and which marks an axis has;
//! - [`palette`] gives a name its colour, the same in every plot, and lines of one colour their dashes;
//! - [`chart`] draws lines or dots over two axes, [`bounds`] a median with its bounds for each of several names.
//!
//! All looks come from [`STYLE`], so that a plot follows the reader's colour scheme and prints. The elements are written by hand:
//! of the plotting libraries none leaves colours to a style sheet and gives pictures their names.

pub mod bounds;
pub mod chart;
pub mod palette;
pub mod scale;
#[cfg(test)]
mod tests;

/// The style of all plots; a page has it beside its own. It needs the page's `--ink`, `--faint` and `--rule`.
pub const STYLE: &str = include_str!("plot.css");

/// A coordinate: a tenth of a unit is as fine as a screen shows.
fn at(place: f64) -> String {
    let text = format!("{place:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}
