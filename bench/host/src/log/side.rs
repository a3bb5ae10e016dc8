//! One side of a comparison: the logs of one or several boots.

use std::path::{Path, PathBuf};

use super::{Log, LogError, read};

/// Why a side cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SideError {
    /// A file or folder that cannot be read.
    #[error("{} cannot be read: {error}", .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
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
}

/// The files that `paths` name, where a folder stands for its `*.log`, by name.
pub fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, SideError> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let unreadable = |error| SideError::Unreadable {
            path: path.clone(),
            error,
        };
        let mut inside = std::fs::read_dir(path)
            .map_err(unreadable)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(unreadable)?;
        inside.retain(|file| file.extension().is_some_and(|extension| extension == "log"));
        if inside.is_empty() {
            return Err(SideError::Empty(path.clone()));
        }
        inside.sort();
        files.append(&mut inside);
    }
    Ok(files)
}

/// The bytes of a file.
pub fn bytes(path: &Path) -> Result<Vec<u8>, SideError> {
    std::fs::read(path).map_err(|error| SideError::Unreadable {
        path: path.to_owned(),
        error,
    })
}

/// The logs that `paths` name.
pub fn logs(paths: &[PathBuf]) -> Result<Vec<Log>, SideError> {
    files(paths)?
        .into_iter()
        .map(|path| match read(&bytes(&path)?) {
            Ok(log) => Ok(log),
            Err(error) => Err(SideError::Broken { path, error }),
        })
        .collect()
}
