//! Makes a pack.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use ruzstd::encoding::{CompressionLevel, FrameCompressor};

use super::manifest::{Entry, Manifest, machine_hash};
use super::{LONGEST_NAME, MANIFEST, MOST};
use crate::fleet::MACHINE_TYPES;
use crate::log::Log;
use crate::log::origin::DateSource;
use crate::log::side::{Reading, SideError, files};

/// What a machine without `machine=` on its command line is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// The hash of what its logs say of it.
    Hashes,
    /// The folder that its logs lie in, as `pagemark fleet` calls it.
    Folders,
}

/// What went into a pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// The manifest.
    pub manifest: Manifest,
    /// Bytes of the logs, and of the file.
    pub bytes: [u64; 2],
}

impl Packed {
    /// What the machines are called.
    pub fn machines(&self) -> BTreeSet<&str> {
        let paths = self.manifest.logs.iter().map(|entry| entry.path.as_str());
        paths
            .filter_map(|path| Some(path.split_once('/')?.0))
            .collect()
    }
}

/// Packs the logs that `paths` name into `file`.
///
/// # Errors
///
/// A log cannot be read or is not whole, or the file cannot be written.
pub fn write(
    paths: &[PathBuf],
    names: Names,
    reading: &mut Reading,
    file: &Path,
) -> Result<Packed> {
    let mut taken = BTreeSet::new();
    let mut logs: Vec<(Entry, Vec<u8>, u64)> = Vec::new();
    let before = reading.skipped.len();
    for path in files(paths)? {
        reading.runs(&path, |run| {
            let folder = folder(&run.log, names);
            let date = date(&run.log);
            let path = (1..)
                .map(|number| format!("{folder}/{date}{number}.log"))
                .find(|path| taken.insert(path.clone()));
            let entry = Entry::new(path.unwrap_or_default(), &run.log, &run.text);
            logs.push((entry, run.text, seconds(&run.log)));
            Ok(())
        })?;
    }
    if logs.is_empty() {
        return Err(reading.skipped.drain(before..).next().map_or_else(
            || anyhow::anyhow!("there is no log to pack"),
            |error: SideError| error.into(),
        ));
    }
    let all: u64 = logs.iter().map(|(_, text, _)| text.len() as u64).sum();
    ensure!(
        all < MOST / 2,
        "the logs have {all} bytes, more than one pack holds: pack them by machine"
    );
    let mut archive = tar::Builder::new(Vec::new());
    let manifest = Manifest::new(logs.iter().map(|(entry, ..)| entry.clone()).collect());
    append(
        &mut archive,
        MANIFEST,
        &serde_json::to_vec_pretty(&manifest)?,
        0,
    )?;
    for (entry, text, time) in &logs {
        append(&mut archive, &entry.path, text, *time)?;
    }
    let archive = archive.into_inner()?;
    let mut packed = Vec::new();
    let mut compressor = FrameCompressor::new(CompressionLevel::Fastest);
    compressor.set_source(archive.as_slice());
    compressor.set_drain(&mut packed);
    compressor.compress();
    let bytes = [all, packed.len() as u64];
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let part = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")));
    let unwritable = || format!("{} cannot be written", file.display());
    let mut part = part.with_context(unwritable)?;
    part.write_all(&packed).with_context(unwritable)?;
    part.persist(file).with_context(unwritable)?;
    Ok(Packed { manifest, bytes })
}

/// Appends a file that belongs to nobody.
pub(super) fn append(
    archive: &mut tar::Builder<Vec<u8>>,
    path: &str,
    bytes: &[u8],
    time: u64,
) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(time);
    archive.append_data(&mut header, path, bytes)
}

/// The folder of a machine's logs in the archive, which is its name.
fn folder(log: &Log, names: Names) -> String {
    let named = log
        .word("machine")
        .filter(|name| !MACHINE_TYPES.contains(name));
    let folder = match names {
        Names::Hashes => None,
        Names::Folders => log.origin.path.parent().and_then(Path::file_name),
    };
    let name = named
        .map(str::to_owned)
        .or_else(|| folder.map(|name| name.to_string_lossy().into_owned()))
        .unwrap_or_else(|| format!("machine-{}", machine_hash(log)));
    // One component of a path, whatever a command line says.
    let mut name = name.replace(['/', '\\'], "_");
    name.truncate(name.floor_char_boundary(LONGEST_NAME));
    if name.starts_with('.') {
        format!("_{name}")
    } else {
        name
    }
}

/// The beginning of a log's name: its date, unless only the time says so when a file was written.
fn date(log: &Log) -> String {
    let date = log
        .origin
        .date
        .filter(|date| date.source != DateSource::Modified);
    date.map_or_else(String::new, |date| {
        date.time.strftime("%Y-%m-%d-%H%M%S-").to_string()
    })
}

/// A log's date in seconds since 1970.
fn seconds(log: &Log) -> u64 {
    let stamp = log
        .origin
        .date
        .and_then(|date| date.time.to_zoned_datetime(jiff::tz::TimeZone::UTC).ok());
    stamp.map_or(0, |stamp| stamp.timestamp().as_second().max(0) as u64)
}
