//! What Linux's module `test_vmalloc` (lib/test_vmalloc.c) writes to the kernel's log: for each worker a line a test, `Summary:
//! fix_size_alloc_test passed: 1 failed: 0 repeat: 1 loops: 1000000 avg: 969123 usec`, newer ones with `xfailed: 0`, and `All test
//! took worker0=… cycles`.
//!
//! - A figure is the time of one turn of a test's loop in nanoseconds, `test_vmalloc/fix_size_alloc_test`: the name of our case of
//!   the same shape. `avg` is the mean of all loops of a repetition, so it is divided by `loops`; what a test sets up before its loop
//!   is in it. `align_shift_alloc_test` and `pcpu_alloc_test` have no such loop: their figure is the whole.
//! - Of several workers it is the median, and a worker is a sample.
//! - A test that failed has no figure but a note; `align_shift_alloc_test` is there to fail.
//! - Counts of repetitions and the workers' cycles are lost.

use super::{Found, ImportError, count, text_lines};
use crate::figures::Entry;

/// What a line of a test has behind the time of the kernel's log.
const SUMMARY: &str = "Summary: ";
/// The tests that do not repeat anything `loops` times.
const WITHOUT_LOOP: [&str; 2] = ["align_shift_alloc_test", "pcpu_alloc_test"];
/// The test that has to fail.
const HAS_TO_FAIL: &str = "align_shift_alloc_test";

/// Whether there is a line of a test.
pub fn is_one(bytes: &[u8]) -> bool {
    text_lines(bytes).any(|(_, text)| {
        summary(&text)
            .is_some_and(|summary| summary.contains(" loops: ") && summary.contains(" avg: "))
    })
}

/// What stands behind the word.
fn summary(text: &str) -> Option<&str> {
    Some(text.split_once(SUMMARY)?.1)
}

/// The figures of a log.
pub(super) fn read(bytes: &[u8]) -> Result<Found, ImportError> {
    let mut found = Found::default();
    for (number, text) in text_lines(bytes) {
        let Some(summary) = summary(&text) else {
            continue;
        };
        let Test {
            name,
            failed,
            loops,
            micros,
        } = test(number, summary)?;
        if failed > 0 && name != HAS_TO_FAIL {
            found
                .notes
                .push(format!("{name}: {failed} of its repetitions failed"));
            continue;
        }
        let turns = if WITHOUT_LOOP.contains(&name) {
            1
        } else {
            loops
        };
        let ns = micros as f64 * 1000.0 / turns as f64;
        found.entries.push(Entry {
            samples: Some(1),
            ..Entry::new(format!("test_vmalloc/{name}"), "ns", ns)
        });
    }
    Ok(found)
}

/// What a line says.
struct Test<'a> {
    name: &'a str,
    failed: u64,
    /// Not 0.
    loops: u64,
    micros: u64,
}

fn test(number: usize, summary: &str) -> Result<Test<'_>, ImportError> {
    let mut words = summary.split_whitespace();
    let name = words
        .next()
        .ok_or_else(|| ImportError::missing(number, "a test's name", SUMMARY))?;
    let (mut failed, mut loops, mut micros) = (None, None, None);
    while let Some(key) = words.next() {
        let place = match key {
            "failed:" => &mut failed,
            "loops:" => &mut loops,
            "avg:" => &mut micros,
            _ => continue,
        };
        let value = words
            .next()
            .ok_or_else(|| ImportError::missing(number, "a number", key))?;
        *place = Some(count(number, "a number", value)?);
    }
    let has =
        |value: Option<u64>, what| value.ok_or_else(|| ImportError::missing(number, what, name));
    let loops = has(loops, "`loops:`")?;
    if loops == 0 {
        return Err(ImportError::value(
            number,
            "`loops:`",
            "number of turns",
            "0",
        ));
    }
    Ok(Test {
        name,
        failed: failed.unwrap_or_default(),
        loops,
        micros: has(micros, "`avg:`")?,
    })
}
