//! One log, and the names of all cases: `show` and `list`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::slice::from_ref;

use anyhow::Result;
use clap::Args;

use super::base::{Base, base};
use super::logs::{Broken, print_skipped};
use crate::glob::Globs;
use crate::image::Symbols;
use crate::import::source::{Source, sources};
use crate::log::Log;
use crate::log::side::Reading;
use crate::show::{self, Sort};
use crate::style::{Look, print};
use crate::{export, import, list};

/// `pagemark show`.
#[derive(Args, Debug)]
#[command(after_help = "Exit status: 0 every file is whole, 4 one is not.")]
pub struct Show {
    /// The logs, or folders with logs (*.log); or files of other tools
    #[arg(required = true, value_name = "LOG")]
    pub logs: Vec<PathBuf>,
    /// Read what is no log as this, whatever it looks like
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<import::Format>,
    /// The image that wrote it, to name the functions of a panic
    #[arg(long, value_name = "ELF")]
    pub image: Option<PathBuf>,
    /// Only the cases whose names match, in the table: globs, separated by commas
    #[arg(
        long,
        value_name = "GLOB",
        default_value = "",
        hide_default_value = true
    )]
    pub only: Globs,
    /// The order of the cases
    #[arg(long, value_enum, default_value_t)]
    pub sort: Sort,
    /// The summary alone
    #[arg(long, short, conflicts_with = "all")]
    pub quiet: bool,
    /// Everything: skipped cases, free blocks, areas
    #[arg(long, short)]
    pub all: bool,
    /// The whole logs as JSON
    #[arg(long)]
    pub json: bool,
    /// What is not whole
    #[command(flatten)]
    pub broken: Broken,
}

/// `pagemark list`.
#[derive(Args, Debug)]
pub struct List {
    /// A baseline file, or a log, which also has their classes
    #[arg(default_value = "bench/baselines/quick.txt", value_name = "FILE")]
    pub from: PathBuf,
    /// Only the cases whose names match: globs, separated by commas
    #[arg(
        long,
        value_name = "GLOB",
        default_value = "",
        hide_default_value = true
    )]
    pub only: Globs,
}

pub(super) fn show_logs(options: &Show) -> Result<u8> {
    let symbols = options.image.as_deref().map(Symbols::read).transpose()?;
    let mut reading = Reading::new(options.broken.skip_broken);
    let sources = sources(&options.logs, options.format, &mut reading)?;
    print_skipped(&reading);
    if options.json {
        let logs: Vec<&Log> = sources.iter().filter_map(Source::log).collect();
        print(&(export::json::whole(&logs) + "\n"))?;
        return Ok(0);
    }
    let look = Look::of_stdout();
    let detail = show::Detail {
        quiet: options.quiet,
        all: options.all,
        only: options.only.clone(),
        sort: options.sort,
        width: look.width(),
    };
    let tables = sources.iter().map(|source| match source {
        Source::Log(log) => {
            let table = show::render_as(log, look, symbols.as_ref(), &detail);
            // Of several logs each is named.
            match sources.len() {
                1 => table,
                _ => format!(
                    "{} ({})\n{table}",
                    log.origin.name(),
                    log.origin.date_shown()
                ),
            }
        }
        Source::Foreign { path, figures } => {
            show::foreign::render(path, figures, Look::of_stdout())
        }
    });
    print(&tables.collect::<Vec<_>>().join("\n"))?;
    Ok(0)
}

pub(super) fn list_cases(options: &List) -> Result<u8> {
    let named = |name: &String, class| list::Case {
        name: name.clone(),
        class,
    };
    let mut cases: Vec<list::Case> = match base(from_ref(&options.from), &mut Reading::default())? {
        Base::File(baseline) => baseline
            .cases
            .keys()
            .map(|name| named(name, None))
            .collect(),
        Base::Logs(logs) => logs
            .iter()
            .flat_map(|log| {
                let measured = log
                    .results
                    .iter()
                    .map(|result| named(&result.case, result.class));
                measured.chain(log.skips.iter().map(|skip| named(&skip.case, None)))
            })
            .collect(),
    };
    // Many logs have the same cases.
    let mut known = BTreeSet::new();
    cases.retain(|case| known.insert(case.name.clone()));
    print(&list::render(&cases, &options.only, Look::of_stdout()))?;
    Ok(0)
}
