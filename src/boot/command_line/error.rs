//! What can be wrong with the command line, each error naming the offending word.

use core::fmt;

use super::KEYS;
use super::value::{Accepted, List};

/// A word of the command line that cannot be followed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OptionError<'a> {
    /// Not of the form `key=value`.
    NotAnOption(&'a str),
    /// There is no such key.
    UnknownKey(&'a str),
    /// The key has been given before.
    Repeated(&'a str),
    /// The key does not take this value.
    BadValue {
        /// The key.
        key: &'a str,
        /// What it was given.
        value: &'a str,
        /// What it takes.
        accepted: Accepted,
    },
}

impl fmt::Display for OptionError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "command line: ")?;
        match self {
            OptionError::NotAnOption(word) => write!(f, "`{word}` is not of the form key=value"),
            OptionError::UnknownKey(key) => {
                let keys = List(KEYS, "and");
                write!(f, "unknown key `{key}`; the keys are {keys}")
            }
            OptionError::Repeated(key) => write!(f, "`{key}` is given twice"),
            OptionError::BadValue {
                key,
                value,
                accepted,
            } => {
                write!(f, "`{key}` cannot be `{value}`; it takes {accepted}")
            }
        }
    }
}

impl core::error::Error for OptionError<'_> {}
