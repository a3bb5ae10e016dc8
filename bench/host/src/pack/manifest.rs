//! What is in a pack.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::compare::Fingerprint;
use crate::log::{Ending, Log};

/// What the manifest calls itself.
const FORMAT: &str = "pagemark-pack";
/// Its version: a reader takes those up to its own.
const VERSION: u32 = 1;

/// The manifest of a pack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// `pagemark-pack`.
    pub format: String,
    /// The version of this format.
    pub version: u32,
    /// The logs, in the order of the archive.
    pub logs: Vec<Entry>,
}

/// One log in a pack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its path in the archive.
    pub path: String,
    /// Its bytes.
    pub bytes: u64,
    /// The SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
    /// The machine: equal for logs whose machines are alike.
    pub machine: String,
    /// The image's revision.
    pub revision: String,
    /// The suite.
    pub suite: String,
    /// When it was made, as far as that is known.
    pub date: Option<String>,
    /// `pass`, `fail`, `error`, or `panic`.
    pub verdict: String,
}

impl Manifest {
    /// The manifest of these logs.
    pub fn new(logs: Vec<Entry>) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            logs,
        }
    }

    /// Why this tool does not read it, if it does not.
    pub fn unknown(&self) -> Option<String> {
        match (self.format.as_str(), self.version) {
            (FORMAT, 1..=VERSION) => None,
            (FORMAT, version) => Some(format!(
                "its version is {version}, and this tool reads 1 to {VERSION}"
            )),
            (format, _) => Some(format!("its format is {format:?}")),
        }
    }
}

impl Entry {
    /// That of `log`, whose `text` lies at `path`.
    pub fn new(path: String, log: &Log, text: &[u8]) -> Self {
        let verdict = match &log.ending {
            Ending::End(end) => end.verdict.to_string(),
            Ending::Panic(_) => "panic".to_owned(),
        };
        Self {
            path,
            bytes: text.len() as u64,
            sha256: hex(&Sha256::digest(text)),
            machine: machine_hash(log),
            revision: log.start.revision.clone(),
            suite: log.start.suite.clone(),
            date: log
                .origin
                .date
                .map(|date| date.time.strftime("%Y-%m-%dT%H:%M:%S").to_string()),
            verdict,
        }
    }
}

/// A name for the machine of a log: 12 digits of the SHA-256 of all that its log says of it. Logs whose machines are alike have the
/// same; the rate of the TSC, which is measured, is no part.
pub fn machine_hash(log: &Log) -> String {
    let mut parts = Fingerprint::of(log).parts;
    parts.remove("suite");
    let text: String = parts
        .iter()
        .map(|(what, value)| format!("{what}: {value}\n"))
        .collect();
    hex(&Sha256::digest(text.as_bytes()))[..12].to_owned()
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
