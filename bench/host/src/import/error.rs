//! Why a file of another tool cannot be read.

/// What is wrong with it, and where.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A value that is not of its kind.
    #[error("line {line}: {what} is `{found}`, which is no {expected}")]
    Value {
        /// Counted from 1.
        line: usize,
        /// What it should be the value of.
        what: &'static str,
        /// Of which kind it should be.
        expected: &'static str,
        /// The value.
        found: String,
    },
    /// Something is not there.
    #[error("line {line}: {what} is missing behind `{behind}`")]
    Missing {
        /// Counted from 1.
        line: usize,
        /// What.
        what: &'static str,
        /// What is there.
        behind: String,
    },
    /// JSON that is none, or does not have the format's keys.
    #[error("no {format}: {error}")]
    Json {
        /// The format's name.
        format: &'static str,
        /// What is wrong, with its line and column.
        error: serde_json::Error,
    },
    /// Nothing in it is a figure.
    #[error("{format} without any figure{}", list(.notes))]
    Empty {
        /// The format's name.
        format: &'static str,
        /// Why its benchmarks have none.
        notes: Vec<String>,
    },
}

/// The first of many reasons.
fn list(notes: &[String]) -> String {
    const MOST: usize = 8;
    let shown = notes.iter().take(MOST).map(|note| format!("\n  {note}"));
    let mut shown: String = shown.collect();
    if notes.len() > MOST {
        shown += &format!("\n  and {} more", notes.len() - MOST);
    }
    shown
}

impl ImportError {
    pub(super) fn value(
        line: usize,
        what: &'static str,
        expected: &'static str,
        found: &str,
    ) -> Self {
        Self::Value {
            line,
            what,
            expected,
            found: clipped(found),
        }
    }

    pub(super) fn missing(line: usize, what: &'static str, behind: &str) -> Self {
        Self::Missing {
            line,
            what,
            behind: clipped(behind),
        }
    }
}

/// The beginning of what may be very long, without what a terminal would obey.
pub(super) fn clipped(text: &str) -> String {
    const MOST: usize = 60;
    let shown = text.chars().take(MOST);
    let mut shown: String = shown
        .map(|c| if c.is_control() { '?' } else { c })
        .collect();
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    shown
}
