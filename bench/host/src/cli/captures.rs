//! From what a wire or a camera gave to logs, and from logs to one file: `split`, `scan`, `pack`.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;

use super::logs::{Broken, print_skipped};
use super::status::BROKEN_LOG;
use crate::log::printable;
use crate::log::side::{self, Reading};
use crate::pack::{self, Names};
use crate::scan;
use crate::style::{counted, print, thousands};

/// `pagemark split`.
#[derive(Args, Debug)]
#[command(after_help = "\
The files are named after the capture and the run: rack7.log becomes rack7-1.log, rack7-2.log, ... What logging programs and wires add is left out of them. `-` reads standard input.

Exit status: 0 every run is whole, 2 a file cannot be written, 4 a run is not whole.")]
pub struct Split {
    /// The captures, or folders with captures (*.log)
    #[arg(required = true, value_name = "CAPTURE")]
    pub captures: Vec<PathBuf>,
    /// The folder to write to
    #[arg(long, short, value_name = "DIR", default_value = ".")]
    pub output: PathBuf,
    /// What is not whole
    #[command(flatten)]
    pub broken: Broken,
}

/// `pagemark pack`.
#[derive(Args, Debug)]
#[command(after_help = "\
The file is a tar archive that zstd compressed: a manifest with machine, revision, date and SHA-256 of each log, and the logs as the image wrote them. Lines of other programs, names of files, folders, users and hosts are left out. A machine is called by its machine= word, else by a hash of what its logs say of it.

  pagemark pack rack7 rack8 --output racks.tar.zst
  pagemark fleet racks.tar.zst")]
pub struct Pack {
    /// Folders with logs (*.log), or logs
    #[arg(required = true, value_name = "LOG")]
    pub logs: Vec<PathBuf>,
    /// The file
    #[arg(long, short, value_name = "FILE", default_value = "pagemark.tar.zst")]
    pub output: PathBuf,
    /// Call machines without a machine= word by the names of their folders
    #[arg(long)]
    pub folder_names: bool,
    /// What is not whole
    #[command(flatten)]
    pub broken: Broken,
}

/// `pagemark scan`.
#[derive(Args, Debug)]
pub struct Scan {
    /// Pictures of the screen in any order, PNG, JPEG, BMP or PPM; any subset with enough codes of a log suffices
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<PathBuf>,
    /// Where to write the log [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Writes each run of each capture to a file of its own.
pub(super) fn split_captures(options: &Split) -> Result<u8> {
    let mut reading = Reading::new(true);
    std::fs::create_dir_all(&options.output)
        .with_context(|| format!("{} cannot be made", options.output.display()))?;
    for capture in side::files(&options.captures)? {
        let stem = capture
            .file_stem()
            .map_or("-".into(), |stem| stem.to_string_lossy());
        let stem = if stem == "-" { "stdin".into() } else { stem };
        let mut written: Result<usize> = Ok(0);
        reading.runs(&capture, |run| {
            if let Ok(count) = &mut written {
                *count += 1;
                let path = options.output.join(format!("{stem}-{count}.log"));
                let lines = run.line;
                match write_new(&path, &run.text) {
                    Ok(()) => println!(
                        "{}: {} line {lines}, {} cases",
                        printable::path(&path),
                        printable::path(&capture),
                        run.log.results.len()
                    ),
                    Err(error) => written = Err(error),
                }
            }
            Ok(())
        })?;
        written?;
    }
    print_skipped(&reading);
    match reading.skipped.is_empty() || options.broken.skip_broken {
        true => Ok(0),
        false => Ok(BROKEN_LOG),
    }
}

/// Puts logs into one file, and says what others will see of them.
pub(super) fn pack_logs(options: &Pack) -> Result<u8> {
    let mut reading = Reading::new(options.broken.skip_broken);
    let names = match options.folder_names {
        true => Names::Folders,
        false => Names::Hashes,
    };
    let packed = pack::write(&options.logs, names, &mut reading, &options.output)?;
    print_skipped(&reading);
    let [before, after] = packed.bytes.map(thousands);
    let machines: Vec<&str> = packed.machines().into_iter().collect();
    print(&format!(
        "{}: {} of {} ({}), {before} bytes in {after}\n",
        options.output.display(),
        counted(packed.manifest.logs.len(), "log"),
        counted(machines.len(), "machine"),
        machines.join(", ")
    ))?;
    Ok(0)
}

/// Writes a file that is not there yet.
fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = std::fs::File::create_new(path)
        .with_context(|| format!("{} cannot be written", path.display()))?;
    file.write_all(bytes)
        .with_context(|| format!("{} cannot be written", path.display()))
}

/// Reads pictures until the log is whole, and says on standard error what was found in each.
pub(super) fn scan_pictures(options: &Scan) -> Result<u8> {
    let mut scan = scan::Scan::default();
    for path in &options.images {
        let found = match scan.file(path)? {
            Some(number) => format!("code {number}"),
            None => "no new code".to_owned(),
        };
        eprintln!("{}: {found}", path.display());
        if scan.is_whole() {
            break;
        }
    }
    let log = scan.log()?;
    match &options.output {
        Some(path) => std::fs::write(path, log)
            .with_context(|| format!("{} cannot be written", path.display()))?,
        None => std::io::stdout()
            .write_all(&log)
            .context("standard output cannot be written")?,
    }
    Ok(0)
}
