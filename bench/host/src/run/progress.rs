//! What a person sees while the image runs: on a terminal one line that moves, elsewhere nothing.

use std::cell::Cell;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};
use pagemark_record::Record;

use crate::log::lines::record;

/// The moving line, on standard error; it goes when this value is dropped.
pub struct Progress {
    bar: ProgressBar,
    lines: Cell<u64>,
    cases: Cell<u64>,
}

impl Progress {
    /// Starts it. indicatif itself keeps quiet where standard error is no terminal.
    pub fn new() -> Self {
        let bar = ProgressBar::new_spinner().with_finish(ProgressFinish::AndClear);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed:>4}  {wide_msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Self {
            bar,
            lines: Cell::new(0),
            cases: Cell::new(0),
        }
    }

    /// Shows what is being done before the image says something.
    pub fn stage(&self, what: &'static str) {
        self.bar.set_message(what);
    }

    /// Writes a line that stays, whether a terminal is there or not.
    pub fn say(&self, line: &str) {
        self.bar.suspend(|| eprintln!("{line}"));
    }

    /// Takes in a cleaned line of the log.
    pub fn line(&self, line: &[u8]) {
        self.lines.set(self.lines.get() + 1);
        let now = match record(line) {
            Some(Ok(Record::Start(_))) => "booting".to_owned(),
            Some(Ok(Record::Result(result))) => {
                self.cases.set(self.cases.get() + 1);
                format!("{}: {} {}", result.case, result.median, result.unit)
            }
            Some(Ok(Record::Skip(skip))) => format!("{}: skipped", skip.case),
            Some(Ok(Record::Check(check))) => format!("checked {}", check.name),
            _ => return,
        };
        self.bar.set_message(format!(
            "{} cases, {} lines  {now}",
            self.cases.get(),
            self.lines.get()
        ));
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}
