//! The command line as typed options: words of the form `key=value`, separated by spaces.
//!
//! Neither GRUB's `multiboot2` nor QEMU's `-append` puts the image's name in front, so every word has to be an option. A word
//! that is not is an error that names it; nothing is ignored.

use core::fmt;
use core::str::FromStr;

use arrayvec::ArrayString;

use super::info::COMMAND_LINE_BYTES;

/// Which cases run, and how often each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Suite {
    /// Every case, few samples.
    #[default]
    Quick,
    /// Every case, many samples.
    Full,
    /// No case: only tells how fast instructions are, so that a caller can choose an accelerator.
    Probe,
}

impl Suite {
    /// The name that the command line and the log give it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Suite::Quick => "quick",
            Suite::Full => "full",
            Suite::Probe => "probe",
        }
    }
}

/// A failure on purpose, for tests of how failures are told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Provoke {
    /// A panic.
    Panic,
    /// A stack that runs into its guard page.
    GuardPage,
    /// A read of address 0.
    Null,
    /// A loop without end or output.
    Hang,
}

/// How the machine is left.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Exit {
    /// Through QEMU's debug-exit device where there is one, else halt.
    #[default]
    Auto,
    /// Halt.
    Halt,
    /// Reset.
    Reset,
}

/// A typed value of an option.
trait Value: Sized {
    /// What is accepted, for the error message.
    const ACCEPTED: &'static str;

    fn parse(text: &str) -> Option<Self>;
}

impl Value for Suite {
    const ACCEPTED: &'static str = "quick, full or probe";

    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "quick" => Suite::Quick,
            "full" => Suite::Full,
            "probe" => Suite::Probe,
            _ => return None,
        })
    }
}

impl Value for Provoke {
    const ACCEPTED: &'static str = "panic, guard-page, null or hang";

    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "panic" => Provoke::Panic,
            "guard-page" => Provoke::GuardPage,
            "null" => Provoke::Null,
            "hang" => Provoke::Hang,
            _ => return None,
        })
    }
}

impl Value for Exit {
    const ACCEPTED: &'static str = "auto, halt or reset";

    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "auto" => Exit::Auto,
            "halt" => Exit::Halt,
            "reset" => Exit::Reset,
            _ => return None,
        })
    }
}

/// A number of samples for each case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Samples(pub u32);

impl Samples {
    /// As many as there is room for.
    pub const MAX: u32 = 10_000;
}

impl Value for Samples {
    const ACCEPTED: &'static str = "a number from 1 to 10000";

    fn parse(text: &str) -> Option<Self> {
        u32::from_str(text)
            .ok()
            .filter(|samples| (1..=Self::MAX).contains(samples))
            .map(Samples)
    }
}

/// Pages up to which a range is flushed page by page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ceiling(pub u64);

impl Value for Ceiling {
    const ACCEPTED: &'static str = "a number of pages";

    fn parse(text: &str) -> Option<Self> {
        u64::from_str(text).ok().map(Ceiling)
    }
}

/// Names of cases: patterns separated by commas, in which `*` stands for any text and `?` for one character.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Filter(ArrayString<COMMAND_LINE_BYTES>);

impl Filter {
    /// Whether one of the patterns matches the whole of `name`.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.0
            .split(',')
            .any(|pattern| matches(pattern.as_bytes(), name.as_bytes()))
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Value for Filter {
    const ACCEPTED: &'static str = "patterns of case names separated by commas";

    fn parse(text: &str) -> Option<Self> {
        let empty = text.split(',').any(str::is_empty);
        if empty {
            None
        } else {
            ArrayString::from(text).ok().map(Filter)
        }
    }
}

/// Glob matching that remembers the last `*` only: when a later part fails, that star takes one character more.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&byte) if byte == b'?' || byte == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    p = at + 1;
                    n = from + 1;
                    star = Some((at, n));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

/// Everything that the command line can say. What it does not say has its default.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// `suite=`
    pub suite: Suite,
    /// `only=`: run just these cases.
    pub only: Option<Filter>,
    /// `samples=`: instead of the suite's number.
    pub samples: Option<Samples>,
    /// `ceiling=`: instead of the default flush ceiling.
    pub ceiling: Option<Ceiling>,
    /// `provoke=`: fail on purpose.
    pub provoke: Option<Provoke>,
    /// `exit=`
    pub exit: Exit,
}

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
        accepted: &'static str,
    },
}

