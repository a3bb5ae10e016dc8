//! The command line of `pagemark`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::compare::DEFAULT_THRESHOLD;
use crate::compare::allow::{Allow, Part};
use crate::export::Format;
use crate::fleet::{self, Unit};
use crate::gate::ticks::FALSE_ALARMS;
use crate::glob::Globs;
use crate::image::{Origin, TEXT_OFFSETS};
use crate::import;
use crate::lab::Lab;
use crate::run::hosted::Hosted;
use crate::run::{Choice, MachineType, Request};
use crate::show::Sort;

/// Boots the pagemark image in QEMU and reads its logs.
#[derive(Debug, Parser)]
#[command(name = "pagemark", version, propagate_version = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the tool does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Boot the image in QEMU, show its results, keep its log
    Run(Run),
    /// Repeat a run under icount on every machine type, and expect the same figures each time
    Repeat(Repeat),
    /// Show a log, or figures of another tool, as a table
    Show(Show),
    /// Compare two logs, or many a side, or a log with figures of another tool; a regression gives exit status 1
    Compare(Compare),
    /// Judge new runs against a base, with an exit status for pipelines
    Gate(Gate),
    /// Boot two images in turns, and judge the new one as the gate does
    Ab(Ab),
    /// Find where figures changed over many logs
    History(History),
    /// Set machines side by side, as a table or a static site
    Fleet(Fleet),
    /// Name every case, with its source and policy
    List(List),
    /// Write the completions for a shell
    Completions(Completions),
    /// Write the manual page
    Man,
    /// Tell which figures hang on where the code lies, from logs of images built with --text-offset
    Alignment(Alignment),
    /// Write a log's figures, or another tool's, in another tool's format
    Export(Export),
    /// Put logs of many machines into one file, which every command reads as it reads a folder
    Pack(Pack),
    /// Write each run of a capture to a file of its own, as the image wrote it
    Split(Split),
    /// Read a log back from pictures of the codes on a screen: photographs, screenshots, frames of a film
    Scan(Scan),
    /// Write an ISO that boots on BIOS and UEFI, in QEMU, from a USB stick, and on a real machine
    Iso(Iso),
    /// Write the folder that a TFTP or HTTP server hands out, for machines that boot over the network
    Netboot(Netboot),
}

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

/// Which image.
#[derive(Args, Debug)]
pub struct Image {
    /// The image, or with --hosted the program [default: built from the sources]
    #[arg(long, value_name = "ELF")]
    image: Option<PathBuf>,
    /// Build it with all code that is measured so many bytes further up: 16, 32 or 48; `pagemark alignment` reads the logs
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

/// What to do with logs that are not whole.
#[derive(Args, Debug)]
pub struct Broken {
    /// Pass over logs that are not whole where others are, and say which
    #[arg(long)]
    pub skip_broken: bool,
}

/// What differences are passed over.
#[derive(Args, Debug)]
pub struct Allowed {
    /// Pass over one difference by name: microcode, features, RAM, tags, revision, turns, ...; may be given again
    #[arg(long, value_name = "PART")]
    pub ignore: Vec<Part>,
    /// Pass over every difference but that of clocks, and over failed runs
    #[arg(long)]
    pub force: bool,
}

impl Allowed {
    /// As the judges take it.
    pub fn allow(&self) -> Allow {
        Allow {
            force: self.force,
            ignored: self.ignore.clone(),
        }
    }
}

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

/// `pagemark compare`.
#[derive(Args, Debug)]
#[command(after_help = "\
Instruction counts are exact: every rise is a regression. Ticks are not: a median has to rise by the threshold. Figures of another tool come without samples and machine: their differences are shown, and not judged.

Exit status: 0 no regression, 1 a regression, 2 the logs cannot be compared, 4 a file is not whole.")]
pub struct Compare {
    /// The log to compare with, or a folder with one log (*.log) of each boot; or a file of another tool
    pub base: PathBuf,
    /// The log to judge, or a folder; or a file of another tool
    pub new: PathBuf,
    /// Read what is no log as this, whatever it looks like
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<import::Format>,
    /// For ticks: the rise of a median that is a regression, in per cent
    #[arg(long, value_name = "PER CENT", default_value_t = DEFAULT_THRESHOLD, value_parser = per_cent)]
    pub threshold: f64,
    /// What traces changed instruction counts
    #[command(flatten)]
    pub images: Images,
    /// What is passed over
    #[command(flatten)]
    pub allowed: Allowed,
    /// What is not whole
    #[command(flatten)]
    pub broken: Broken,
}

/// The images behind two sides' logs, and what runs them once more.
#[derive(Args, Debug)]
pub struct Images {
    /// The image of the base: changed instruction counts are then traced to their functions
    #[arg(long, value_name = "ELF", requires = "image")]
    pub base_image: Option<PathBuf>,
    /// The image that wrote the new logs
    #[arg(long, value_name = "ELF", requires = "base_image")]
    pub image: Option<PathBuf>,
    /// The emulator that traces them
    #[command(flatten)]
    pub emulator: Emulator,
}

/// `pagemark gate`.
#[derive(Args, Debug)]
#[command(after_help = "\
A path is a log, or a folder with logs (*.log), one of each boot; the base may be a baseline file. Both sides may be Go benchmark text of any program, with 8 lines a benchmark or more.

Instruction counts have to be equal: a commit that means to change one updates the baseline with --update. Ticks are judged by the boots of the whole suite, need 8 boots a side or more, and have to be of boots that took turns: base, new, base, new, ... Beside that p stands the one of a Mann-Whitney U test of the case alone. The whole suite is a row of its own.

Exit status: 0 nothing changed for the worse, 1 something did (of instruction counts: changed), 2 the two sides cannot be compared, 3 there are too few boots to decide, 4 a log is not whole.")]
pub struct Gate {
    /// The logs to judge
    #[arg(required = true)]
    pub new: Vec<PathBuf>,
    /// What they are held against
    #[arg(long, value_name = "PATH", default_value = "bench/baselines/quick.txt")]
    pub base: Vec<PathBuf>,
    /// Write the new figures to the baseline file instead
    #[arg(long)]
    pub update: bool,
    /// Cases whose changes are told and do not count: a file with a glob a line
    #[arg(long, value_name = "FILE")]
    pub mute: Option<PathBuf>,
    /// Earlier logs, whose noise sets the least change of ticks that counts
    #[arg(long, value_name = "PATH")]
    pub history: Vec<PathBuf>,
    /// For ticks: the probability of even one false alarm
    #[arg(long, value_name = "P", default_value_t = FALSE_ALARMS, value_parser = probability)]
    pub false_alarms: f64,
    /// What traces changed instruction counts
    #[command(flatten)]
    pub images: Images,
    /// What is passed over
    #[command(flatten)]
    pub allowed: Allowed,
    /// What is not whole
    #[command(flatten)]
    pub broken: Broken,
}

/// `pagemark ab`.
#[derive(Args, Debug)]
#[command(
    mut_arg("log", |log| log.hide(true)),
    mut_arg("image", |image| image.help("The new image [default: built from the sources]")),
    after_help = "\
Pairs of boots, one a side, in an order that the seed draws for each pair. The folder holds base/ and new/ with a log of each boot, both images, and boots.jsonl with every boot in the order of time. A failed boot is kept as *.failed, and the others go on. Interrupted, or with failed boots to make up, the same command with --output FOLDER makes what is left; a greater --boots adds pairs.

