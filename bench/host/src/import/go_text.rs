//! Go benchmark text (golang proposal 14313): `BenchmarkName/key=value-8 1000 12.5 ns/op 0 B/op`, and lines of other kinds, which
//! are passed over as the format has it: configuration (`key: value`), `Unit`, output of tests, a name alone (`go test -v`).
//!
//! - Each value and its unit is a figure; `ns/op` is `ns`, and so with other
//!   units of time. Of several lines (`-count=10`) it is the median, and a line is a sample.
//! - `go test` puts the number of CPUs behind each name, unless it is 1. Where every line ends in the same `-8` it is taken off;
//!   where they differ, of `-cpu=1,2,4` or because the numbers are part of names, names stay as they are.
//! - Iterations are lost, and configuration but for [`configuration`].
//! - A text that [`crate::export::go_text`] wrote says so, and gives names and numbers of samples as they were.

use std::collections::BTreeMap;

use super::{ImportError, count, figure, of_one, text_lines};
use crate::export::go_text::{MARK, lowered};
use crate::figures::Entry;
use crate::log::printable;

/// One result.
struct Line {
    name: String,
    iterations: u64,
    /// Values and their units.
    values: Vec<(f64, String)>,
}

/// Whether there is a line that is a result.
pub fn is_one(bytes: &[u8]) -> bool {
    text_lines(bytes).any(|(number, text)| matches!(result(number, &text), Ok(Some(_))))
}

/// The figures of a text.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Entry>, ImportError> {
    let (mut ours, mut lines) = (false, Vec::new());
    for (number, text) in text_lines(bytes) {
        ours |= text == MARK;
        lines.extend(result(number, &text)?);
    }
    let cpus = (!ours).then(|| common_cpus(&lines)).flatten();
    let entries = lines.into_iter().flat_map(|line| {
        let (name, samples) = match (ours, &cpus) {
            (true, _) => (
                lowered(&line.name),
                Some(line.iterations).filter(|&n| n > 0),
            ),
            (false, Some(cpus)) => (
                line.name
                    .strip_suffix(cpus.as_str())
                    .unwrap_or(&line.name)
                    .to_owned(),
                Some(1),
            ),
            (false, None) => (line.name, Some(1)),
        };
        line.values.into_iter().map(move |(value, unit)| Entry {
            samples,
            ..Entry::new(&name, of_one(&unit), value)
        })
    });
    Ok(entries.collect())
}

/// Every sample of a text, by name and unit: of the figures that count down, which all of Go's own do but rates.
///
/// # Errors
///
/// A line that begins as a result and is none.
pub fn samples(bytes: &[u8]) -> Result<BTreeMap<String, Vec<f64>>, ImportError> {
    let mut lines = Vec::new();
    for (number, text) in text_lines(bytes) {
        lines.extend(result(number, &text)?);
    }
    let cpus = common_cpus(&lines).unwrap_or_default();
    let mut samples: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for line in lines {
        let name = line.name.strip_suffix(cpus.as_str()).unwrap_or(&line.name);
        for (value, unit) in line
            .values
            .into_iter()
            .filter(|(_, unit)| !unit.ends_with("/s"))
        {
            let name = format!("{name} [{}]", of_one(&unit));
            samples
                .entry(printable::text(&name).into_owned())
                .or_default()
                .push(value);
        }
    }
    Ok(samples)
}

/// The configuration lines, `key: value`; of one key the last.
pub fn configuration(bytes: &[u8]) -> BTreeMap<String, String> {
    let lines = text_lines(bytes).filter_map(|(_, text)| {
        let (key, value) = text.split_once(": ")?;
        let is_key = key.starts_with(char::is_lowercase)
            && !key.contains(|c: char| c.is_whitespace() || c.is_uppercase());
        is_key.then(|| (key.to_owned(), printable::text(value.trim()).into_owned()))
    });
    lines.collect()
}

/// The result on a line, if it is one.
fn result(number: usize, text: &str) -> Result<Option<Line>, ImportError> {
    let mut fields = text.split_whitespace();
    let name = match text.strip_prefix("Benchmark").and(fields.next()) {
        Some(word) => &word["Benchmark".len()..],
        None => return Ok(None),
    };
    let Some(iterations) = fields.next() else {
        return Ok(None);
    };
    let read = measured(number, iterations, fields);
    // The format wants no small letter there, its tools take one: it may also be a word such as `Benchmarking`.
    if read.is_err() && name.chars().next().is_none_or(char::is_lowercase) {
        return Ok(None);
    }
    let (iterations, values) = read?;
    Ok(Some(Line {
        name: name.to_owned(),
        iterations,
        values,
    }))
}

/// What stands behind a name: the number of iterations, and values with their units.
fn measured<'a>(
    number: usize,
    iterations: &'a str,
    mut fields: impl Iterator<Item = &'a str>,
) -> Result<(u64, Vec<(f64, String)>), ImportError> {
    let count = count(number, "the number of iterations", iterations)?;
    let mut values = Vec::new();
    while let Some(value) = fields.next() {
        let found = figure(number, "a value", value)?;
        let unit = fields
            .next()
            .ok_or_else(|| ImportError::missing(number, "a unit", value))?;
        values.push((found, unit.to_owned()));
    }
    if values.is_empty() {
        return Err(ImportError::missing(number, "a value", iterations));
    }
    Ok((count, values))
}

/// The `-8` that every name ends in.
fn common_cpus(lines: &[Line]) -> Option<String> {
    let digits = lines.first()?.name.rsplit_once('-')?.1;
    let cpus = format!("-{digits}");
    let is_number = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    (is_number && lines.iter().all(|line| line.name.ends_with(&cpus))).then_some(cpus)
}
