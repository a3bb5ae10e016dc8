//! Many logs of one machine: `history` and `alignment`.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;

use super::logs::{Broken, logs};
use crate::alignment::Alignments;
use crate::history;
use crate::log::Log;
use crate::style::{Look, print};

/// `pagemark history`.
#[derive(Args, Debug)]
#[command(after_help = "\
Logs are taken by machine, in the order of their dates: the log's own clock, else the file's name, else its time. Instruction counts change at every step; ticks where the ranks of the logs before and after differ beyond chance, with 5 logs or more on either side; at most 1 % of histories without a change have one. Files of Go benchmark text, or folders with such files (*.txt), are logs of the machine that their lines cpu, goos and goarch name.")]
pub struct History {
    /// Folders with logs (*.log), or logs
    #[arg(required = true)]
    pub logs: Vec<PathBuf>,
    /// The changes as JSON
    #[arg(long)]
    pub json: bool,
    /// Take logs of different machines or suites for those of one
    #[arg(long)]
    pub force: bool,
    /// What is not whole
    #[command(flatten)]
    pub broken: Broken,
}

/// `pagemark alignment`.
#[derive(Args, Debug)]
#[command(after_help = "\
A processor fetches code in lines of 64 bytes and halves of them, so that a case can be slower for where its code happens to lie. One log at each offset shows by how much:

  for offset in 0 16 32 48; do
    scripts/run.sh --text-offset $offset --log offset-$offset.log
  done")]
pub struct Alignment {
    /// Logs at two offsets or more, or folders with logs (*.log); of several at one offset the median counts
    #[arg(required = true)]
    pub logs: Vec<PathBuf>,
    /// Take logs of different machines or suites all the same
    #[arg(long)]
    pub force: bool,
    /// What is not whole
    #[command(flatten)]
    pub broken: Broken,
}

pub(super) fn show_history(options: &History) -> Result<u8> {
    let histories = match history::go_text::texts(&options.logs) {
        Some(texts) => history::go_text::histories(&texts, options.force)?,
        None => {
            let logs = logs(&options.logs, options.broken.skip_broken)?;
            history::histories(&logs, options.force)
        }
    };
    if options.json {
        let changes = histories
            .iter()
            .map(|history| (&history.machine, history::changes(history)));
        let changes: std::collections::BTreeMap<_, _> = changes.collect();
        print(&(serde_json::to_string_pretty(&changes)? + "\n"))?;
    } else {
        print(&history::render(&histories, Look::of_stdout()))?;
    }
    Ok(0)
}

pub(super) fn show_alignment(options: &Alignment) -> Result<u8> {
    let logs = logs(&options.logs, options.broken.skip_broken)?;
    of_one_machine(&logs, options.force)?;
    print(&Alignments::new(&logs)?.render(Look::of_stdout()))?;
    Ok(0)
}

fn of_one_machine(logs: &[Log], force: bool) -> Result<()> {
    let differing = history::machines(logs);
    if !force && !differing.is_empty() {
        bail!(
            "the logs are not of one machine and suite:\n  {}\n(--force takes them all the same)",
            differing.join("\n  ")
        );
    }
    Ok(())
}
