//! The list of cases whose changes are reported and do not count: a file with one glob a line, `*` for any text; `#` begins a comment.

use crate::glob;

/// The list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mutes(Vec<String>);

impl Mutes {
    /// Reads the file's text.
    pub fn read(text: &str) -> Self {
        let lines = text
            .lines()
            .map(|line| line.split('#').next().unwrap_or_default().trim());
        Self(
            lines
                .filter(|line| !line.is_empty())
                .map(str::to_owned)
                .collect(),
        )
    }

    /// Whether `case` is on it.
    pub fn contains(&self, case: &str) -> bool {
        self.0.iter().any(|pattern| glob::matches(pattern, case))
    }
}
