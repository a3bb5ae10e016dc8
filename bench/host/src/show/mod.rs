//! The table of one run: the machine, what was measured on it, what was proven, and how it ended. [`foreign`] is that of another
//! tool's figures.

mod areas;
mod block;
mod cases;
pub(crate) mod crossover;
pub mod foreign;
mod machine;
mod outcome;
pub(crate) mod summary;
#[cfg(test)]
mod tests;

use comfy_table::ContentArrangement;
use pagemark_record::{Buddyinfo, ORDERS, Unit};

use crate::glob::Globs;
use crate::image::Symbols;
use crate::log::Log;
use crate::style::{Look, counted, indented, thousands};
use block::block;

pub(crate) use machine::environment;

/// Columns of the text.
const WIDTH: u16 = 100;
const INDENT: u16 = 2;

/// Columns between columns.
const GAP: u16 = 2;

/// Columns of the words to the left of the machine's block.
const KEY: u16 = 12;

/// How much of a log is shown.
#[derive(Clone, Debug, Default)]
pub struct Detail {
    /// The summary alone.
    pub quiet: bool,
    /// Everything: what was skipped, free blocks, areas.
    pub all: bool,
    /// The cases in the table.
    pub only: Globs,
    /// Their order.
    pub sort: Sort,
    /// Columns of the terminal; none where nothing limits a line.
    pub width: Option<u16>,
}

/// The order of a table's cases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Sort {
    /// As the log has them, in groups
    #[default]
    Log,
    /// By name
    Name,
    /// By median, the most expensive first
    Median,
    /// By how far the 99th percentile lies above the median, the widest first
    Spread,
}

/// All of a log. A panic's addresses are named where `symbols` are those of its image.
pub fn render(log: &Log, look: Look, symbols: Option<&Symbols>) -> String {
    let detail = Detail {
        all: true,
        ..Detail::default()
    };
    render_as(log, look, symbols, &detail)
}

/// A log: what machine, how it went, the figures that most look for; then the table, and more as `detail` says.
pub fn render_as(log: &Log, look: Look, symbols: Option<&Symbols>, detail: &Detail) -> String {
    let title = format!("pagemark {}, suite {}", log.start.revision, log.start.suite);
    let mut text = format!("{}\n\n{}", look.bold(&title), machine::head(log, look));
    text += &format!("{}\n", outcome::tail(log, look, symbols));
    if let Some(summary) = summary::table(log, look) {
        text += &format!("{summary}\n");
    }
    if detail.quiet {
        return text;
    }
    if log
        .results
        .iter()
        .any(|result| detail.only.admit(&result.case))
    {
        text += &format!("{}\n", cases::results(log, look, detail));
    }
    if !log.skips.is_empty() && detail.all {
        let rows = log
            .skips
            .iter()
            .map(|skip| (skip.case.as_str(), skip.reason.clone()));
        text += &format!("{}\n{}\n", look.bold("  skipped"), block(rows, look));
    }
    if !log.buddyinfo.is_empty() && detail.all {
        text += &format!("{}\n", free_blocks(&log.buddyinfo, look));
    }
    if detail.all && log.vmallocinfo.iter().any(|info| info.live > 0) {
        text += &format!("{}\n", areas::table(&log.vmallocinfo, look));
    }
    let hidden = [log.skips.len(), log.buddyinfo.len()].iter().sum::<usize>();
    if !detail.all && hidden > 0 {
        let skipped = counted(log.skips.len(), "case");
        text += &format!("  {skipped} skipped; --all shows which, and the free blocks and areas\n");
    }
    text
}

/// The unit in words.
pub(crate) fn words(unit: Unit) -> &'static str {
    match unit {
        Unit::Insns => "instructions",
        Unit::Ticks => "ticks",
    }
}

/// The zones' free blocks, order by order, and why larger requests would fail.
fn free_blocks(infos: &[Buddyinfo<String>], look: Look) -> String {
    let orders: Vec<String> = (0..ORDERS).map(|order| order.to_string()).collect();
    let mut header = vec!["blocks by order"];
    header.extend(orders.iter().map(String::as_str));
    let mut table = look.table();
    look.header(&mut table, &header);
    for info in infos {
        let name = format!("{}, at the {}", info.zone, info.moment);
        let blocks = info.blocks.map(thousands);
        table.add_row([name].into_iter().chain(blocks));
        if info.fragmentation.iter().any(Option::is_some) {
            let indices = info.fragmentation.map(|index| {
                index.map_or("-".to_owned(), |index| {
                    format!("{}.{:03}", index / 1000, index % 1000)
                })
            });
            table.add_row(["  fragmentation".to_owned()].into_iter().chain(indices));
        }
    }
    table
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH - INDENT);
    indented(&table, INDENT)
}
