//! Boots in QEMU, or as a process of the host: `run` and `repeat`; which image, which emulator.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use crate::image::{Origin, TEXT_OFFSETS};
use crate::run::hosted::Hosted;
use crate::run::{self, Choice, INTERRUPTED, MachineType, Request};
use crate::style::thousands;

/// `pagemark run`.
#[derive(Args, Debug)]
#[command(after_help = "\
Exit status:
  0    every check passed
  1    a check failed
  2    the run could not be made as it was asked for
  3    the image panicked
  4    there is no whole log, or QEMU's status contradicts it
  124  the watchdog ended it
  130  interrupted")]
pub struct Run {
    /// Count instructions instead of time: TCG whose clock is the number of executed instructions, equal from run to run
    #[arg(long, conflicts_with = "accel")]
    pub icount: bool,
    /// Run the suite as a process of this Linux host, without QEMU: all cases that need no ring 0, on the host's CPU
    #[arg(long, conflicts_with_all = ["icount", "accel", "machine", "cpu", "iso", "text_offset"])]
    pub hosted: bool,
    /// With --hosted: physical memory in 2 MiB pages, where the kernel has them
    #[arg(long, requires = "hosted")]
    pub huge: bool,
    /// What executes the guest: kvm, tcg (in an emulator's time), icount, or auto: kvm where that is worth having, icount elsewhere
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    pub accel: Choice,
    /// CPUs of the machine, all of which the image uses: --append smp=M for fewer
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub smp: u32,
    /// RAM, as QEMU writes it: 64M, 1G
    #[arg(long, value_name = "SIZE", default_value = "1G", value_parser = memory)]
    pub mem: String,
    /// QEMU's CPU model [default: the host's under KVM, max under TCG, one that all versions of QEMU have under icount]
    #[arg(long, value_name = "MODEL", value_parser = cpu_model)]
    pub cpu: Option<String>,
    /// What is around the CPU: q35, pc or microvm
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    pub machine: MachineType,
    /// Run only the cases whose names match
    #[arg(long, value_name = "GLOB")]
    pub only: Option<String>,
    /// How much to measure: quick, full or soak
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    pub suite: Suite,
    /// A word for the image's command line; may be given again
    #[arg(long, value_name = "KEY=VALUE")]
    pub append: Vec<String>,
    /// Boot through GRUB from an ISO, not by PVH
    #[arg(long)]
    pub iso: bool,
    /// With --iso: on UEFI firmware, not BIOS
    #[arg(long, requires = "iso")]
    pub uefi: bool,
    /// Stop the run after this time [default: 120, for the suite full 600; 180 more with --uefi]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: Option<u64>,
    /// Where to keep the raw log [default: a new file under target/pagemark/]
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// The image
    #[command(flatten)]
    pub image: Image,
    /// The emulator
    #[command(flatten)]
    pub emulator: Emulator,
}

/// `pagemark repeat`.
#[derive(Args, Debug)]
#[command(after_help = "\
Runs take turns on q35, pc and microvm, with one CPU and four; in the second half every core of the host is busy.

Exit status: 0 every result is that of the first run, 1 some are not, 2 a run did not pass.")]
pub struct Repeat {
    /// How often
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(2..))]
    pub runs: u32,
    /// What to run; --machine, --smp and --accel have no effect
    #[command(flatten)]
    pub run: Run,
}

/// How much to measure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Suite {
    /// Every case, few samples
    #[default]
    Quick,
    /// Every case, many samples
    Full,
    /// Every case again and again, for a minute or --append seconds=N; --timeout has to be longer
    Soak,
}

impl Suite {
    /// The word of the image's command line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Quick => "suite=quick",
            Self::Full => "suite=full",
            Self::Soak => "suite=soak",
        }
    }
}

/// Which image.
#[derive(Args, Debug)]
pub struct Image {
    /// The image, or with --hosted the program [default: built from the sources]
    #[arg(long, value_name = "ELF")]
    image: Option<PathBuf>,
    /// Build it with all measured code moved up by this many bytes: 16, 32 or 48; `pagemark alignment` reads the logs
    #[arg(long, value_name = "BYTES", default_value_t = 0, hide_default_value = true, value_parser = text_offset, conflicts_with = "image")]
    text_offset: u32,
}

impl Image {
    /// Where it comes from.
    pub fn origin(self) -> Origin {
        let text_offset = self.text_offset;
        self.image
            .map_or(Origin::Sources { text_offset }, Origin::File)
    }
}

/// Which emulator.
#[derive(Args, Debug)]
pub struct Emulator {
    /// The emulator that runs the image
    #[arg(
        long,
        value_name = "PATH",
        env = "PAGEMARK_QEMU",
        default_value = "qemu-system-x86_64"
    )]
    pub qemu: PathBuf,
}

/// What a word of the image's command line begins with that says how many CPUs it uses.
const SMP_KEY: &str = "smp=";

/// What UEFI firmware may take, in seconds.
const UEFI_SECONDS: u64 = 180;