  pagemark ab --base-revision v1 --boots 10
  pagemark ab --base-image old.elf --image new.elf --iso --output campaign

Exit status: that of pagemark gate; 2 also where a side fails three times in a row, 130 interrupted.")]
pub struct Ab {
    /// The image of the base
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

/// `pagemark history`.
#[derive(Args, Debug)]
#[command(after_help = "\
Logs are taken by machine, in the order of their dates: the log's own clock, else the file's name, else its time. Instruction counts change at every step; ticks where the ranks of the logs before and after differ beyond chance, with 5 logs or more on either side; at most 1 % of histories without a change have one.")]
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

/// `pagemark list`.
#[derive(Args, Debug)]
pub struct List {
    /// A baseline file, or a log, that has the cases
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

/// `pagemark completions`.
#[derive(Args, Debug)]
pub struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// `pagemark alignment`.
#[derive(Args, Debug)]
#[command(after_help = "\
A processor fetches code in lines of 64 bytes and halves of them, so that a case can be slower for where its code happens to lie. One log at each offset shows by how much:

  for offset in 0 16 32 48; do scripts/run.sh --text-offset $offset --log offset-$offset.log; done")]
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

/// `pagemark scan`.
#[derive(Args, Debug)]
pub struct Scan {
    /// Pictures of the screen in any order, PNG, JPEG, BMP or PPM; any so many codes of a log suffice
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<PathBuf>,
    /// Where to write the log [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// `pagemark iso`.
#[derive(Args, Debug)]
pub struct Iso {
    /// Where to write it [default: target/pagemark/pagemark.iso]; the image for an installed GRUB lies beside it, as .elf
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// A word for the image's command line; may be given again
    #[arg(long, value_name = "KEY=VALUE")]
    pub append: Vec<String>,
    /// Start the menu's second entry, which leaves the screen alone: for a BIOS whose VESA extension stops GRUB
    #[arg(long)]
    pub no_screen: bool,
    /// The image
    #[command(flatten)]
    pub image: Image,
}

/// `pagemark netboot`.
#[derive(Args, Debug)]
#[command(after_help = "\
A machine's command line stands in FOLDER/machines/NAME.cfg, as `set words=\"suite=full machine=rack7\"`; NAME is the address of its network card, 52:54:00:12:34:56, or the UUID in its SMBIOS. machines/default.cfg serves all others. Written again, a folder gets the new image; the files of machines stay.")]
pub struct Netboot {
    /// The folder
    #[arg(value_name = "FOLDER")]
    pub folder: PathBuf,
    /// A word for the command line of machines without a file of their own; may be given again
    #[arg(long, value_name = "KEY=VALUE")]
    pub append: Vec<String>,
    /// The image
    #[command(flatten)]
    pub image: Image,
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

fn probability(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if number > 0.0 && number < 1.0 => Ok(number),
        _ => Err("not a probability such as 0.001".to_owned()),
    }
}

fn per_cent(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number @ 0.0..) if f64::is_finite(number) => Ok(number),
        _ => Err("not a share such as 5 or 2.5".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

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
