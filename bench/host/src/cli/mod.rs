//! The command line of `pagemark`: a file for each group of commands, with their options and what they do.

mod ab;
mod base;
mod captures;
mod export;
mod fleet;
mod gate;
mod help;
mod history;
mod lab;
mod logs;
mod media;
mod run;
mod show;
mod status;

use clap::{Parser, Subcommand};

use crate::import::source::SourceError;
use crate::log::printable;
use crate::log::side::SideError;
use fleet::FleetAction;
use status::{BROKEN_LOG, CANNOT};

/// Boots the pagemark image in QEMU and reads its logs.
#[derive(Debug, Parser)]
// Help that is piped or paged fits a terminal of 80 columns, too.
#[command(
    name = "pagemark",
    version,
    propagate_version = true,
    max_term_width = 80
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the tool does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Boot the image in QEMU, show its results, keep its log
    Run(run::Run),
    /// Repeat a run under icount on every machine type, and expect the same figures each time
    Repeat(run::Repeat),
    /// Show a log, or figures of another tool, as a table
    Show(show::Show),
    /// Compare two logs, or many a side, or a log with figures of another tool; a regression gives exit status 1
    Compare(gate::Compare),
    /// Judge new runs against a base, with an exit status for pipelines
    Gate(gate::Gate),
    /// Boot two images in turns, and judge the new one as the gate does
    Ab(ab::Ab),
    /// Find where figures changed over many logs
    History(history::History),
    /// Set machines side by side, as a table or a static site
    Fleet(fleet::Fleet),
    /// Name every case, with its source and policy
    List(show::List),
    /// Write the completions for a shell
    Completions(help::Completions),
    /// Write the manual page
    Man,
    /// Report which figures depend on where the code lies, from logs of images built with --text-offset
    Alignment(history::Alignment),
    /// Write a log's figures, or another tool's, in another tool's format
    Export(export::Export),
    /// Put logs of many machines into one file, which every command reads as it reads a folder
    Pack(captures::Pack),
    /// Write each run of a capture to a file of its own, as the image wrote it
    Split(captures::Split),
    /// Read a log back from pictures of the codes on a screen: photographs, screenshots, frames of a film
    Scan(captures::Scan),
    /// Write an ISO that boots on BIOS and UEFI, in QEMU, from a USB stick, and on a real machine
    Iso(media::Iso),
    /// Write the folder that a TFTP or HTTP server hands out, for machines that boot over the network
    Netboot(media::Netboot),
}

/// Does what the command line asks for; gives the exit status, and reports on standard error what cannot be done.
pub fn execute(command: Command) -> u8 {
    let result = match command {
        Command::Run(options) => run::run_image(options),
        Command::Repeat(options) => run::repeat_run(options),
        Command::Show(options) => show::show_logs(&options),
        Command::Compare(options) => gate::compare_logs(&options),
        Command::History(options) => history::show_history(&options),
        Command::Alignment(options) => history::show_alignment(&options),
        Command::Export(options) => export::export_log(&options),
        Command::Gate(options) => gate::gate_logs(&options),
        Command::Ab(options) => ab::boot_in_turns(options),
        Command::Fleet(fleet::Fleet {
            action: Some(FleetAction::Run(options)),
            ..
        }) => fleet::boot_fleet(options),
        Command::Fleet(options) => fleet::show_fleet(&options),
        Command::List(options) => show::list_cases(&options),
        Command::Completions(options) => Ok(help::write_completions(&options)),
        Command::Man => help::write_manual(),
        Command::Pack(options) => captures::pack_logs(&options),
        Command::Split(options) => captures::split_captures(&options),
        Command::Scan(options) => captures::scan_pictures(&options),
        Command::Iso(options) => media::write_iso(options),
        Command::Netboot(options) => media::write_netboot(options),
    };
    result.unwrap_or_else(|error| {
        eprintln!("pagemark: {}", printable::lines(&format!("{error:#}")));
        if is_broken(&error) {
            BROKEN_LOG
        } else {
            CANNOT
        }
    })
}

/// Whether a file was the reason that holds no whole log, and nothing else that could be read.
fn is_broken(error: &anyhow::Error) -> bool {
    let side = match error.downcast_ref() {
        Some(SourceError::Side(side)) => Some(side),
        Some(SourceError::Damaged { .. } | SourceError::Unknown { .. }) => return true,
        None => error.downcast_ref(),
    };
    matches!(
        side,
        Some(SideError::Broken { .. } | SideError::Pack { .. })
    )
}
