//! Logs of many machines in one file that travels: a tar archive compressed by zstd, with a manifest in front.
//!
//! ```text
//! manifest.json                                what is in it: machine, revision, dates and SHA-256 of each log
//! MACHINE/2026-11-30-133953-1.log              one log, as the image wrote it
//! ```
//!
//! - [`write()`](fn@write) makes one, [`read`](mod@read) takes its logs out; [`Reading`](crate::log::side::Reading) takes one wherever it takes a file;
//! - nothing in it names a person or a network: lines of other programs are left out of the logs, and names of files, folders, users
//!   and hosts are left behind. What stays is what the image itself wrote, with its command line. A machine is called by its
//!   `machine=`, else by the hash of what its logs say of it, unless [`Names::Folders`] is asked for.

mod manifest;
pub mod read;
#[cfg(test)]
mod tests;
pub mod write;

pub use manifest::{Entry, Manifest, machine_hash};
pub use read::{PackError, is_pack};
pub use write::{Names, write};

/// The manifest's name.
const MANIFEST: &str = "manifest.json";
/// The longest log, in bytes: that of a run.
const LONGEST_LOG: u64 = crate::log::capture::MOST as u64;
/// The longest manifest, in bytes: of a hundred thousand logs.
const LONGEST_MANIFEST: u64 = 64 << 20;
/// The most that a pack may hold, in bytes: about ten thousand logs. A file of a few kilobytes can say that it holds any number.
const MOST: u64 = 1 << 30;
/// The longest name of a machine, in bytes: with it a path fits the header of the archive (100 bytes), and needs no other file to hold it.
const LONGEST_NAME: usize = 60;
