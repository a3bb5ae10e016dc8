//! The folder of a campaign:
//!
//! ```text
//! campaign.json     what it is: seed, machine, command line
//! boots.jsonl       every boot that was made, a line each, the failed ones, too
//! images/           both images, as they were at the first boot
//! base/  new/       the logs of the boots that passed (*.log), and what the others left (*.failed)
//! ```
//!
//! Nothing else is state: a campaign that was interrupted, or whose host lost power, goes on from these.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::Side;
use super::plan::{Place, plan};

const CAMPAIGN: &str = "campaign.json";
const BOOTS: &str = "boots.jsonl";

/// What all boots of a campaign have in common. A campaign goes on only with the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The seed of the order.
    pub seed: u64,
    /// The machine, in words: the accelerator, the CPU model, RAM, …
    pub machine: Vec<String>,
    /// The image's command line, without the number of the boot.
    pub command_line: Vec<String>,
}

/// A boot that was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its number, in the order of time, from 1.
    pub boot: u64,
    /// Its pair in the plan.
    pub pair: u32,
    /// Its side.
    pub side: Side,
    /// When it began, by the host's clock.
    pub date: String,
    /// How long it took.
    pub seconds: f64,
    /// Its log, from the campaign's folder.
    pub log: String,
    /// Why it failed; none of one that passed.
    pub failure: Option<String>,
}

/// A campaign in its folder.
#[derive(Debug)]
pub struct Campaign {
    folder: PathBuf,
    seed: u64,
    pairs: u32,
    attempts: Vec<Attempt>,
}

impl Campaign {
    /// The seed of the campaign in `folder`, if there is one.
    ///
    /// # Errors
    ///
    /// The folder holds something else.
    pub fn seed_in(folder: &Path) -> Result<Option<u64>> {
        Ok(settings(folder)?.map(|settings| settings.seed))
    }

