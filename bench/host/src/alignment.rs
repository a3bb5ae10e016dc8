//! Figures that hang on where the code lies: logs of images whose code lies at different offsets, side by side.
//!
//! Processors fetch and decode code by aligned pieces of 16 to 64 bytes, so that the same instructions take another time at another
//! address. What moves here moves for no reason in the sources, and a change of that size in another comparison says nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::gate::ticks::median;
use crate::log::Log;
use crate::style::{Look, counted, indented, number};

/// The figures of some cases at several offsets of the code.
#[derive(Clone, Debug, PartialEq)]
pub struct Alignments {
    /// Bytes, in order.
    offsets: Vec<u32>,
    /// The cases that have a figure at every offset, those first that move most.
    rows: Vec<Row>,
    /// Cases that have none at some offset.
    partial: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq)]
struct Row {
    case: String,
    /// One figure an offset.
    figures: Vec<f64>,
}

impl Row {
    /// The distance from the least figure to the largest, as a share of the least.
    fn spread(&self) -> f64 {
        let least = self.figures.iter().copied().fold(f64::INFINITY, f64::min);
        let most = self.figures.iter().copied().fold(0.0, f64::max);
        (most - least) / least.max(f64::MIN_POSITIVE)
    }
}

/// All logs are of one offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "there are logs at one offset of the code only, {0} bytes; build images with --text-offset for the others"
)]
pub struct OneOffset(u32);

impl Alignments {
    /// Sorts the figures of `logs` by the offsets of their images; of several logs at one offset the median counts.
    pub fn new(logs: &[Log]) -> Result<Self, OneOffset> {
        let mut by_case: BTreeMap<&str, BTreeMap<u32, Vec<f64>>> = BTreeMap::new();
        let mut offsets = BTreeSet::new();
        for log in logs {
            let offset = log.start.text_offset;
            offsets.insert(offset);
            for result in &log.results {
                let figures = by_case.entry(&result.case).or_default();
                figures
                    .entry(offset)
                    .or_default()
                    .push(result.median.as_f64());
            }
        }
        if offsets.len() < 2 {
            return Err(OneOffset(offsets.first().copied().unwrap_or(0)));
        }
        let (whole, partial): (Vec<_>, Vec<_>) = by_case
            .into_iter()
            .partition(|(_, figures)| figures.len() == offsets.len());
        let mut rows: Vec<_> = whole
            .into_iter()
            .map(|(case, figures)| Row {
                case: case.to_owned(),
                figures: figures.values().map(|figures| median(figures)).collect(),
            })
            .collect();
        rows.sort_by(|a, b| b.spread().total_cmp(&a.spread()));
        Ok(Self {
            offsets: offsets.into_iter().collect(),
            rows,
            partial: partial
                .into_iter()
                .map(|(case, _)| case.to_owned())
                .collect(),
        })
    }

    /// The table of what moves, and how much does not.
    pub fn render(&self, look: Look) -> String {
        let moving = self.rows.iter().filter(|row| row.spread() > 0.0).count();
        let mut text = String::new();
        if moving > 0 {
            let mut table = look.table();
            let offsets = self.offsets.iter().map(|offset| format!("+{offset} B"));
            let titles: Vec<_> = ["case".to_owned()]
                .into_iter()
                .chain(offsets)
                .chain(["spread".to_owned()])
                .collect();
            let titles: Vec<_> = titles.iter().map(String::as_str).collect();
            look.header(&mut table, &titles);
            for row in &self.rows[..moving] {
                let figures = row.figures.iter().map(|&figure| number(figure));
                let spread = format!("{:.2} %", row.spread() * 100.0);
                table.add_row(
                    [row.case.clone()]
                        .into_iter()
                        .chain(figures)
                        .chain([spread]),
                );
            }
            text = indented(&table, 2) + "\n";
        }
        text += &format!(
            "  {} with figures that hang on where the code lies, {} without\n",
            counted(moving, "case"),
            self.rows.len() - moving
        );
        if !self.partial.is_empty() {
            let names: Vec<_> = self.partial.iter().map(String::as_str).collect();
            text += &format!("  not at every offset: {}\n", names.join(", "));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::read;
    use crate::log::sample::good;
    use pagemark_record::Clock;

    /// A log with the case `a` at `median` ticks and, at some offsets only, `b` at 10.
    fn log(text_offset: u32, median: u64) -> Log {
        let mut log = read(&good(Clock::Tsc)).unwrap();
        log.start.text_offset = text_offset;
        log.results.truncate(2);
        for (result, (case, median)) in log.results.iter_mut().zip([("a", median), ("b", 10)]) {
            result.case = case.to_owned();
            result.median = median.into();
        }
        log
    }

    #[test]
    fn what_moves_is_reported_with_its_spread_and_what_does_not_is_counted() {
        let logs = [
            log(48, 110),
            log(0, 100),
            log(0, 104),
            log(0, 101),
            log(16, 121),
        ];
        let text = Alignments::new(&logs).unwrap().render(Look::Plain);
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        assert!(lines[0].ends_with("+0 B  +16 B  +48 B   spread"), "{text}");
        // The median at offset 0 is 101.
        assert_eq!(
            lines[2].split_whitespace().collect::<Vec<_>>(),
            ["a", "101", "121", "110", "19.80", "%"]
        );
        assert_eq!(
            lines.last().unwrap(),
            &"1 case with figures that hang on where the code lies, 1 without"
        );
    }

    #[test]
    fn a_case_that_is_missing_somewhere_is_reported() {
        let mut short = log(16, 100);
        short.results.truncate(1);
        let text = Alignments::new(&[log(0, 100), short])
            .unwrap()
            .render(Look::Plain);
        assert!(text.ends_with("not at every offset: b\n"), "{text}");
        assert!(text.contains("0 cases with"), "{text}");
    }

    #[test]
    fn one_offset_is_nothing_to_compare() {
        let error = Alignments::new(&[log(16, 1), log(16, 2)]).unwrap_err();
        assert_eq!(error, OneOffset(16));
    }
}