impl fmt::Display for OptionError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "command line: ")?;
        match self {
            OptionError::NotAnOption(word) => write!(f, "`{word}` is not of the form key=value"),
            OptionError::UnknownKey(key) => write!(
                f,
                "unknown key `{key}`; the keys are suite, only, samples, ceiling, provoke and exit"
            ),
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

impl Options {
    /// Parses a whole command line.
    ///
    /// # Errors
    ///
    /// The first word that cannot be followed.
    pub fn parse(line: &str) -> Result<Self, OptionError<'_>> {
        let (mut suite, mut only, mut samples, mut ceiling, mut provoke, mut exit) =
            (None, None, None, None, None, None);
        for word in line.split_whitespace() {
            let (key, value) = word.split_once('=').ok_or(OptionError::NotAnOption(word))?;
            match key {
                "suite" => set(&mut suite, key, value),
                "only" => set(&mut only, key, value),
                "samples" => set(&mut samples, key, value),
                "ceiling" => set(&mut ceiling, key, value),
                "provoke" => set(&mut provoke, key, value),
                "exit" => set(&mut exit, key, value),
                _ => Err(OptionError::UnknownKey(key)),
            }?;
        }
        Ok(Options {
            suite: suite.unwrap_or_default(),
            only,
            samples,
            ceiling,
            provoke,
            exit: exit.unwrap_or_default(),
        })
    }
}

fn set<'a, T: Value>(
    option: &mut Option<T>,
    key: &'a str,
    value: &'a str,
) -> Result<(), OptionError<'a>> {
    if option.is_some() {
        return Err(OptionError::Repeated(key));
    }
    let accepted = T::ACCEPTED;
    *option = Some(T::parse(value).ok_or(OptionError::BadValue {
        key,
        value,
        accepted,
    })?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn every_option_is_understood() {
        let options = Options::parse(
            "  suite=full only=tlb/*,pt/map/?  samples=7 ceiling=64 provoke=hang exit=reset ",
        )
        .unwrap();
        assert_eq!(options.suite, Suite::Full);
        assert_eq!(options.samples, Some(Samples(7)));
        assert_eq!(options.ceiling, Some(Ceiling(64)));
        assert_eq!(options.provoke, Some(Provoke::Hang));
        assert_eq!(options.exit, Exit::Reset);
        let only = options.only.unwrap();
        assert!(
            only.matches("tlb/invlpg") && only.matches("pt/map/1") && !only.matches("pt/map/512")
        );
        assert_eq!(Options::parse(""), Ok(Options::default()));
    }

    #[test]
    fn each_bad_word_is_named() {
        for (line, message) in [
            (
                "quiet",
                "command line: `quiet` is not of the form key=value",
            ),
            (
                "sweet=full",
                "command line: unknown key `sweet`; the keys are suite, only, samples, ceiling, provoke and exit",
            ),
            (
                "suite=full suite=full",
                "command line: `suite` is given twice",
            ),
            (
                "suite=",
                "command line: `suite` cannot be ``; it takes quick, full or probe",
            ),
            (
                "samples=0",
                "command line: `samples` cannot be `0`; it takes a number from 1 to 10000",
            ),
            (
                "samples=10001",
                "command line: `samples` cannot be `10001`; it takes a number from 1 to 10000",
            ),
            (
                "ceiling=-1",
                "command line: `ceiling` cannot be `-1`; it takes a number of pages",
            ),
            (
                "only=a,,b",
                "command line: `only` cannot be `a,,b`; it takes patterns of case names separated by commas",
            ),
            (
                "exit=off",
                "command line: `exit` cannot be `off`; it takes auto, halt or reset",
            ),
            (
                "provoke=joy",
                "command line: `provoke` cannot be `joy`; it takes panic, guard-page, null or hang",
            ),
        ] {
            assert_eq!(Options::parse(line).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn a_star_gives_back_what_it_took_too_early() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a*c*e", "abcde", true),
            ("a*c*e", "abcd", false),
            ("*ab", "aab", true),
            ("*aab", "aaaab", true),
            ("a?", "a", false),
            ("**", "x", true),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), name.as_bytes()),
                expected,
                "{pattern} {name}"
            );
        }
    }
}
