//! The mute list: cases whose differences are told but are no reason to fail, one name a line, each with its reason behind `#`.

use std::str::FromStr;

/// Names of cases.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mute(Vec<String>);

/// Why a file is no mute list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MuteError {
    /// A name without a reason.
    #[error("line {line}: `{name}` has no reason behind a `#`")]
    NoReason {
        /// From 1.
        line: usize,
        /// The case.
        name: String,
    },
}

impl Mute {
    /// Whether the list has this case.
    #[must_use]
    pub fn mutes(&self, case: &str) -> bool {
        self.0.iter().any(|name| name == case)
    }
}

impl FromStr for Mute {
    type Err = MuteError;

    fn from_str(text: &str) -> Result<Self, MuteError> {
        let mut names = Vec::new();
        for (line, text) in (1..).zip(text.lines()) {
            let (name, reason) = text.split_once('#').unwrap_or((text, ""));
            let name = name.trim();
            if name.is_empty() {
                continue;
            }
            if reason.trim().is_empty() {
                let name = name.to_owned();
                return Err(MuteError::NoReason { line, name });
            }
            names.push(name.to_owned());
        }
        Ok(Mute(names))
    }
}