impl Run {
    /// The request that these options make.
    pub fn request(self) -> Request {
        let suite = self.suite.word();
        let seconds = match self.suite {
            Suite::Quick => 120,
            Suite::Full | Suite::Soak => 600,
        };
        // Firmware takes a minute where instructions are counted.
        let seconds = if self.uefi {
            seconds + UEFI_SECONDS
        } else {
            seconds
        };
        let only = self.only.map(|glob| format!("only={glob}"));
        let appended = words(&self.append);
        let says = appended.iter().any(|word| word.starts_with(SMP_KEY));
        let smp = (self.smp > 1 && !says).then(|| format!("{SMP_KEY}{}", self.smp));
        let hosted = self.hosted.then_some(Hosted { huge: self.huge });
        Request {
            image: match (self.image.origin(), hosted) {
                (Origin::Sources { .. }, Some(_)) => Origin::ProcessSources,
                (origin, _) => origin,
            },
            hosted,
            qemu: self.emulator.qemu,
            accelerator: if self.icount {
                Choice::Icount
            } else {
                self.accel
            },
            iso: self.iso,
            uefi: self.uefi,
            machine: self.machine,
            cpus: self.smp,
            memory: self.mem,
            cpu_model: self.cpu,
            command_line: [suite.to_owned()]
                .into_iter()
                .chain(only)
                .chain(smp)
                .chain(appended)
                .collect(),
            timeout: Duration::from_secs(self.timeout.unwrap_or(seconds)),
            log: self.log,
        }
    }
}

/// The words in what --append was given: one each, or several that spaces separate.
pub fn words(appended: &[String]) -> Vec<String> {
    appended
        .iter()
        .flat_map(|words| words.split_whitespace())
        .map(str::to_owned)
        .collect()
}

fn memory(text: &str) -> Result<String, String> {
    let digits = text
        .strip_suffix(['k', 'K', 'm', 'M', 'g', 'G'])
        .unwrap_or(text);
    match digits.parse::<u64>() {
        // QEMU takes a size without a unit for MiB in one option, and for bytes in another.
        Ok(1..) if digits.bytes().all(|digit| digit.is_ascii_digit()) => Ok(match text.len() {
            len if len == digits.len() => format!("{text}M"),
            _ => text.to_owned(),
        }),
        _ => Err("not a size such as 64M or 1G".to_owned()),
    }
}

/// A model that the image's command line can name.
fn cpu_model(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains(char::is_whitespace) {
        Err("not one word, as the log has to name it".to_owned())
    } else {
        Ok(text.to_owned())
    }
}

fn text_offset(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(offset) if TEXT_OFFSETS.contains(&offset) => Ok(offset),
        _ => Err("not 0, 16, 32 or 48".to_owned()),
    }
}

pub(super) fn run_image(options: Run) -> Result<u8> {
    catch_interrupts()?;
    Ok(run::run(&options.request())?.exit_status())
}

pub(super) fn repeat_run(options: Repeat) -> Result<u8> {
    catch_interrupts()?;
    if options.run.hosted {
        bail!("--hosted: figures of a CPU are never equal, and repeat expects them to be");
    }
    let runs = options.runs;
    // The number of CPUs changes from run to run, and is no word of any.
    let request = Run {
        smp: 1,
        ..options.run
    }
    .request();
    let image = request.image.file()?;
    request.check_memory(&image)?;
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

pub(super) fn catch_interrupts() -> Result<()> {
    ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::Relaxed))
        .context("signals cannot be caught")
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;
    use crate::cli::{Cli, Command};

    #[test]
    fn clap_finds_no_fault() {
        Cli::command().debug_assert();
    }

    fn run(arguments: &[&str]) -> Result<Request, clap::Error> {
        let cli = Cli::try_parse_from(["pagemark", "run"].iter().chain(arguments))?;
        let Command::Run(run) = cli.command else {
            panic!("not run")
        };
        Ok(run.request())
    }

    #[test]
    fn the_image_s_command_line() {
        let line = |arguments: &[&str]| run(arguments).unwrap().command_line;
        assert_eq!(line(&[]), ["suite=quick"]);
        let full = line(&[
            "--append",
            "layout=classic",
            "--suite",
            "full",
            "--only",
            "tlb/*",
            "--append",
            "x=1 y=2",
        ]);
        assert_eq!(
            full,
            ["suite=full", "only=tlb/*", "layout=classic", "x=1", "y=2"]
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let refused: [&[&str]; 11] = [
            &["--cpu", "max,model-id=two words"],
            &["--text-offset", "8"],
            &["--text-offset", "16", "--image", "x"],
            &["--mem", "lots"],
            &["--mem", "0"],
            &["--mem", "+1G"],
            &["--mem", "1G,slots=2"],
            &["--smp", "0"],
            &["--uefi"],
            &["--icount", "--accel", "kvm"],
            &["--timeout", "0"],
        ];
        for arguments in refused {
            assert!(run(arguments).is_err(), "{arguments:?}");
        }
    }
}
