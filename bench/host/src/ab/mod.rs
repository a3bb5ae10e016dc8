//! Boots two images in turns, which is what the gate asks of ticks: base, new, new, base, …
//!
//! - [`plan`]: which side boots when, by a seed;
//! - [`campaign`]: the folder that holds the boots of both sides, and what lets an interrupted campaign go on;
//! - [`Campaign::run`] makes the boots that are left, with anything that [`Boots`];
//! - [`qemu`]: boots in QEMU on this host.

pub mod campaign;
pub mod plan;
pub mod qemu;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

pub use campaign::{Campaign, Settings};

use campaign::Attempt;

/// Failed boots of one side in a row after which a campaign stops.
pub const MOST_FAILURES: usize = 3;

/// One of the two images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// What is compared with.
    Base,
    /// What is judged.
    New,
}

impl Side {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Base, Self::New];

    /// Its name, which is its folder's.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::New => "new",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How one boot ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The log is whole, and its verdict is pass.
    Passed,
    /// Anything else, in one line.
    Failed(String),
    /// The user ended it: it does not count as a boot.
    Interrupted,
}

/// What boots an image.
pub trait Boots {
    /// Boots the image of `side` once, with `word` (`boot=7`) on its command line, and writes what its serial port says to `log`.
    ///
    /// # Errors
    ///
    /// Those of this host, which every further boot would meet, too: no emulator, no space.
    fn boot(&mut self, side: Side, word: &str, log: &Path) -> Result<Ended>;
}

/// What a campaign reports as it goes on.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The number of the boot, from 1, over all runs of the campaign.
    pub boot: u64,
    /// Its side.
    pub side: Side,
    /// How it ended.
    pub ended: Ended,
    /// How long it took.
    pub took: Duration,
    /// Boots that are still to be made.
    pub left: usize,
    /// How long these will take, if they take as long as the others did.
    pub estimate: Duration,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (boot, side, took) = (self.boot, self.side, seconds(self.took));
        match &self.ended {
            Ended::Passed => write!(f, "boot {boot}, {side}: pass in {took}")?,
            Ended::Failed(reason) => {
                write!(f, "boot {boot}, {side}: failed after {took}: {reason}")?
            }
            Ended::Interrupted => write!(f, "boot {boot}, {side}: interrupted")?,
        }
        match self.left {
            0 => Ok(()),
            left => write!(f, "; {left} left, about {}", seconds(self.estimate)),
        }
    }
}

/// `95 s`, `3 min`, `2 h 5 min`.
fn seconds(time: Duration) -> String {
    let seconds = time.as_secs_f64().round() as u64;
    match (seconds / 3600, seconds / 60) {
        (0, 0..3) => format!("{seconds} s"),
        (0, minutes) => format!("{minutes} min"),
        (hours, minutes) => format!("{hours} h {} min", minutes % 60),
    }
}

impl Campaign {
    /// Makes the boots that are left, each once, in the order of the plan. `report` gets each of them.
    ///
    /// # Errors
    ///
    /// This host's; and where one side fails [`MOST_FAILURES`] times in a row.
    pub fn run(&mut self, boots: &mut dyn Boots, report: &mut dyn FnMut(&Report)) -> Result<State> {
        let places = self.left();
        let mut failures = [0; 2];
        for (done, place) in places.iter().enumerate() {
            let side = place.side;
            let boot = self.next_boot();
            let part = self.part();
            let begun = Instant::now();
            let date = jiff::ZonedDateTime::now();
            let ended = boots.boot(side, &format!("boot={boot}"), &part)?;
            let took = begun.elapsed();
            let left = places.len() - done - 1;
            if ended == Ended::Interrupted {
                // A boot that was cut short is none.
                let _ = std::fs::remove_file(&part);
                return Ok(State::Interrupted { left: left + 1 });
            }
            let passed = ended == Ended::Passed;
            let ending = if passed { "log" } else { "failed" };
            let name = format!(
                "{side}/{}-boot-{boot:04}.{ending}",
                date.strftime("%Y-%m-%d-%H%M%S")
            );
            let kept = self.folder().join(&name);
            // A boot that failed before its serial port was opened has no log.
            if part.exists() || passed {
                std::fs::rename(&part, &kept)
                    .with_context(|| format!("{} cannot be written", kept.display()))?;
            }
            let failure = match &ended {
                Ended::Failed(reason) => Some(reason.clone()),
                _ => None,
            };
            self.record(Attempt {
                boot,
                pair: place.pair,
                side,
                date: date.strftime("%Y-%m-%dT%H:%M:%S").to_string(),
                seconds: took.as_secs_f64(),
                log: name,
                failure,
            })?;
            report(&Report {
                boot,
                side,
                ended: ended.clone(),
                took,
                left,
                estimate: self.mean_time() * left as u32,
            });
            let failures = &mut failures[side as usize];
            *failures = if passed { 0 } else { *failures + 1 };
            if let Ended::Failed(reason) = ended
                && *failures == MOST_FAILURES
            {
                bail!(
                    "{MOST_FAILURES} boots of {side} failed one after the other, the last one: {reason}"
                );
            }
        }
        Ok(State::Made {
            failed: self.left().len(),
        })
    }
}

/// How far a campaign came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Every boot of the plan was made, and this number failed.
    Made {
        /// Boots that failed; run again, a campaign makes them up.
        failed: usize,
    },
    /// The user ended it.
    Interrupted {
        /// Boots that are still to be made.
        left: usize,
    },
}
