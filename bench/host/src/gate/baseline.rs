//! The file of a baseline: Go benchmark lines, one a case, as in the log, so that the differences of two versions read as what
//! they are, and benchstat reads the file, too.

use std::fmt;
use std::str::FromStr;

use pagemark_record::{CaseResult, Figure};

use super::Difference;

/// The figures that a suite is held against.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baseline {
    /// What the figures are of: the suite, the clock, the machine.
    pub fingerprint: Vec<(String, String)>,
    /// The cases, in the order of the log.
    pub cases: Vec<Case>,
}

/// The figures of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// How many samples the others sum up.
    pub samples: u64,
    /// Median, minimum, 99th percentile and maximum, in the order of [`STATISTICS`].
    pub figures: [Figure; 4],
}

/// The statistics, and the units that the lines give them.
const STATISTICS: [(&str, &str); 4] = [
    ("median", "insns"),
    ("min", "min-insns"),
    ("p99", "p99-insns"),
    ("max", "max-insns"),
];

/// Why a file is no baseline.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BaselineError {
    /// A line of no kind that a baseline has.
    #[error(
        "line {line}: `{text}` is neither `key: value`, nor a unit, nor a benchmark with four figures in insns"
    )]
    Line {
        /// From 1.
        line: usize,
        /// The line.
        text: String,
    },
    /// A case that is there twice.
    #[error("line {line}: the case {name} is there twice")]
    Twice {
        /// From 1.
        line: usize,
        /// The case.
        name: String,
    },
    /// Nothing to hold a log against.
    #[error("there is no case")]
    Empty,
}

impl Case {
    /// The figures of a log's case.
    #[must_use]
    pub fn of(result: &CaseResult<String>) -> Self {
        Case {
            name: result.case.clone(),
            samples: result.samples,
            figures: [result.median, result.min, result.p99, result.max],
        }
    }

    /// Where `new` is not the same. A statistic that moved as the median did is told once.
    #[must_use]
    pub fn differences(&self, new: &Case) -> Vec<Difference> {
        let pairs = self.figures.iter().zip(new.figures);
        let median = (self.figures[0], new.figures[0]);
        STATISTICS
            .iter()
            .zip(pairs)
            .enumerate()
            .filter(|(place, (_, (base, new)))| {
                *base != new && (*place == 0 || (**base, *new) != median)
            })
            .map(|(_, ((statistic, _), (base, new)))| Difference {
                case: self.name.clone(),
                statistic,
                base: *base,
                new,
            })
            .collect()
    }

    fn parse(line: &str) -> Option<Self> {
        let mut words = line.strip_prefix("Benchmark")?.split_whitespace();
        let name = words.next()?;
        let first = name.chars().next()?.to_ascii_lowercase();
        let samples = words.next()?.parse().ok()?;
        let mut figures = [Figure::default(); 4];
        for (figure, (_, unit)) in figures.iter_mut().zip(STATISTICS) {
            *figure = words.next()?.parse().ok()?;
            (words.next()? == unit).then_some(())?;
        }
        words.next().is_none().then(|| Case {
            name: format!("{first}{}", &name[1..]),
            samples,
            figures,
        })
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, rest) = self.name.split_at(1);
        write!(
            f,
            "Benchmark{}{rest} {}",
            first.to_ascii_uppercase(),
            self.samples
        )?;
        for (figure, (_, unit)) in self.figures.iter().zip(STATISTICS) {
            write!(f, " {figure} {unit}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (key, value) in &self.fingerprint {
            writeln!(f, "{key}: {value}")?;
        }
        for (_, unit) in STATISTICS {
            writeln!(f, "Unit {unit} assume=exact better=lower")?;
        }
        self.cases.iter().try_for_each(|case| writeln!(f, "{case}"))
    }
}

impl FromStr for Baseline {
    type Err = BaselineError;

    fn from_str(text: &str) -> Result<Self, BaselineError> {
        let mut baseline = Baseline::default();
        for (line, text) in (1..).zip(text.lines()) {
            if text.is_empty() || text.starts_with("Unit ") {
                continue;
            }
            if let Some(case) = Case::parse(text) {
                if baseline.cases.iter().any(|known| known.name == case.name) {
                    let name = case.name;
                    return Err(BaselineError::Twice { line, name });
                }
                baseline.cases.push(case);
            } else if let Some((key, value)) = text.split_once(": ")
                && key.starts_with(|first: char| first.is_ascii_lowercase())
            {
                baseline
                    .fingerprint
                    .push((key.to_owned(), value.to_owned()));
            } else {
                let text = text.to_owned();
                return Err(BaselineError::Line { line, text });
            }
        }
        match baseline.cases.is_empty() {
            true => Err(BaselineError::Empty),
            false => Ok(baseline),
        }
    }
}
