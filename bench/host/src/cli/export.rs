//! A log in the format of another tool: `export`.

use std::path::PathBuf;
use std::slice::from_ref;

use anyhow::{Context, Result, bail};
use clap::Args;

use super::base::{base, judge};
use super::logs::{Allowed, Broken, print_skipped};
use crate::export::{self, Format, export};
use crate::gate::ticks::FALSE_ALARMS;
use crate::import::Foreign;
use crate::import::source::{Source, all_logs, sources};
use crate::log::Log;
use crate::log::side::Reading;
use crate::style::print;

/// `pagemark export`.
#[derive(Args, Debug)]
pub struct Export {
    /// The log; or for a format that has figures alone, a file of another tool
    pub log: PathBuf,
    /// What to write
    #[arg(long, short, value_enum)]
    pub format: Format,
    /// Hold the log against this first, as `pagemark gate` does: a baseline, a log, or a folder
    #[arg(long, value_name = "PATH")]
    pub base: Option<PathBuf>,
    /// For the page: earlier logs
    #[arg(long, value_name = "PATH")]
    pub history: Vec<PathBuf>,
    /// Where to write it [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// What is passed over
    #[command(flatten)]
    pub allowed: Allowed,
    /// What is not whole
    #[command(flatten)]
    pub broken: Broken,
}

pub(super) fn export_log(options: &Export) -> Result<u8> {
    let mut reading = Reading::new(options.broken.skip_broken);
    let sources = sources(from_ref(&options.log), None, &mut reading)?;
    if options.format == Format::Json
        && let Some(logs) = all_logs(&sources)
    {
        print_skipped(&reading);
        let logs: Vec<&Log> = logs.iter().collect();
        return write_out(options, &(export::json::whole(&logs) + "\n"));
    }
    let log = match sources.as_slice() {
        [Source::Log(log)] => log.as_ref(),
        [Source::Foreign { figures, .. }] => return export_figures(options, figures),
        sources => bail!(
            "{} holds {} logs; one is exported at a time",
            options.log.display(),
            sources.len()
        ),
    };
    let history = reading.logs(&options.history)?;
    let path = options.base.as_ref();
    let base = path
        .map(|path| base(from_ref(path), &mut reading))
        .transpose()?;
    print_skipped(&reading);
    let judgement = match &base {
        Some(base) => Some(judge(
            base,
            from_ref(log),
            &history,
            FALSE_ALARMS,
            &options.allowed.allow(),
        )?),
        None => None,
    };
    write_out(
        options,
        &export(options.format, log, judgement.as_ref(), &history),
    )
}

/// Another tool's figures, in the format of a third.
fn export_figures(options: &Export, foreign: &Foreign) -> Result<u8> {
    if options.base.is_some() || !options.history.is_empty() {
        bail!(
            "--base and --history are for logs, and {} is none",
            options.log.display()
        );
    }
    match export::figures(options.format, &foreign.entries) {
        Some(text) => write_out(options, &text),
        None => bail!(
            "{} is {}: its figures make no report on a run",
            options.log.display(),
            foreign.format.name()
        ),
    }
}

fn write_out(options: &Export, text: &str) -> Result<u8> {
    match &options.output {
        Some(path) => std::fs::write(path, text)
            .with_context(|| format!("{} cannot be written", path.display()))?,
        None => print(text)?,
    }
    Ok(0)
}
