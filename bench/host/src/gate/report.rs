//! The gate's table: what changed, and what it amounts to. Cases that did not change are counted.

use comfy_table::{Cell, Color};

use super::{Finding, Judgement, Row};
use crate::show::words;
use crate::style::{Look, counted, indented, number};

impl Judgement {
    /// The table of the cases that changed, or that could not be judged, with the summary.
    pub fn render(&self, look: Look) -> String {
        let changed = |row: &&Row| row.finding != Finding::Same;
        let cases = self.rows.iter().filter(changed);
        let mut changed_rows: Vec<&Row> = self.suite.iter().filter(changed).chain(cases).collect();
        if let (true, Some(suite)) = (changed_rows.len() > 1, &self.suite)
            && suite.finding == Finding::Same
        {
            changed_rows.insert(0, suite);
        }
        let mut text = String::new();
        if !changed_rows.is_empty() {
            let title = format!("{}, median ({})", self.unit(), self.clock);
            let mut table = look.table();
            look.header(
                &mut table,
                &[
                    &title,
                    "base",
                    "new",
                    "difference",
                    "per cent",
                    "p",
                    "U p",
                    "",
                ],
            );
            for row in &changed_rows {
                table.add_row(self.cells(row, look));
            }
            text += &indented(&table, 2);
            text.push('\n');
            for row in changed_rows.iter().filter(|row| !row.blame.is_empty()) {
                text += &format!("  {}, an operation:\n", row.case());
                text.extend(row.blame.iter().map(|line| format!("    {line}\n")));
                text.push('\n');
            }
            text.extend(self.traced.iter().map(|line| format!("  {line}\n")));
        }
        let summary = self.summary();
        let summary = if self.fails() {
            look.bad(&summary)
        } else {
            look.good(&summary)
        };
        text += &format!("  {summary} ({})\n", self.rule);
        text.extend(self.notes.iter().map(|note| format!("  note: {note}\n")));
        text
    }

    /// What the figures are, in words.
    fn unit(&self) -> &'static str {
        match self.in_cycles {
            true => "cycles",
            false => words(self.clock.unit()),
        }
    }

    /// What it amounts to, in a line.
    pub fn summary(&self) -> String {
        let parts = [
            (Finding::Slower, "slower"),
            (Finding::Faster, "faster"),
            (Finding::Added, "new"),
            (Finding::Gone, "gone"),
            (Finding::CannotDecide, "cannot decide"),
        ];
        let suite = self
            .suite
            .iter()
            .filter(|suite| suite.finding != Finding::Same);
        let suite = suite.map(|suite| {
            format!(
                "the whole suite {} by {:.2} %",
                suite.finding.word(),
                suite.rise().abs() * 100.0
            )
        });
        let cases = parts
            .into_iter()
            .map(|(finding, word)| (self.count(finding), word))
            .filter(|&(count, _)| count > 0)
            .map(|(count, word)| format!("{count} {word}"));
        let mut words: Vec<String> = suite.chain(cases).collect();
        let changed_muted = |row: &&Row| row.muted && row.finding != Finding::Same;
        let muted = self.rows.iter().filter(changed_muted).count();
        if muted > 0 {
            words.push(format!("{muted} muted"));
        }
        words.push(format!(
            "{} unchanged",
            counted(self.count(Finding::Same), "figure")
        ));
        words.join(", ")
    }

    fn cells(&self, row: &Row, look: Look) -> Vec<Cell> {
        let shown = |figure: Option<f64>| figure.map_or_else(|| "-".to_owned(), number);
        let (difference, share) = match (row.base, row.new) {
            (Some(base), Some(new)) if base != new => {
                let sign = if new > base { "+" } else { "-" };
                let share = match base {
                    0.0 => "from 0".to_owned(),
                    _ => format!("{:+.2} %", row.rise() * 100.0),
                };
                (format!("{sign}{}", number((new - base).abs())), share)
            }
            _ => (String::new(), String::new()),
        };
        let [joint, alone] =
            [row.joint_p, row.p].map(|p| p.map_or_else(String::new, |p| format!("{p:.1e}")));
        let mut word = row.finding.word().to_owned();
        if row.muted {
            word += ", muted";
        }
        let mark = match (look, row.muted, row.finding) {
            (Look::Terminal, false, Finding::Slower | Finding::Gone) => {
                Cell::new(word).fg(Color::Red)
            }
            (Look::Terminal, false, Finding::Faster) => Cell::new(word).fg(Color::Green),
            _ => Cell::new(word),
        };
        let figures = [
            row.name.clone(),
            shown(row.base),
            shown(row.new),
            difference,
            share,
            joint,
            alone,
        ];
        figures.into_iter().map(Cell::new).chain([mark]).collect()
    }
}

impl Finding {
    /// It in words.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Same => "unchanged",
            Self::Slower => "slower",
            Self::Faster => "faster",
            Self::Added => "new",
            Self::Gone => "gone",
            Self::CannotDecide => "cannot decide",
        }
    }
}

impl Row {
    /// It in a sentence: `12 -> 13 (+8.33 %), slower`.
    pub fn message(&self) -> String {
        let shown = |figure: Option<f64>| figure.map_or_else(|| "none".to_owned(), number);
        let share = match (self.base, self.new) {
            (Some(base), Some(_)) if base != 0.0 => format!(" ({:+.2} %)", self.rise() * 100.0),
            _ => String::new(),
        };
        let blame: String = self.blame.iter().map(|line| format!("; {line}")).collect();
        let finding = self.finding.word();
        format!(
            "{}: {} -> {}{share}, {finding}{blame}",
            self.name,
            shown(self.base),
            shown(self.new)
        )
    }
}
