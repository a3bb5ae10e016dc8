//! One side of a comparison: the logs of one or several boots, from files that hold one run or many, packs, and folders of such.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::capture::{Captures, Run};
use super::origin::{Date, Origin};
use super::{Fault, Log, LogError};
use crate::pack::{self, PackError};

/// The path that stands for standard input.
pub const STDIN: &str = "-";

/// Why a side cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SideError {
    /// A file or folder that cannot be read.
    #[error("{} cannot be read: {error}", .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A folder without logs.
    #[error("{} holds no file whose name ends in .log", .0.display())]
    Empty(PathBuf),
    /// A log that is not whole.
    #[error("{}: {error}", .path.display())]
    Broken {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        error: LogError,
    },
    /// A pack that is not whole.
    #[error("{}: {error}", .path.display())]
    Pack {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        error: PackError,
    },
}

/// The files that `paths` name, where a folder stands for its `*.log`, by name; one without any for those of the folders in it.
pub fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, SideError> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let before = files.len();
        inside(path, &mut files)?;
        if files.len() == before {
            return Err(SideError::Empty(path.clone()));
        }
    }
    Ok(files)
}

fn inside(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), SideError> {
    let unreadable = |error| SideError::Unreadable {
        path: folder.to_owned(),
        error,
    };
    let (mut logs, mut folders) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        // A link to a folder is not followed: it may lead back.
        if entry.file_type().map_err(unreadable)?.is_dir() {
            folders.push(entry.path());
        } else if entry
            .path()
            .extension()
            .is_some_and(|extension| extension == "log")
        {
            logs.push(entry.path());
        }
    }
    logs.sort();
    folders.sort();
    if !logs.is_empty() {
        files.append(&mut logs);
        return Ok(());
    }
    folders.iter().try_for_each(|folder| inside(folder, files))
}

/// The bytes of a file.
pub fn bytes(path: &Path) -> Result<Vec<u8>, SideError> {
    std::fs::read(path).map_err(|error| SideError::Unreadable {
        path: path.to_owned(),
        error,
    })
}

/// How broken logs are taken.
#[derive(Debug, Default)]
pub struct Reading {
    /// They are passed over where a whole log is among the others; else the first one is an error.
    pub skip_broken: bool,
    /// Those that were passed over.
    pub skipped: Vec<SideError>,
}

impl Reading {
    /// A reading that passes over broken logs, or not.
    pub fn new(skip_broken: bool) -> Self {
        Self {
            skip_broken,
            skipped: Vec::new(),
        }
    }

    /// The logs that `paths` name, in the order of the paths; in a folder, of names; in a file, of its runs.
    pub fn logs(&mut self, paths: &[PathBuf]) -> Result<Vec<Log>, SideError> {
        let mut logs = Vec::new();
        let before = self.skipped.len();
        for path in files(paths)? {
            logs.extend(self.file(&path)?);
        }
        self.some(before, logs)
    }

    /// The logs of one file; with [`Self::skip_broken`] there may be none.
    pub fn file(&mut self, path: &Path) -> Result<Vec<Log>, SideError> {
        let mut logs = Vec::new();
        self.runs(path, |run| {
            logs.push(run.log);
            Ok(())
        })?;
        // Of several runs in one file each has a number.
        for same in logs.chunk_by_mut(|one, other| one.origin.path == other.origin.path) {
            if let [_, _, ..] = same {
                for (log, number) in same.iter_mut().zip(1..) {
                    log.origin.run = Some(number);
                }
            }
        }
        Ok(logs)
    }

    /// Hands on each run of a file, or of each log in a pack.
    pub fn runs(
        &mut self,
        path: &Path,
        mut take: impl FnMut(Run) -> Result<(), SideError>,
    ) -> Result<(), SideError> {
        let unreadable = |error| SideError::Unreadable {
            path: path.to_owned(),
            error,
        };
        let mut file = open(path).map_err(unreadable)?;
        let mut head = Vec::new();
        let first = file.by_ref().take(4).read_to_end(&mut head);
        first.map_err(unreadable)?;
        let is_pack = pack::is_pack(&head);
        let file = io::Cursor::new(head).chain(file);
        if !is_pack {
            return self.captures(path, Date::of_file(path), file, &mut take);
        }
        let read = pack::read::read(file, |entry, time, text| {
            let inside = path.join(&entry.path);
            let date = Date::of_packed(&inside, time);
            let read = self.captures(&inside, date, text, &mut take);
            read.map_err(InPack::Taken)
        });
        match read {
            Ok(()) => Ok(()),
            Err(InPack::Taken(error)) => Err(error),
            Err(InPack::Damaged(error)) => self.pass_over(SideError::Pack {
                path: path.to_owned(),
                error,
            }),
        }
    }

    /// Hands on each run of a capture, which lies at `path`.
    fn captures(
        &mut self,
        path: &Path,
        date: Option<Date>,
        capture: impl Read,
        take: &mut impl FnMut(Run) -> Result<(), SideError>,
    ) -> Result<(), SideError> {
        let unreadable = |error| SideError::Unreadable {
            path: path.to_owned(),
            error,
        };
        let mut captures = Captures::new(capture);
        while let Some(found) = captures.next().map_err(unreadable)? {
            match found {
                Ok(mut run) => {
                    run.log.origin = Origin {
                        path: path.to_owned(),
                        run: None,
                        date: of_clock(&run.log).or(date),
                    };
                    take(run)?;
                }
                Err(error) => self.pass_over(SideError::Broken {
                    path: path.to_owned(),
                    error,
                })?,
            }
        }
        Ok(())
    }

    /// Remembers what is passed over; an error where nothing is.
    fn pass_over(&mut self, broken: SideError) -> Result<(), SideError> {
        match self.skip_broken {
            true => {
                self.skipped.push(broken);
                Ok(())
            }
            false => Err(broken),
        }
    }

    /// The logs, unless all of them were broken.
    fn some(&mut self, before: usize, logs: Vec<Log>) -> Result<Vec<Log>, SideError> {
        match logs.is_empty() && self.skipped.len() > before {
            true => Err(self.skipped.remove(before)),
            false => Ok(logs),
        }
    }
}

/// Why a pack was not read to its end.
enum InPack {
    Damaged(PackError),
    Taken(SideError),
}

impl From<PackError> for InPack {
    fn from(error: PackError) -> Self {
        Self::Damaged(error)
    }
}

/// The date that the log's own clock gives.
fn of_clock(log: &Log) -> Option<Date> {
    let date = log.machine.as_ref()?.date.as_deref()?;
    Date::of_clock(date)
}

/// The bytes of a file, or of standard input.
pub fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    Ok(match path == Path::new(STDIN) {
        true => Box::new(io::stdin().lock()),
        false => Box::new(File::open(path)?),
    })
}

/// The logs that `paths` name, all of which are whole.
pub fn logs(paths: &[PathBuf]) -> Result<Vec<Log>, SideError> {
    Reading::default().logs(paths)
}

impl SideError {
    /// Whether it is of a file without the beginning of any log.
    pub fn is_no_log(&self) -> bool {
        matches!(self, Self::Broken { error, .. } if matches!(error.fault, Fault::NoStart))
    }
}
