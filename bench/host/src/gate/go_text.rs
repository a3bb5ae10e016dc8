//! Judges the Go benchmark text of any program: `go test -count=10`, or whatever writes the format.
//!
//! The n-th line of each benchmark is taken for one of boot n, so that what disturbs a round of all benchmarks disturbs one boot.
//! Nothing in the format says what machine it is of, or when it was made.

use std::path::{Path, PathBuf};

use memchr::memmem;
use pagemark_record::{Clock, PREFIX};

use super::ticks::{self, Boot, Floors, LEAST_BOOTS};
use super::{Judgement, Refusal};
use crate::import::go_text;

/// Bytes of a file by which its format is known.
const HEAD: usize = 1 << 20;

/// Whether all of the files are Go benchmark text, and none a log.
pub fn are(paths: &[PathBuf]) -> bool {
    !paths.is_empty() && paths.iter().all(|path| is_one(path))
}

/// Whether all of the files are Go benchmark text with as many lines as a side needs to be judged.
pub fn can_be_judged(paths: &[PathBuf]) -> bool {
    are(paths) && boots("", paths).is_ok()
}

fn is_one(path: &Path) -> bool {
    if !path.is_file() {
        return false;
    }
    let Ok(mut bytes) = std::fs::read(path) else {
        return false;
    };
    bytes.truncate(HEAD);
    memmem::find(&bytes, PREFIX.as_bytes()).is_none() && go_text::is_one(&bytes)
}

/// Judges the texts `new` by the texts `base`.
///
/// # Errors
///
/// A file that cannot be read or is damaged, and a side without a benchmark of [`LEAST_BOOTS`] lines.
pub fn judge(base: &[PathBuf], new: &[PathBuf], false_alarms: f64) -> Result<Judgement, Refusal> {
    let [before, after] = [("base", base), ("new", new)].map(|(side, paths)| boots(side, paths));
    let (before, after) = (before?, after?);
    let mut judgement = ticks::judge(&before, &after, &Floors::new(), Clock::Tsc, false_alarms);
    judgement.notes.push(
        "Go benchmark text says neither what machine it is of nor when it was made: if the sides did not take turns, a drift \
         counts as a change"
            .to_owned(),
    );
    Ok(judgement)
}

fn boots(side: &str, paths: &[PathBuf]) -> Result<Vec<Boot>, Refusal> {
    let mut boots: Vec<Boot> = Vec::new();
    let refusal = |what: String| Refusal(vec![format!("{side}: {what}")]);
    for path in paths {
        let failed = |why: &dyn std::fmt::Display| refusal(format!("{}: {why}", path.display()));
        let bytes = std::fs::read(path).map_err(|error| failed(&error))?;
        let samples = go_text::samples(&bytes).map_err(|error| failed(&error))?;
        // A second file goes on where the first ends.
        let from = boots.len();
        for (name, figures) in samples {
            for (at, figure) in figures.into_iter().enumerate() {
                if boots.len() <= from + at {
                    boots.resize_with(from + at + 1, Boot::new);
                }
                boots[from + at].insert(name.clone(), figure);
            }
        }
    }
    match boots.len() {
        0..LEAST_BOOTS => Err(refusal(format!(
            "{} lines a benchmark, and {LEAST_BOOTS} are the least: -count=10, say",
            boots.len()
        ))),
        _ => Ok(boots),
    }
}
