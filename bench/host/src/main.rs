//! The binary `pagemark`.

use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use anyhow::{Context, Result};
use clap::Parser;
use pagemark_host::cli::{Cli, Command, Compare, Iso, Repeat, Run, Show, words};
use pagemark_host::compare::{Change, compare};
use pagemark_host::image::{self, Symbols};
use pagemark_host::log::{self, Log, LogError};
use pagemark_host::run::{self, INTERRUPTED};
use pagemark_host::show;
use pagemark_host::style::{Look, print, thousands};

/// The status for what could not be done as it was asked for.
const CANNOT: u8 = 2;
/// The status for a log that is not whole.
const BROKEN_LOG: u8 = 4;

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(options) => run_image(options),
        Command::Repeat(options) => repeat_run(options),
        Command::Show(options) => show_log(&options),
        Command::Compare(options) => compare_logs(&options),
        Command::Iso(options) => write_iso(options),
    };
    ExitCode::from(result.unwrap_or_else(|error| {
        eprintln!("pagemark: {error:#}");
        CANNOT
    }))
}

fn run_image(options: Run) -> Result<u8> {
    catch_interrupts()?;
    Ok(run::run(&options.request())?.exit_status())
}

fn repeat_run(options: Repeat) -> Result<u8> {
    catch_interrupts()?;
    let runs = options.runs;
    let request = options.run.request();
    let image = request.image.clone().map_or_else(image::build, Ok)?;
    let repeated = run::repeat(&request.boot(&image), runs, &mut |run, name| {
        if run.is_multiple_of(50) {
            eprintln!("pagemark: {name}");
        }
    })?;
    for difference in &repeated.differences {
        println!("{}\n  {}", difference.run, difference.figures.join("\n  "));
    }
    println!(
        "{} runs of {} cases, {} with figures that are not those of the first",
        thousands(u64::from(repeated.runs)),
        repeated.cases,
        repeated.differences.len()
    );
    Ok(u8::from(!repeated.differences.is_empty()))
}

fn catch_interrupts() -> Result<()> {
    ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::Relaxed))
        .context("signals cannot be caught")
}

fn read_log(path: &Path) -> Result<Log> {
    let bytes =
        std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
    log::read(&bytes).with_context(|| path.display().to_string())
}

fn show_log(options: &Show) -> Result<u8> {
    let log = match read_log(&options.log) {
        Err(error) if error.is::<LogError>() => {
            eprintln!("pagemark: {error:#}");
            return Ok(BROKEN_LOG);
        }
        log => log?,
    };
    let symbols = options.image.as_deref().map(Symbols::read).transpose()?;
    print(&show::render(&log, Look::of_stdout(), symbols.as_ref()))?;
    Ok(0)
}

fn compare_logs(options: &Compare) -> Result<u8> {
    let (base, new) = (read_log(&options.base)?, read_log(&options.new)?);
    let comparison = compare(&base, &new, options.threshold, options.force)?;
    print(&comparison.render(Look::of_stdout()))?;
    Ok(u8::from(comparison.count(Change::Regression) > 0))
}

fn write_iso(options: Iso) -> Result<u8> {
    let image = options.image.map_or_else(image::build, Ok)?;
    let iso = match options.output {
        Some(path) => path,
        None => run::kept_files()?.join("pagemark.iso"),
    };
    image::pack(&image, &words(&options.append), &iso)?;
    print(&format!(
        "{iso}\n\nTo write it to a USB stick, all of which is overwritten (lsblk names the device):\n  \
         sudo dd if={iso} of=/dev/sdX bs=4M oflag=sync status=progress\n",
        iso = iso.display()
    ))?;
    Ok(0)
}
