//! Histories of Go benchmark text, from any program: a file is a log, and the median of its lines the figure of a benchmark.
//!
//! The configuration lines `cpu`, `goos` and `goarch` say of what machine a file is, `commit` or `revision` of what revision. The
//! date is that of the file's name, else of its last change.

use std::path::{Path, PathBuf};
use std::slice::from_ref;

use super::{History, Point};
use crate::gate::go_text::are;
use crate::gate::ticks::median;
use crate::import::go_text::{configuration, samples};
use crate::import::source::SourceError;
use crate::log::origin::{Date, Origin};
use crate::log::side::{bytes, files};

/// The files that `paths` name, if they are all Go benchmark text; a folder without logs stands for its `*.txt`.
pub fn texts(paths: &[PathBuf]) -> Option<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in paths {
        match path.is_dir() {
            true if files(from_ref(path)).is_ok() => return None,
            true => found.extend(in_folder(path)),
            false => found.push(path.clone()),
        }
    }
    are(&found).then_some(found)
}

fn in_folder(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let mut texts: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|end| end == "txt"))
        .collect();
    texts.sort();
    texts
}

/// The texts by machine, each in order of time. `one` takes all for those of one machine.
///
/// # Errors
///
/// A file that cannot be read or is damaged.
pub fn histories(texts: &[PathBuf], one: bool) -> Result<Vec<History>, SourceError> {
    let mut histories: Vec<History> = Vec::new();
    for path in texts {
        let text = bytes(path)?;
        let damaged = |error| SourceError::Damaged {
            path: path.clone(),
            error,
        };
        let figures = samples(&text).map_err(damaged)?;
        let words = configuration(&text);
        let word = |key: &str| words.get(key).cloned();
        let machine: Vec<String> = ["cpu", "goos", "goarch"]
            .into_iter()
            .filter_map(word)
            .collect();
        let machine = match machine.is_empty() {
            true => "unknown machine".to_owned(),
            false => machine.join(", "),
        };
        let point = Point {
            origin: Origin {
                path: path.clone(),
                run: None,
                date: Date::of_file(path),
            },
            revision: word("commit")
                .or_else(|| word("revision"))
                .unwrap_or_else(|| "-".to_owned()),
            exact: false,
            figures: figures
                .into_iter()
                .map(|(name, samples)| (name, median(&samples)))
                .collect(),
        };
        let known = histories
            .iter_mut()
            .find(|history| one || history.machine == machine);
        match known {
            Some(history) => history.points.push(point),
            None => histories.push(History {
                machine,
                points: vec![point],
            }),
        }
    }
    histories.iter_mut().for_each(History::sort);
    Ok(histories)
}
