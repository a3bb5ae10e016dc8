//! Files whose kind follows from their content: logs of ours, or figures of other tools.

use std::path::{Path, PathBuf};
use std::slice::from_ref;

use super::error::clipped;
use super::{Foreign, Format, ImportError, criterion, json, read, text_lines};
use crate::figures::{Entry, in_every_unit, pool};
use crate::log::Log;
use crate::log::side::{Reading, SideError, bytes, files};

/// What a file holds.
#[derive(Clone, Debug)]
pub enum Source {
    /// A log of ours.
    Log(Box<Log>),
    /// Figures of another tool.
    Foreign {
        /// Where they were.
        path: PathBuf,
        /// The figures.
        figures: Foreign,
    },
}

/// Why a file cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It cannot be read, or is a log that is not whole.
    #[error(transparent)]
    Side(#[from] SideError),
    /// It is damaged.
    #[error("{}: {error}", .path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        error: ImportError,
    },
    /// It is nothing that is read here.
    #[error(
        "{}: no pagemark log, for no record `start` is in it, nor {}: line {line} is `{text}`{}",
        .path.display(), formats(), .json.as_ref().map_or_else(String::new, |why| format!(", and the file is no JSON: {why}"))
    )]
    Unknown {
        /// Which.
        path: PathBuf,
        /// Its first line that is not blank.
        line: usize,
        /// How that line begins.
        text: String,
        /// Of what begins as JSON, what is wrong with it, with its line and column.
        json: Option<serde_json::Error>,
    },
}

/// All formats in a sentence.
fn formats() -> String {
    Format::ALL.map(Format::name).join(", ")
}

/// What the files hold that `paths` name, where a folder stands for its `*.log`, by name, or if it has none for what criterion left
/// in it. A file that is no log of ours is read as `format`, or as what it looks like.
pub fn sources(
    paths: &[PathBuf],
    format: Option<Format>,
    reading: &mut Reading,
) -> Result<Vec<Source>, SourceError> {
    let mut sources = Vec::new();
    let skipped = reading.skipped.len();
    for path in paths {
        match files(from_ref(path)) {
            Ok(files) => {
                for path in files {
                    sources.extend(source(path, format, reading)?);
                }
            }
            Err(SideError::Empty(folder)) => match left_by_criterion(&folder)? {
                Some(source) => sources.push(source),
                None => return Err(SideError::Empty(folder).into()),
            },
            Err(error) => return Err(error.into()),
        }
    }
    if sources.is_empty() && reading.skipped.len() > skipped {
        return Err(reading.skipped.remove(skipped).into());
    }
    Ok(sources)
}

/// The figures of all benchmarks that criterion left in a folder, if it left any.
fn left_by_criterion(folder: &Path) -> Result<Option<Source>, SourceError> {
    let files = criterion::files(folder).map_err(|error| SideError::Unreadable {
        path: folder.to_owned(),
        error,
    })?;
    let mut entries = Vec::new();
    for path in files {
        let read = read(Format::Criterion, &bytes(&path)?, &criterion::name(&path));
        match read {
            Ok(foreign) => entries.extend(foreign.entries),
            Err(error) => return Err(SourceError::Damaged { path, error }),
        }
    }
    Ok((!entries.is_empty()).then(|| Source::Foreign {
        path: folder.to_owned(),
        figures: Foreign {
            format: Format::Criterion,
            entries: pool(entries),
            notes: Vec::new(),
        },
    }))
}

/// The longest file of another tool that is read, in bytes.
const LONGEST: u64 = 256 << 20;

/// What a file holds: the runs of a log of ours, or figures.
fn source(
    path: PathBuf,
    format: Option<Format>,
    reading: &mut Reading,
) -> Result<Vec<Source>, SourceError> {
    let of_logs = |logs: Vec<Log>| {
        logs.into_iter()
            .map(|log| Source::Log(Box::new(log)))
            .collect()
    };
    let skipped = reading.skipped.len();
    match reading.file(&path) {
        // Nothing of a log is in it, and no run was passed over as broken.
        Err(error) if error.is_no_log() => {}
        Ok(logs)
            if logs.is_empty() && reading.skipped[skipped..].iter().all(SideError::is_no_log) =>
        {
            reading.skipped.truncate(skipped);
        }
        result => return Ok(of_logs(result?)),
    }
    let length = std::fs::metadata(&path).map_or(0, |file| file.len());
    if length > LONGEST || path == Path::new(crate::log::side::STDIN) {
        return Err(unknown(&path, b""));
    }
    let bytes = bytes(&path)?;
    let Some(format) = format.or_else(|| Format::recognise(&bytes)) else {
        return Err(unknown(&path, &bytes));
    };
    let name = match format {
        Format::Criterion => criterion::name(&path),
        _ => String::new(),
    };
    match read(format, &bytes, &name) {
        Ok(figures) => Ok(vec![Source::Foreign { path, figures }]),
        Err(error) => Err(SourceError::Damaged { path, error }),
    }
}

fn unknown(path: &Path, bytes: &[u8]) -> SourceError {
    let first = text_lines(bytes).find(|(_, text)| !text.trim().is_empty());
    let (line, text) = first.unwrap_or((1, String::new()));
    SourceError::Unknown {
        path: path.to_owned(),
        line,
        text: clipped(&text),
        json: json::why_none(bytes),
    }
}

impl Source {
    /// The log, if it is one.
    pub fn log(&self) -> Option<&Log> {
        match self {
            Self::Log(log) => Some(log),
            Self::Foreign { .. } => None,
        }
    }

    /// Its figures, in every unit it has them in.
    pub fn figures(&self) -> Vec<Entry> {
        match self {
            Self::Log(log) => in_every_unit(log),
            Self::Foreign { figures, .. } => figures.entries.clone(),
        }
    }

    /// What it is, in words.
    pub fn kind(&self) -> String {
        match self {
            Self::Log(log) => {
                let clock = log.clock().map_or("no clock", |clock| clock.as_str());
                format!("pagemark log ({clock}), medians")
            }
            Self::Foreign { figures, .. } => {
                let format = figures.format;
                format!("{}, {}", format.name(), format.statistic())
            }
        }
    }
}

/// The logs, if all of them are.
pub fn all_logs(sources: &[Source]) -> Option<Vec<Log>> {
    let logs = sources.iter().map(|source| source.log().cloned());
    logs.collect()
}

/// The figures of one side, and what it is, in words.
pub fn side(sources: &[Source]) -> (Vec<Entry>, String) {
    let figures = sources.iter().flat_map(Source::figures).collect();
    let mut kinds: Vec<String> = sources.iter().map(Source::kind).collect();
    kinds.sort();
    kinds.dedup();
    (pool(figures), kinds.join("; "))
}
