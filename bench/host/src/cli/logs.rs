//! What most commands share: how logs are read, and which differences are passed over.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::compare::allow::{Allow, Part};
use crate::log::side::Reading;
use crate::log::{Log, printable};

/// What to do with logs that are not whole.
#[derive(Args, Debug)]
pub struct Broken {
    /// Pass over logs that are not whole where others are, and say which
    #[arg(long)]
    pub skip_broken: bool,
}

/// What differences are passed over.
#[derive(Args, Debug)]
pub struct Allowed {
    /// Pass over one difference by name: microcode, features, RAM, tags, revision, turns, ...; may be given again
    #[arg(long, value_name = "PART")]
    pub ignore: Vec<Part>,
    /// Pass over every difference but that of clocks, and over failed runs
    #[arg(long)]
    pub force: bool,
}

impl Allowed {
    /// As the judges take it.
    pub fn allow(&self) -> Allow {
        Allow {
            force: self.force,
            ignored: self.ignore.clone(),
        }
    }
}

/// The logs at `paths`; says which were passed over.
pub(super) fn logs(paths: &[PathBuf], skip_broken: bool) -> Result<Vec<Log>> {
    let mut reading = Reading::new(skip_broken);
    let logs = reading.logs(paths)?;
    print_skipped(&reading);
    Ok(logs)
}

/// Says on standard error which logs were passed over.
pub(super) fn print_skipped(reading: &Reading) {
    for skipped in &reading.skipped {
        let skipped = printable::lines(&skipped.to_string());
        eprintln!("pagemark: passed over {skipped}");
    }
}
