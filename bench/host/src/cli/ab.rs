//! Two images in turns, and the verdict on the new one: `ab`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;

use super::gate::{print_judgement, probability};
use super::lab::{LabOptions, output_folder, print_fleet, print_lost};
use super::logs::Allowed;
use super::run::{Run, catch_interrupts};
use super::status::CANNOT;
use crate::ab::{self, Campaign, Side};
use crate::blame;
use crate::compare::allow::Allow;
use crate::gate::ticks::FALSE_ALARMS;
use crate::gate::{self, Judgement};
use crate::image::{self, Program};
use crate::lab::Came;
use crate::log::Log;
use crate::log::side::Reading;
use crate::run;
use crate::style::print;

/// `pagemark ab`.
#[derive(Args, Debug)]
#[command(
    mut_arg("log", |log| log.hide(true)),
    mut_arg("image", |image| image.help("The new image, or with --hosted the program [default: built from the sources]")),
    mut_arg("hosted", |hosted| hosted.conflicts_with("lab")),
    after_help = "\
Pairs of boots, one a side, in an order that the seed draws for each pair. The folder holds base/ and new/ with a log of each boot, both images, and boots.jsonl with every boot in the order of time. A failed boot is kept as *.failed, and the others go on. Interrupted, or with failed boots to make up, the same command with --output FOLDER makes what is left; a greater --boots adds pairs. An image that is older than a word that this adds (boot=, machine=, cpu=) boots without it.

  pagemark ab --base-revision v1 --boots 10
  pagemark ab --base-image old.elf --image new.elf --iso --output campaign
  pagemark ab --hosted --base-revision v1 --boots 10

Exit status: that of pagemark gate; 2 also where a side fails three times in a row, 130 interrupted.")]
pub struct Ab {
    /// The image of the base, or with --hosted its program
    #[arg(
        long,
        value_name = "ELF",
        conflicts_with = "base_revision",
        required_unless_present = "base_revision"
    )]
    pub base_image: Option<PathBuf>,
    /// The base as a git revision of the checkout, which is built in a folder of its own
    #[arg(long, value_name = "REV")]
    pub base_revision: Option<String>,
    /// The new side as a git revision, too
    #[arg(long, value_name = "REV", conflicts_with_all = ["image", "text_offset"])]
    pub revision: Option<String>,
    /// Boots a side; ticks need 8 or more
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub boots: u32,
    /// Draws the order within the pairs [default: one from the clock, which the folder keeps]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// The campaign's folder [default: a new one under target/pagemark/]
    #[arg(long, short, value_name = "FOLDER")]
    pub output: Option<PathBuf>,
    /// Earlier logs, whose noise sets the least change of ticks that counts
    #[arg(long, value_name = "PATH")]
    pub history: Vec<PathBuf>,
    /// For ticks: the probability of even one false alarm
    #[arg(long, value_name = "P", default_value_t = FALSE_ALARMS, value_parser = probability)]
    pub false_alarms: f64,
    /// What is passed over
    #[command(flatten)]
    pub allowed: Allowed,
    /// Boot on the places of a lab, not in QEMU on this host
    #[command(flatten)]
    pub lab: LabOptions,
    /// The machine, and the new image
    #[command(flatten)]
    pub run: Run,
}

/// How the logs of a campaign are judged.
struct Judging<'a> {
    history: &'a [PathBuf],
    false_alarms: f64,
    allow: Allow,
}

impl Judging<'_> {
    /// Judges the campaign in `folder`; also gives the logs of its new side.
    fn judge(&self, folder: &Path) -> Result<(Judgement, Vec<Log>)> {
        let mut reading = Reading::default();
        let [base, new] = Side::BOTH.map(|side| folder.join(side.name()));
        let (base, new) = (reading.logs(&[base])?, reading.logs(&[new])?);
        let history = reading.logs(self.history)?;
        let allow = self.allow.clone();
        let judgement = gate::judge_logs(&base, &new, &history, self.false_alarms, allow)?;
        Ok((judgement, new))
    }
}

