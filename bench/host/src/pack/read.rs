//! Takes the logs out of a pack, each proved by its checksum.

use std::io::{self, Read};

use ruzstd::decoding::StreamingDecoder;
use sha2::{Digest, Sha256};

use super::manifest::{Entry, Manifest, hex};
use super::{LONGEST_LOG, LONGEST_MANIFEST, MANIFEST, MOST};
use crate::log::printable;

/// How a file compressed by zstd begins (RFC 8878, 3.1.1).
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// What is wrong with a pack.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// It is not compressed as one, is cut, or is no archive.
    #[error("the archive is damaged: {0}")]
    Damaged(String),
    /// Its first file is no manifest.
    #[error("it begins with {0:?}, not with {MANIFEST}: it is no pack of pagemark")]
    NoManifest(String),
    /// The manifest is not one that this tool reads.
    #[error("{MANIFEST}: {0}")]
    Manifest(String),
    /// A file that the manifest does not name there.
    #[error("the manifest has no {0:?} at this place")]
    Unlisted(String),
    /// A log that the manifest names.
    #[error("{0} is missing")]
    Missing(String),
    /// A log whose bytes are not those that were packed.
    #[error("{path}: SHA-256 is {found}, and the manifest says {wanted}")]
    Checksum {
        /// Which.
        path: String,
        /// That of its bytes.
        found: String,
        /// That of the manifest.
        wanted: String,
    },
    /// It holds more than a pack may.
    #[error("it holds more than {MOST} bytes")]
    TooMuch,
    /// A file that is longer than any that is packed.
    #[error("{path} has {bytes} bytes")]
    TooLong {
        /// Which.
        path: String,
        /// How many.
        bytes: u64,
    },
}

/// Whether a file that begins so may be a pack.
pub fn is_pack(head: &[u8]) -> bool {
    head.starts_with(&MAGIC)
}

/// Hands each log of the pack in `file` to `take`, with its time in seconds since 1970. An error of `take` ends it.
///
/// # Errors
///
/// The pack is damaged, or `take` had enough.
pub fn read<E: From<PackError>>(
    file: impl Read,
    mut take: impl FnMut(&Entry, u64, &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let damaged = |error: &dyn std::fmt::Display| PackError::Damaged(error.to_string());
    let decoder =
        StreamingDecoder::new(io::BufReader::new(file)).map_err(|error| damaged(&error))?;
    let mut archive = tar::Archive::new(decoder);
    // Raw: a file that only says how another is called would be read whole, however long it is.
    let files = archive.entries().map_err(|error| damaged(&error))?;
    let mut files = files.raw(true);
    let mut all = 0_u64;
    let mut next = || -> Result<Option<(String, u64, Vec<u8>)>, PackError> {
        let Some(file) = files.next() else {
            return Ok(None);
        };
        let mut file = file.map_err(|error| damaged(&error))?;
        // Shown, and never a path of this host.
        let path = printable::text(&String::from_utf8_lossy(&file.path_bytes())).into_owned();
        let longest = if path == MANIFEST {
            LONGEST_MANIFEST
        } else {
            LONGEST_LOG
        };
        let bytes = file.size();
        if bytes > longest {
            return Err(PackError::TooLong { path, bytes });
        }
        all += bytes;
        if all > MOST {
            return Err(PackError::TooMuch);
        }
        let time = file.header().mtime().unwrap_or(0);
        let mut text = Vec::new();
        file.read_to_end(&mut text)
            .map_err(|error| damaged(&error))?;
        if text.len() as u64 != bytes {
            return Err(PackError::Damaged(format!("it ends within {path}")));
        }
        Ok(Some((path, time, text)))
    };
    let manifest: Manifest = match next()? {
        Some((path, _, text)) if path == MANIFEST => {
            serde_json::from_slice(&text).map_err(|error| PackError::Manifest(error.to_string()))?
        }
        Some((path, ..)) => return Err(PackError::NoManifest(path).into()),
        None => return Err(PackError::Damaged("it is empty".to_owned()).into()),
    };
    if let Some(why) = manifest.unknown() {
        return Err(PackError::Manifest(why).into());
    }
    for entry in &manifest.logs {
        let Some((path, time, text)) = next()? else {
            return Err(PackError::Missing(entry.path.clone()).into());
        };
        if path != entry.path {
            return Err(PackError::Unlisted(path).into());
        }
        let found = hex(&Sha256::digest(&text));
        if found != entry.sha256 {
            let wanted = entry.sha256.clone();
            return Err(PackError::Checksum {
                path,
                found,
                wanted,
            }
            .into());
        }
        take(entry, time, &text)?;
    }
    match next()? {
        Some((path, ..)) => Err(PackError::Unlisted(path).into()),
        None => Ok(()),
    }
}
