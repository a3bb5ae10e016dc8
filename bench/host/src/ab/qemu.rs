//! The boots of a campaign, in QEMU on this host.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::campaign::Settings;
use super::{Boots, Campaign, Ended, Side};
use crate::run::{self, Accelerator, LogFile, Outcome, Progress, Request};

/// Boots each side's image as `pagemark run` does.
pub struct Qemu {
    request: Request,
    accelerator: Accelerator,
    images: [PathBuf; 2],
    /// Keys of words that this tool adds to the command line and that a side's image does not know.
    unknown: [Vec<String>; 2],
}

/// The keys of the words that this tool adds to the command line. An image of an older revision may not know them; without `boot` the
/// names of the logs say when each was made.
const ADDED: [&str; 3] = ["boot", "machine", "cpu"];

/// The key among [`ADDED`] that an image refused.
fn refused(errors: &[String]) -> Option<&'static str> {
    let refuses = |key: &&str| {
        let said = format!("unknown key `{key}`");
        errors.iter().any(|error| error.contains(&said))
    };
    ADDED.into_iter().find(refuses)
}

impl Qemu {
    /// Boots of the images of `campaign`, as `request` asks for; its own image is not looked at.
    pub fn new(request: Request, accelerator: Accelerator, campaign: &Campaign) -> Self {
        Self {
            request,
            accelerator,
            images: Side::BOTH.map(|side| campaign.image(side)),
            unknown: Default::default(),
        }
    }
}

/// What the boots of a campaign have in common, with `seed` for their order.
pub fn settings(request: &Request, accelerator: Accelerator, seed: u64) -> Settings {
    if let Some(hosted) = request.hosted {
        let pages = if hosted.huge {
            "2 MiB pages"
        } else {
            "4 KiB pages"
        };
        let machine = [
            accelerator.to_string(),
            format!("--smp {}", request.cpus),
            format!("--mem {}", request.memory),
            pages.to_owned(),
        ];
        return Settings {
            seed,
            machine: machine.to_vec(),
            command_line: request.command_line.clone(),
        };
    }
    let door = match (request.iso, request.uefi) {
        (false, _) => "pvh",
        (true, false) => "iso",
        (true, true) => "iso, UEFI",
    };
    let machine = [
        accelerator.to_string(),
        format!("-M {}", request.machine.name()),
        format!(
            "-cpu {}",
            request
                .cpu_model
                .as_deref()
                .unwrap_or(accelerator.cpu_model())
        ),
        format!("-smp {}", request.cpus),
        format!("-m {}", request.memory),
        door.to_owned(),
    ];
    Settings {
        seed,
        machine: machine.to_vec(),
        command_line: request.command_line.clone(),
    }
}

impl Boots for Qemu {
    fn boot(&mut self, side: Side, word: &str, log: &Path) -> Result<Ended> {
        let image = &self.images[side as usize];
        let words = [word.to_owned()];
        let (outcome, finished) = loop {
            let unknown = &mut self.unknown[side as usize];
            let (boot, _iso) =
                self.request
                    .boot_through_its_door(image, self.accelerator, &words, unknown)?;
            let log = LogFile::create(Some(log))?;
            let finished = run::boot_kept(&boot, &log, &Progress::new())?;
            let outcome = run::judge(&finished);
            if let Outcome::Error(log) = &outcome
                && let Some(key) = refused(&log.errors)
                && !unknown.iter().any(|known| known == key)
            {
                eprintln!("pagemark: {side} is older than the word {key}=, and boots without it");
                unknown.push(key.to_owned());
                continue;
            }
            break (outcome, finished);
        };
        Ok(match &outcome {
            Outcome::Pass(_) => Ended::Passed,
            Outcome::Interrupted => Ended::Interrupted,
            Outcome::Fail(log) => {
                let failed = log.checks.iter().filter(|check| !check.pass);
                let names: Vec<&str> = failed.map(|check| check.name.as_str()).collect();
                Ended::Failed(format!("checks failed: {}", names.join(", ")))
            }
            Outcome::Error(log) => Ended::Failed(log.errors.join("; ")),
            Outcome::Panic(_) => Ended::Failed("the image panicked".to_owned()),
            Outcome::Refused(_) | Outcome::Broken(_) | Outcome::TimedOut => {
                let reason = outcome.explanation(&finished, None).unwrap_or_default();
                Ended::Failed(reason.lines().next().unwrap_or_default().to_owned())
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refused_word_of_this_tool_is_left_out() {
        let error = |key: &str| {
            vec![format!(
                "command line: unknown key `{key}`; the keys are suite and boot"
            )]
        };
        assert_eq!(refused(&error("boot")), Some("boot"));
        assert_eq!(refused(&error("cpu")), Some("cpu"));
        assert_eq!(refused(&error("sweet")), None);
        assert_eq!(refused(&[]), None);
    }
}