/// The base and the new image, or program, built where a revision is named.
fn images(
    base: (Option<PathBuf>, Option<String>),
    revision: Option<String>,
    request: &run::Request,
) -> Result<[PathBuf; 2]> {
    let program = match request.hosted {
        Some(_) => {
            run::hosted::is_possible()?;
            Program::Process
        }
        None => Program::Image,
    };
    let base = match base {
        (Some(image), _) => image,
        (None, Some(revision)) => image::build_revision(&revision, program)?,
        (None, None) => bail!("--base-image or --base-revision names the base"),
    };
    let new = match revision {
        Some(revision) => image::build_revision(&revision, program)?,
        None => request.image.file()?,
    };
    Ok([base, new])
}

/// The seed of the order of boots: as asked for, of the campaign that the folder holds, or from the clock.
fn seed(asked: Option<u64>, folder: &Path) -> Result<u64> {
    let from_clock = || {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.map_or(1, |now| now.as_secs())
    };
    match asked {
        Some(seed) => Ok(seed),
        None => Ok(Campaign::seed_in(folder)?.unwrap_or_else(from_clock)),
    }
}

/// Boots two images in turns, and judges them by what the campaign's folder then holds.
pub(super) fn boot_in_turns(options: Ab) -> Result<u8> {
    if options.run.log.is_some() {
        bail!("--log names one log, and a campaign has many: --output names its folder");
    }
    catch_interrupts()?;
    let folder = output_folder(options.output, "ab")?;
    let lab = options.lab.lab();
    let request = options.run.request();
    let base = (options.base_image, options.base_revision);
    let [base, new] = images(base, options.revision, &request)?;
    let seed = seed(options.seed, &folder)?;
    let judging = Judging {
        history: &options.history,
        false_alarms: options.false_alarms,
        allow: options.allowed.allow(),
    };
    if let Some(lab) = lab {
        let images = [base.as_path(), &new];
        let words = &request.command_line;
        let came = lab.in_turns(images, words, seed, options.boots, &folder, &|line| {
            eprintln!("{line}")
        })?;
        return print_places_in_turns(&came, &judging);
    }
    request.check_memory(&base)?;
    request.check_memory(&new)?;
    let accelerator = request.choose_accelerator(&new, &run::Progress::new())?;
    let settings = ab::qemu::settings(&request, accelerator, seed);
    let mut campaign = Campaign::open(&folder, &settings, [&base, &new], options.boots)?;
    eprintln!(
        "campaign: {}, {} boots, {} of them left",
        folder.display(),
        u64::from(options.boots) * 2,
        campaign.left().len()
    );
    let qemu = request.qemu.clone();
    let mut boots = ab::qemu::Qemu::new(request, accelerator, &campaign);
    let made = campaign.run(&mut boots, &mut |report| eprintln!("{report}"));
    let stopped = || {
        let folder = folder.display();
        format!("stopped; the same command with --output {folder} goes on")
    };
    match made.with_context(stopped)? {
        ab::State::Interrupted { left } => {
            eprintln!(
                "pagemark: interrupted with {left} boots left; the same command with --output {} makes them",
                folder.display()
            );
            return Ok(130);
        }
        ab::State::Made { failed: 0 } => {}
        ab::State::Made { failed } => eprintln!(
            "pagemark: {failed} boots failed; the same command with --output {} makes them up",
            folder.display()
        ),
    }
    let (mut judgement, new) = judging.judge(campaign.folder())?;
    let [old_image, new_image] = Side::BOTH.map(|side| campaign.image(side));
    if let Some(log) = new.first() {
        let images = blame::Images {
            qemu: &qemu,
            base: &old_image,
            new: &new_image,
        };
        blame::functions(&mut judgement, images, log);
    }
    print_judgement(&judgement)
}

/// Judges the campaign of each place, and sets the places' new sides beside one another.
fn print_places_in_turns(came: &Came, judging: &Judging) -> Result<u8> {
    let mut status = 0;
    let mut all = Vec::new();
    for folder in &came.folders {
        let place = folder.file_name().unwrap_or_default().display();
        print(&format!("\n{place}\n"))?;
        // One place whose sides do not compare does not keep the others from being judged.
        match judging.judge(folder) {
            Ok((judgement, new)) => {
                status = status.max(print_judgement(&judgement)?);
                all.extend(new);
            }
            Err(error) => {
                eprintln!("pagemark: {place}: {error:#}");
                status = status.max(CANNOT);
            }
        }
    }
    print_fleet(&all)?;
    print_lost(came, status)
}
