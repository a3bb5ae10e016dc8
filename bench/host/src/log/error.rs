//! Why a log is not read as a whole one.

use std::fmt;
use std::sync::Arc;

use pagemark_record::Hex;

use super::damage::Damage;

/// Why a log cannot be taken for a whole run's, and where that shows.
#[derive(Clone, Debug, thiserror::Error)]
#[error("line {line}: {fault}{}", places(.damages))]
pub struct LogError {
    /// The line, counted from 1 in the file as it is.
    pub line: usize,
    /// What is wrong with it.
    pub fault: Fault,
    /// Of a damaged log: the places that are known to be damaged.
    pub damages: Vec<Damage>,
}

impl LogError {
    /// A fault on that line.
    pub fn new(line: usize, fault: Fault) -> Self {
        Self {
            line,
            fault,
            damages: Vec::new(),
        }
    }
}

fn places(damages: &[Damage]) -> String {
    damages
        .iter()
        .map(|damage| format!("\n  line {}: {}", damage.line, damage.kind))
        .collect()
}

/// What can be wrong with a log.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Fault {
    /// There is no `start` record at all.
    #[error(
        "the log stops and no record `start` came: the image did not come up, or this is no pagemark log"
    )]
    NoStart,
    /// The log stops too early.
    #[error("the log stops without a record `end` or `panic`: the run was cut off")]
    NoEnd,
    /// A record that cannot be read.
    #[error("a record that cannot be read: {0}")]
    Malformed(#[source] Arc<serde_json::Error>),
    /// Another version of the records.
    #[error(
        "the log has records of version {found}; this tool reads versions {} to {}",
        pagemark_record::OLDEST_SCHEMA,
        pagemark_record::SCHEMA
    )]
    Schema {
        /// The version of the log.
        found: u32,
    },
    /// A record before `start`.
    #[error("a record `{0}` before any `start`: the beginning of the log is missing")]
    BeforeStart(&'static str),
    /// A record after `end` or `panic`.
    #[error("a record `{0}` after the run's end: two logs in one?")]
    AfterEnd(&'static str),
    /// A second run begins.
    #[error("a second `start` (the first is on line {first}): two logs in one")]
    SecondStart {
        /// The line of the first.
        first: usize,
    },
    /// Something of which a log has one.
    #[error("a second {0}")]
    Twice(Twice),
    /// A record that contradicts another, or itself.
    #[error("{0}")]
    Contradiction(String),
    /// Lines are missing or too many.
    #[error("the run wrote {stated} lines, the log has {found} of them")]
    LineCount {
        /// What the `end` record states.
        stated: u64,
        /// What the log has.
        found: u64,
    },
    /// Bytes differ from those the image wrote.
    #[error("the lines' CRC-32 is {found}, the run wrote {stated}: the log is damaged")]
    Crc {
        /// What the `end` record states.
        stated: Hex,
        /// What the log has.
        found: Hex,
    },
}

/// Of what there is a second one.
#[derive(Clone, Debug)]
pub enum Twice {
    /// A record of which a log has one.
    Record(&'static str),
    /// A case measured or skipped before.
    Case(String),
}

impl fmt::Display for Twice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record(name) => write!(f, "record `{name}`"),
            Self::Case(name) => write!(f, "result of the case {name}"),
        }
    }
}
