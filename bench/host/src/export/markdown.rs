//! Markdown, as GitHub's step summary takes it: at most 1 MiB.

use comfy_table::{ContentArrangement, Table, presets};

use pagemark_record::Class;

use crate::gate::{Finding, Judgement};
use crate::log::Log;
use crate::show::words;
use crate::style::{figure, number, resolved, thousands};

/// The most bytes of a step's summary (GitHub, "Workflow commands").
pub const MOST: usize = 1 << 20;

/// What the gate found, then every figure. Rows beyond [`MOST`] are left out, and their number is given.
pub fn write(log: &Log, judgement: Option<&Judgement>) -> String {
    let clock = log.clock().map_or("", |clock| clock.as_str());
    let mut text = format!(
        "## pagemark {}, suite {}\n\n",
        escaped(&log.start.revision),
        escaped(&log.start.suite)
    );
    if let Some(machine) = &log.machine {
        text += &format!("{}, clock `{clock}`\n\n", escaped(machine.cpu.trim()));
    }
    if let Some(judgement) = judgement {
        text += &format!("**{}** ({})\n\n", judgement.summary(), judgement.rule);
        let mut table = table(&["case", "base", "new", "per cent", "finding"]);
        let rows = judgement
            .rows
            .iter()
            .filter(|row| row.finding != Finding::Same);
        for row in rows {
            let shown = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), number);
            let mut finding = row.finding.word().to_owned();
            if row.muted {
                finding += " (muted)";
            }
            if !row.blame.is_empty() {
                finding += &format!("; {}", row.blame.join("; "));
            }
            let share = format!("{:+.2} %", row.rise() * 100.0);
            table.add_row([
                code(&row.name),
                shown(row.base),
                shown(row.new),
                share,
                escaped(&finding),
            ]);
        }
        if table.row_count() > 0 {
            text += &format!("{table}\n\n");
        }
    }
    let failed = log.checks.iter().filter(|check| !check.pass);
    for check in failed {
        text += &format!(
            "- **failed**: {}: {}\n",
            code(&check.name),
            escaped(&check.detail)
        );
    }
    if !log.results.is_empty() {
        let unit = log.unit().map_or("", words);
        let mut table = table(&[
            "case",
            &format!("median {unit}"),
            "min",
            "p99",
            "max",
            "samples",
            "class",
            "resolution",
        ]);
        for result in &log.results {
            let figures = [result.median, result.min, result.p99, result.max]
                .map(|value| resolved(result, value));
            table.add_row([code(&result.case)].into_iter().chain(figures).chain([
                thousands(result.samples),
                result.class.map_or("", Class::as_str).to_owned(),
                result.resolution.map_or_else(String::new, figure),
            ]));
        }
        text += &format!("\n<details><summary>every figure</summary>\n\n{table}\n\n</details>\n");
    }
    limited(text)
}

/// Cuts at a line's end.
fn limited(mut text: String) -> String {
    const NOTE: &str = "\n(more was left out: a summary holds 1 MiB)\n";
    if text.len() > MOST {
        let mut at = MOST - NOTE.len();
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        let end = text[..at].rfind('\n').unwrap_or(0);
        text.truncate(end);
        text += NOTE;
    }
    text
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::ASCII_MARKDOWN)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(header.iter().copied());
    table
}

fn code(text: &str) -> String {
    format!("`{}`", text.replace('`', "'").replace('|', "\\|"))
}

/// Text that Markdown does not take for its own signs.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            '\n' | '\r' => escaped.push(' '),
            '<' => escaped += "&lt;",
            '&' => escaped += "&amp;",
            '|' | '*' | '_' | '`' | '[' | ']' | '\\' => {
                escaped.push('\\');
                escaped.push(character);
            }
            _ => escaped.push(character),
        }
    }
    escaped
}
