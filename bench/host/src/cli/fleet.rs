//! Machines side by side: `fleet` and `fleet run`.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};

use super::lab::{LabOptions, output_folder, print_fleet, print_lost};
use super::logs::{Broken, logs};
use super::run::{Image, Suite, catch_interrupts, words};
use crate::fleet::{self, Unit};
use crate::glob::Globs;
use crate::lab;
use crate::log::side::Reading;
use crate::style::{Look, print};

/// `pagemark fleet`.
#[derive(Args, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "\
Logs are of one machine if all that their logs say of it is alike. Its name is the machine= of the command line, else the folder of its logs, else its CPU. The figure of a case is the median of its boots' medians.

  pagemark fleet rack7 rack8 --only 'tlb/*' --base rack7
  pagemark fleet logs/* --site report"
)]
pub struct Fleet {
    /// What is done beside the table
    #[command(subcommand)]
    pub action: Option<FleetAction>,
    /// Folders with logs (*.log), or logs
    #[arg(required = true)]
    pub logs: Vec<PathBuf>,
    /// Only the cases whose names match: globs, separated by commas
    #[arg(
        long,
        value_name = "GLOB",
        default_value = "",
        hide_default_value = true
    )]
    pub only: Globs,
    /// What figures are in
    #[arg(long, value_enum, default_value_t)]
    pub by: Unit,
    /// Show figures as multiples of this machine's
    #[arg(long, value_name = "MACHINE")]
    pub base: Option<String>,
    /// What to write
    #[arg(long, short, value_enum, default_value_t)]
    pub format: fleet::text::Format,
    /// Write a static site to this folder instead
    #[arg(long, value_name = "DIR", conflicts_with = "format")]
    pub site: Option<PathBuf>,
    /// What is not whole
    #[command(flatten)]
    pub broken: Broken,
}

/// What `pagemark fleet` does beside the table.
#[derive(Debug, Subcommand)]
pub enum FleetAction {
    /// Boot the image on the places of a lab, side by side, and show the table of their logs
    Run(FleetRun),
}

/// `pagemark fleet run`.
#[derive(Args, Debug)]
#[command(after_help = "\
A place that hangs, loses its console or is taken is reported by name, and the others go on. The logs of a place lie in FOLDER/PLACE; machine=PLACE and boot=N are added to the command line.

Exit status: 0 every boot passed, 1 some did not, 2 no lab could be had, 130 interrupted.")]
pub struct FleetRun {
    /// The lab
    #[command(flatten)]
    pub lab: LabOptions,
    /// Boots of each place
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub boots: u32,
    /// How much to measure: quick, full or soak
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    pub suite: Suite,
    /// Run only the cases whose names match
    #[arg(long, value_name = "GLOB")]
    pub only: Option<String>,
    /// A word for the image's command line; may be given again
    #[arg(long, value_name = "KEY=VALUE")]
    pub append: Vec<String>,
    /// Where the logs go [default: a new folder under target/pagemark/]
    #[arg(long, short, value_name = "FOLDER")]
    pub output: Option<PathBuf>,
    /// The image
    #[command(flatten)]
    pub image: Image,
}

pub(super) fn show_fleet(options: &Fleet) -> Result<u8> {
    let logs = logs(&options.logs, options.broken.skip_broken)?;
    let fleet = fleet::Fleet::new(&logs, &options.only, options.by);
    if fleet.mixes_clocks() {
        bail!("instructions and ticks do not stand in one table: give logs of one clock");
    }
    let base = options.base.as_ref().map(|name| {
        let names: Vec<&str> = fleet
            .machines
            .iter()
            .map(|machine| machine.name.as_str())
            .collect();
        let place = fleet.place(name);
        place.with_context(|| format!("no machine {name}; there are {}", names.join(", ")))
    });
    let base = base.transpose()?;
    match &options.site {
        Some(folder) => {
            fleet::site::write(&fleet, folder)
                .with_context(|| format!("{} cannot be written", folder.display()))?;
            print(&format!("{}\n", folder.join("index.html").display()))?;
        }
        None => print(&fleet.write(options.format, base, Look::of_stdout()))?,
    }
    Ok(0)
}

/// Boots the image on the places of a lab.
pub(super) fn boot_fleet(options: FleetRun) -> Result<u8> {
    catch_interrupts()?;
    let lab = options
        .lab
        .lab()
        .context("--lab names labgrid's environment file")?;
    let folder = output_folder(options.output, "fleet")?;
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("{} cannot be made", folder.display()))?;
    let image = lab::Image::new(&options.image.origin().file()?, &folder, "pagemark")?;
    let only = options.only.map(|glob| format!("only={glob}"));
    let words: Vec<String> = [options.suite.word().to_owned()]
        .into_iter()
        .chain(only)
        .chain(words(&options.append))
        .collect();
    let came = lab.run(&image, &words, options.boots, &folder, &|line| {
        eprintln!("{line}")
    })?;
    print_fleet(&Reading::default().logs(&came.folders)?)?;
    eprintln!("logs: {}", folder.display());
    print_lost(&came, 0)
}