    /// The campaign in `folder` with `pairs` boots a side: a new one, or one that goes on.
    ///
    /// `images` are the base's and the new side's. They are copied, so that a build meanwhile changes neither.
    ///
    /// # Errors
    ///
    /// The folder holds a campaign with other settings or images, or cannot be written.
    pub fn open(
        folder: &Path,
        settings: &Settings,
        images: [&Path; 2],
        pairs: u32,
    ) -> Result<Self> {
        match self::settings(folder)? {
            Some(found) => agree(folder, &found, settings)?,
            None => {
                for name in ["images", Side::Base.name(), Side::New.name()] {
                    let path = folder.join(name);
                    fs::create_dir_all(&path)
                        .with_context(|| format!("{} cannot be made", path.display()))?;
                }
            }
        }
        for (side, image) in Side::BOTH.into_iter().zip(images) {
            keep_image(&self::image(folder, side), image)?;
        }
        // Last: a folder with this file has the rest.
        let text = serde_json::to_string_pretty(settings)? + "\n";
        write(&folder.join(CAMPAIGN), text.as_bytes())?;
        Ok(Self {
            folder: folder.to_owned(),
            seed: settings.seed,
            pairs,
            attempts: attempts(&folder.join(BOOTS))?,
        })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder with the logs of one side.
    pub fn logs(&self, side: Side) -> PathBuf {
        self.folder.join(side.name())
    }

    /// The image of one side.
    pub fn image(&self, side: Side) -> PathBuf {
        image(&self.folder, side)
    }

    /// All boots that were made, in the order of time.
    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// The boots of the plan that were not made, or failed.
    pub fn left(&self) -> Vec<Place> {
        let passed = |place: &Place| {
            let made =
                |attempt: &&Attempt| (attempt.pair, attempt.side) == (place.pair, place.side);
            let mut made = self.attempts.iter().filter(made);
            made.any(|attempt| attempt.failure.is_none())
        };
        let mut places = plan(self.seed, self.pairs);
        places.retain(|place| !passed(place));
        places
    }

    /// The number of the next boot.
    pub(super) fn next_boot(&self) -> u64 {
        self.attempts
            .iter()
            .map(|attempt| attempt.boot)
            .max()
            .unwrap_or(0)
            + 1
    }

    /// Where a boot's log lies while it is written.
    pub(super) fn part(&self) -> PathBuf {
        self.folder.join("boot.part")
    }

    /// The mean time of a boot that passed; of any, where none did.
    pub(super) fn mean_time(&self) -> Duration {
        let mean = |of: &dyn Fn(&Attempt) -> bool| {
            let times: Vec<f64> = self
                .attempts
                .iter()
                .filter(|attempt| of(attempt))
                .map(|attempt| attempt.seconds)
                .collect();
            (!times.is_empty()).then(|| times.iter().sum::<f64>() / times.len() as f64)
        };
        let mean = mean(&|attempt| attempt.failure.is_none()).or_else(|| mean(&|_| true));
        Duration::try_from_secs_f64(mean.unwrap_or(0.0)).unwrap_or_default()
    }

    /// Appends a boot that was made.
    pub(super) fn record(&mut self, attempt: Attempt) -> Result<()> {
        let path = self.folder.join(BOOTS);
        let line = serde_json::to_string(&attempt)? + "\n";
        let append = || {
            OpenOptions::new()
                .create(true)
                .append(true)
                .open(&path)?
                .write_all(line.as_bytes())
        };
        append().with_context(|| format!("{} cannot be written", path.display()))?;
        self.attempts.push(attempt);
        Ok(())
    }
}

fn image(folder: &Path, side: Side) -> PathBuf {
    folder.join("images").join(format!("{side}.elf"))
}

/// The settings of the campaign in `folder`; none in one that is empty or not there.
fn settings(folder: &Path) -> Result<Option<Settings>> {
    let path = folder.join(CAMPAIGN);
    match fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .with_context(|| format!("{} is not of a campaign", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            // A campaign that was ended while it was made has some of its folders.
            let known = |name: &std::ffi::OsStr| {
                ["images", "base", "new", "campaign.part"]
                    .iter()
                    .any(|known| name == *known)
            };
            let mut entries = fs::read_dir(folder).into_iter().flatten().flatten();
            match entries.find(|entry| !known(&entry.file_name())) {
                Some(entry) => bail!(
                    "{} holds no campaign, but {}: give a folder of its own",
                    folder.display(),
                    entry.file_name().display()
                ),
                None => Ok(None),
            }
        }
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
    }
}

/// Refuses a campaign with other settings, by name.
fn agree(folder: &Path, found: &Settings, wanted: &Settings) -> Result<()> {
    let differences: Vec<String> = [
        ("seed", found.seed.to_string(), wanted.seed.to_string()),
        ("machine", found.machine.join(" "), wanted.machine.join(" ")),
        (
            "command line",
            found.command_line.join(" "),
            wanted.command_line.join(" "),
        ),
    ]
    .into_iter()
    .filter(|(_, found, wanted)| found != wanted)
    .map(|(what, found, wanted)| format!("{what}: {found} | {wanted}"))
    .collect();
    match differences.is_empty() {
        true => Ok(()),
        false => bail!(
            "the campaign in {} is another one:\n  {}",
            folder.display(),
            differences.join("\n  ")
        ),
    }
}

/// Copies `image` to `kept`, or sees that it is the one there.
fn keep_image(kept: &Path, image: &Path) -> Result<()> {
    let bytes = fs::read(image).with_context(|| format!("{} cannot be read", image.display()))?;
    match fs::read(kept) {
        Ok(found) if found == bytes => Ok(()),
        Ok(_) => bail!(
            "{} is not the image that the campaign began with, {}",
            image.display(),
            kept.display()
        ),
        Err(_) => {
            write(kept, &bytes)?;
            // The suite as a process is an image that the host executes.
            fs::metadata(image)
                .and_then(|found| fs::set_permissions(kept, found.permissions()))
                .with_context(|| format!("{} cannot be written", kept.display()))
        }
    }
}

/// Writes a file whole or not at all.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let part = path.with_extension("part");
    fs::write(&part, bytes)
        .and_then(|()| fs::rename(&part, path))
        .with_context(|| format!("{} cannot be written", path.display()))
}

/// The boots in a journal. A last line without an end was being written when the host lost power: its boot is made again.
fn attempts(path: &Path) -> Result<Vec<Attempt>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            return Err(error).with_context(|| format!("{} cannot be read", path.display()));
        }
    };
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    if whole < text.len() {
        write(path, &text.as_bytes()[..whole])?;
    }
    let lines = text[..whole].lines().zip(1..);
    lines
        .map(|(line, number)| {
            serde_json::from_str(line).with_context(|| format!("{} line {number}", path.display()))
        })
        .collect()
}
