//! Blame: which functions execute how many instructions more in one image than in another, within the samples of a case.
//!
//! QEMU runs the case once more in each image, on the machine of the log ([`Rebuilt`]), and stops at both ends of every bracket
//! ([`gdb`]). Between these, and nowhere else, it logs each instruction that it executes ([`mod@trace`]): boot, proofs and whatever else a
//! run does are millions of instructions that nobody asks for. The ELF file's debug information names the functions, those among them
//! that the compiler inlined; where it has none, its symbols do.

pub mod gdb;
mod profile;
mod rebuild;
mod trace;

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use anyhow::Result;
use pagemark_record::Clock;

use crate::gate::{Finding, Judgement, Row};
use crate::log::Log;

pub use profile::{Profile, differences};
pub use rebuild::{Rebuilt, UnknownMachine};
pub use trace::{Trace, trace};

/// The most cases that are traced: each takes two boots.
const MOST: usize = 5;

/// Two images, and the emulator that traces them.
#[derive(Clone, Copy, Debug)]
pub struct Images<'a> {
    /// The emulator.
    pub qemu: &'a Path,
    /// The image of the base.
    pub base: &'a Path,
    /// The image of the new logs.
    pub new: &'a Path,
}

/// Traces the cases that changed most in both images, on the machine of `log`, and adds to `judgement` what was seen and where.
/// Ticks are not traced.
pub fn functions(judgement: &mut Judgement, images: Images, log: &Log) {
    if judgement.clock != Clock::Icount {
        return;
    }
    let is_changed =
        |row: &&mut Row| matches!(row.finding, Finding::Slower | Finding::Faster) && !row.muted;
    let mut rows: Vec<_> = judgement.rows.iter_mut().filter(is_changed).collect();
    rows.sort_by(|a, b| b.rise().abs().total_cmp(&a.rise().abs()));
    // Another statistic of the same case would be traced to the same.
    let mut seen = HashSet::new();
    rows.retain(|row| seen.insert(row.case().to_owned()));
    // Every case is traced on the same machine, which is reported once.
    let mut notes = BTreeSet::new();
    for row in rows.into_iter().take(MOST) {
        row.blame = match of_case(images, log, row.case(), &mut notes) {
            Ok(functions) if functions.is_empty() => {
                vec!["no function, when it runs alone".to_owned()]
            }
            Ok(functions) => functions,
            Err(error) => vec![format!("not traced: {error:#}")],
        };
    }
    judgement.traced = notes.into_iter().collect();
}

/// The functions behind a change of `case`. What is to be known of the machine that it was traced on goes to `notes`.
fn of_case(
    images: Images,
    log: &Log,
    case: &str,
    notes: &mut BTreeSet<String>,
) -> Result<Vec<String>> {
    let mut profile = |image| {
        let Rebuilt { boot, assumed } = Rebuilt::of_case(images.qemu, image, log, case)?;
        let names = boot.names().join(" ");
        notes.insert(if assumed.is_empty() {
            format!("traced on the machine of the log: {names}")
        } else {
            let assumed = assumed.join(" and ");
            format!("traced on {names}: the log does not say, {assumed} is assumed")
        });
        let traced = trace(&boot)?;
        for deviation in rebuild::deviations(log, &traced.log) {
            notes.insert(format!(
                "traced on another machine than the log's: {deviation}"
            ));
        }
        Ok::<_, anyhow::Error>(traced.profile)
    };
    Ok(differences(&profile(images.base)?, &profile(images.new)?))
}
