//! How figures and tables look: numbers that people can read, colours only where a terminal shows them.

use std::io::{ErrorKind, IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use comfy_table::{Attribute, Cell, CellAlignment, LineStyle, Table, presets};
use pagemark_record::{CaseResult, Figure};

/// Plain text, or a terminal's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// No escape sequences.
    Plain,
    /// Bold headers and coloured verdicts.
    Terminal,
}

impl Look {
    /// How to write to standard output: a terminal's way if it is one and `NO_COLOR` is not set.
    pub fn of_stdout() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        if std::io::stdout().is_terminal() && wanted {
            Self::Terminal
        } else {
            Self::Plain
        }
    }

    /// Columns of the terminal that standard output is; none where it is none.
    pub fn width(self) -> Option<u16> {
        match self {
            Self::Plain => None,
            Self::Terminal => terminal_size::terminal_size().map(|(width, _)| width.0),
        }
    }

    /// `text` in bold.
    pub fn bold(self, text: &str) -> String {
        self.styled(Style::new().bold(), text)
    }

    /// `text` as good news.
    pub fn good(self, text: &str) -> String {
        self.styled(AnsiColor::Green.on_default().bold(), text)
    }

    /// `text` as bad news.
    pub fn bad(self, text: &str) -> String {
        self.styled(AnsiColor::Red.on_default().bold(), text)
    }

    fn styled(self, style: Style, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Terminal => format!("{style}{text}{style:#}"),
        }
    }

    /// An empty table without lines.
    pub fn table(self) -> Table {
        let mut table = Table::new();
        table.load_style(
            presets::NOTHING.header_separator(LineStyle::none().fill('─').junction('─')),
        );
        match self {
            Self::Plain => table.force_no_tty(),
            Self::Terminal => table.enforce_styling(),
        };
        table
    }

    /// Gives `table` a header; columns stand two spaces apart, all but the first aligned to the right.
    pub fn header(self, table: &mut Table, titles: &[&str]) {
        table.set_header(
            titles
                .iter()
                .map(|title| Cell::new(title).add_attribute(Attribute::Bold)),
        );
        for (index, column) in table.column_iter_mut().enumerate() {
            // Between columns the table itself sets one space.
            column.set_padding(if index == 0 { (0, 0) } else { (1, 0) });
            if index > 0 {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
}

/// A finished table's lines, with `indent` spaces before each and none behind.
pub fn indented(table: &Table, indent: u16) -> String {
    let indent = usize::from(indent);
    table.lines().fold(String::new(), |text, line| {
        text + format!("{:indent$}{line}", "").trim_end() + "\n"
    })
}

/// A figure as people read it: `1,234.5`.
pub fn figure(figure: Figure) -> String {
    let text = figure.to_string();
    let (whole, decimals) = text.split_at(text.find('.').unwrap_or(text.len()));
    let (sign, digits) = match whole.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", whole),
    };
    let digits = digits.parse().map_or_else(|_| digits.to_owned(), thousands);
    format!("{sign}{digits}{decimals}")
}

/// A figure of a case as people read it: `< 52` where it lies below what the case resolves.
pub fn resolved<T>(result: &CaseResult<T>, value: Figure) -> String {
    match result
        .resolution
        .filter(|_| result.is_below_resolution(value))
    {
        Some(resolution) => format!("< {}", figure(resolution)),
        None => figure(value),
    }
}

/// A number with at most three decimals as people read it.
pub fn number(number: f64) -> String {
    figure(Figure::from_thousandths((number * 1000.0).round() as i64))
}

/// A figure of another tool: with three decimals at most where they say something, with an exponent where it is too small or too
/// large for that.
pub fn measured(value: f64) -> String {
    const MOST: f64 = 1e15;
    match value.abs() {
        size if size == 0.0 || (0.001..MOST).contains(&size) => number(value),
        _ => format!("{value:.3e}"),
    }
}

/// `1234567` as `1,234,567`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(String::from_utf8_lossy)
        .collect();
    groups.join(",")
}

/// A number of bytes in the largest binary unit that keeps it whole, or in MiB with one decimal.
pub fn bytes(number: u64) -> String {
    const MIB: u64 = 1 << 20;
    const GIB: u64 = 1 << 30;
    match number {
        0..MIB => format!("{} KiB", thousands(number / 1024)),
        _ if number.is_multiple_of(GIB) => format!("{} GiB", thousands(number / GIB)),
        _ if number.is_multiple_of(MIB) => format!("{} MiB", thousands(number / MIB)),
        _ => format!(
            "{}.{} MiB",
            thousands(number / MIB),
            number % MIB * 10 / MIB
        ),
    }
}

/// `1 check`, `2 checks`.
pub fn counted(number: usize, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", thousands(number as u64))
}

/// Writes to standard output. A reader that has seen enough is no error.
pub fn print(text: &str) -> std::io::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

#[cfg(test)]
mod tests {
    use pagemark_record::Unit;

    use super::*;

    #[test]
    fn what_is_not_resolved_is_shown_as_that() {
        let figures = |thousandths| Figure::from_thousandths(thousandths);
        let mut result = CaseResult::of_equal("a", Unit::Ticks, 0.into(), 31, "");
        assert_eq!(resolved(&result, figures(-1_500)), "-1.5");
        result.resolution = Some(52.into());
        for (figure, shown) in [
            (-26_000, "< 52"),
            (0, "< 52"),
            (51_999, "< 52"),
            (52_000, "52"),
            (-1_234_567_000, "< 52"),
            (1_234_500, "1,234.5"),
        ] {
            assert_eq!(resolved(&result, figures(figure)), shown);
        }
    }

    #[test]
    fn numbers() {
        let cases = [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (12_345, "12,345"),
            (u64::MAX, "18,446,744,073,709,551,615"),
        ];
        for (number, text) in cases {
            assert_eq!(thousands(number), text);
        }
        let cases = [
            (0, "0 KiB"),
            (65_536, "64 KiB"),
            (1 << 20, "1 MiB"),
            (6 << 30, "6 GiB"),
            ((1 << 30) - (1 << 19), "1,023.5 MiB"),
        ];
        for (number, text) in cases {
            assert_eq!(bytes(number), text);
        }
        let cases = [
            (0.0, "0"),
            (-1234.5, "-1,234.5"),
            (0.001, "0.001"),
            (0.000_25, "2.500e-4"),
            (1e300, "1.000e300"),
        ];
        for (number, text) in cases {
            assert_eq!(measured(number), text);
        }
    }
}
