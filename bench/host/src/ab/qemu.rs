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
}

impl Qemu {
    /// Boots of the images of `campaign`, as `request` asks for; its own image is not looked at.
    pub fn new(request: Request, accelerator: Accelerator, campaign: &Campaign) -> Self {
        Self {
            request,
            accelerator,
            images: Side::BOTH.map(|side| campaign.image(side)),
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
        let (boot, _iso) =
            self.request
                .boot_through_its_door(image, self.accelerator, &[word.to_owned()])?;
        let log = LogFile::create(Some(log))?;
        let finished = run::boot_kept(&boot, &log, &Progress::new())?;
        let outcome = run::judge(&finished);
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
                let told = outcome.explanation(&finished, None).unwrap_or_default();
                Ended::Failed(told.lines().next().unwrap_or_default().to_owned())
            }
        })
    }
}
