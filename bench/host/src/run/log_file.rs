//! Where a run's raw log is kept.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::checkout::{self, NoCheckout};

/// The raw log's file, written as the run goes on.
pub struct LogFile {
    path: PathBuf,
    file: File,
}

impl LogFile {
    /// The file at `path`, overwritten; or a new one under `target/pagemark/`, named after the time.
    pub fn create(path: Option<&Path>) -> Result<Self> {
        if let Some(path) = path {
            let file = File::create(path)
                .with_context(|| format!("the log {} cannot be written", path.display()))?;
            return Ok(Self {
                path: path.to_owned(),
                file,
            });
        }
        let folder = kept_files()?;
        let time = jiff::ZonedDateTime::now()
            .strftime("%Y-%m-%d-%H%M%S")
            .to_string();
        // Runs of the same second get a number.
        let names =
            std::iter::once(format!("{time}.log")).chain((2..).map(|n| format!("{time}-{n}.log")));
        for path in names.map(|name| folder.join(name)) {
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok(Self { path, file }),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(error)
                        .with_context(|| format!("the log {} cannot be written", path.display()));
                }
            }
        }
        unreachable!("the names do not end")
    }

    /// Where it is, from the caller's folder if that is above it.
    pub fn shown(&self) -> &Path {
        std::env::current_dir()
            .ok()
            .and_then(|here| self.path.strip_prefix(here).ok())
            .unwrap_or(&self.path)
    }

    /// Appends.
    pub fn write(&self, bytes: &[u8]) -> Result<()> {
        (&self.file)
            .write_all(bytes)
            .with_context(|| format!("the log {} cannot be written", self.path.display()))
    }
}

/// The folder for what this tool leaves behind: in the checkout's `target`, or in the working folder's where there is no checkout.
///
/// # Errors
///
/// It cannot be made, or `PAGEMARK_ROOT` names no checkout.
pub fn kept_files() -> Result<PathBuf> {
    let root = match checkout::root() {
        Ok(root) => root,
        Err(NoCheckout::Nowhere(_)) => PathBuf::from("."),
        Err(error @ NoCheckout::Named(_)) => return Err(error.into()),
    };
    let folder = root.join("target/pagemark");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("{} cannot be made", folder.display()))?;
    Ok(folder)
}
