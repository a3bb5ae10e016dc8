//! LAVA's signal of a test case, as its dispatcher reads it from a serial line.
//!
//! The dispatcher takes `<LAVA_SIGNAL_TESTCASE` to `>`, splits the words at spaces and each at its one `=`; of the name of a test case it
//! keeps letters, digits, `_`, `-` and `.`.

use core::fmt::{self, Write};

use crate::{Figure, Unit};

/// A test case's signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TestCase<C> {
    /// The case or check: `pt/map/pages=512` is signalled as `pt.map.pages-512`.
    pub case: C,
    /// What became of it.
    pub result: TestResult,
    /// Its median.
    pub measurement: Option<(Figure, Unit)>,
}

/// What became of a test case, in LAVA's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestResult {
    /// It was measured, or held.
    Pass,
    /// It did not hold.
    Fail,
    /// It did not run.
    Skip,
}

impl<C: fmt::Display> fmt::Display for TestCase<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=")?;
        write!(Identifier(f), "{}", self.case)?;
        f.write_str(match self.result {
            TestResult::Pass => " RESULT=pass",
            TestResult::Fail => " RESULT=fail",
            TestResult::Skip => " RESULT=skip",
        })?;
        if let Some((median, unit)) = self.measurement {
            write!(f, " UNITS={unit} MEASUREMENT={median}")?;
        }
        f.write_char('>')
    }
}

/// Writes a name with the characters that LAVA keeps.
struct Identifier<'f, W>(&'f mut W);

impl<W: Write> Write for Identifier<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            self.0.write_char(match character {
                '/' => '.',
                '=' => '-',
                '_' | '-' | '.' => character,
                _ if character.is_ascii_alphanumeric() => character,
                _ => '_',
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn as_the_dispatcher_reads_it() {
        let mut signal = TestCase {
            case: "pt/map/pages=512",
            result: TestResult::Pass,
            measurement: Some((Figure::from_thousandths(1_161_250), Unit::Insns)),
        };
        assert_eq!(
            signal.to_string(),
            "<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=pt.map.pages-512 RESULT=pass UNITS=insns MEASUREMENT=1161.25>"
        );
        // A name that would end the signal, or begin another word.
        signal.case = "a> <b c";
        (signal.result, signal.measurement) = (TestResult::Fail, None);
        assert_eq!(
            signal.to_string(),
            "<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=a___b_c RESULT=fail>"
        );
    }
}
