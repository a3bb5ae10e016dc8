//! The table of another tool's figures.

use std::path::Path;

use crate::import::Foreign;
use crate::log::printable;
use crate::style::{Look, indented, measured, thousands};

/// Everything that the file has.
pub fn render(path: &Path, foreign: &Foreign, look: Look) -> String {
    let format = foreign.format;
    let title = format!("{}, {}", printable::path(path), format.name());
    let mut table = look.table();
    let header = ["", "figure", "unit", "from", "to", "samples"];
    look.header(&mut table, &header);
    for entry in &foreign.entries {
        let bound = |bound: Option<f64>| bound.map_or_else(String::new, measured);
        table.add_row([
            entry.name.clone(),
            measured(entry.value),
            entry.unit.clone(),
            bound(entry.interval.map(|interval| interval.0)),
            bound(entry.interval.map(|interval| interval.1)),
            entry.samples.map_or_else(String::new, thousands),
        ]);
    }
    let mut text = format!(
        "{}\n\n{}\n  A figure is {}.\n",
        look.bold(&title),
        indented(&table, 2),
        format.statistic()
    );
    for note in &foreign.notes {
        text += &format!("  {note}\n");
    }
    text
}
