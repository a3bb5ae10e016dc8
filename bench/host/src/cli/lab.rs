//! What `ab` and `fleet run` have in common: the lab, the folder of its logs, what came back.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::fleet::{self, Fleet};
use crate::glob::Globs;
use crate::lab::{Came, Lab};
use crate::log::Log;
use crate::run;
use crate::style::{Look, print};

/// A labgrid lab.
#[derive(Args, Debug)]
#[command(next_help_heading = "Lab")]
pub struct LabOptions {
    /// labgrid's environment file, with a target `main` that has a PagemarkStrategy (docs/lab.md)
    #[arg(long, value_name = "ENV")]
    pub lab: Option<PathBuf>,
    /// The coordinator's places whose names match this glob
    #[arg(long, value_name = "GLOB", default_value = "*", requires = "lab")]
    pub places: String,
    /// The coordinator [default: labgrid's]
    #[arg(long, value_name = "HOST:PORT", requires = "lab")]
    pub coordinator: Option<String>,
    /// How long to wait for a place that is taken
    #[arg(long, value_name = "SECONDS", default_value_t = 0, requires = "lab")]
    pub wait: u32,
    /// How long firmware and loader may take [default: the environment's]
    #[arg(long, value_name = "SECONDS", requires = "lab")]
    pub boot_timeout: Option<u32>,
    /// How long the image may take from its first record on [default: what its suite takes]
    #[arg(long, value_name = "SECONDS", requires = "lab")]
    pub run_timeout: Option<u32>,
    /// The program of the Python package in lab/labgrid
    #[arg(
        long,
        value_name = "PATH",
        env = "PAGEMARK_LAB",
        default_value = "pagemark-lab"
    )]
    pub pagemark_lab: PathBuf,
}

impl LabOptions {
    /// The lab, if one is named.
    pub fn lab(&self) -> Option<Lab> {
        Some(Lab {
            program: self.pagemark_lab.clone(),
            environment: self.lab.clone()?,
            places: self.places.clone(),
            coordinator: self.coordinator.clone(),
            wait: self.wait,
            boot_timeout: self.boot_timeout,
            run_timeout: self.run_timeout,
        })
    }
}

/// The folder that was asked for, or a new one with this name and the time.
pub(super) fn output_folder(asked_for: Option<PathBuf>, name: &str) -> Result<PathBuf> {
    Ok(match asked_for {
        Some(folder) => folder,
        None => {
            let time = jiff::ZonedDateTime::now().strftime("%Y-%m-%d-%H%M%S");
            run::kept_files()?.join(format!("{name}-{time}"))
        }
    })
}

/// The table of a fleet that was just booted.
pub(super) fn print_fleet(logs: &[Log]) -> Result<()> {
    if logs.is_empty() {
        return Ok(());
    }
    let fleet = Fleet::new(logs, &Globs::default(), fleet::Unit::default());
    match fleet.mixes_clocks() {
        true => eprintln!("pagemark: instructions and ticks do not stand in one table"),
        false => print(&format!(
            "\n{}",
            fleet.write(fleet::text::Format::Text, None, Look::of_stdout())
        ))?,
    }
    Ok(())
}

/// Names what was lost, and gives the status: `status`, or 1 where something was lost.
pub(super) fn print_lost(came: &Came, status: u8) -> Result<u8> {
    if !came.lost.is_empty() {
        let lines: Vec<String> = came
            .lost
            .iter()
            .map(|lost| format!("    {lost}\n"))
            .collect();
        print(&format!("\n  lost:\n{}", lines.concat()))?;
    }
    Ok(match came.interrupted {
        true => 130,
        false => status.max(u8::from(!came.lost.is_empty())),
    })
}
