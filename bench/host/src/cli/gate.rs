//! New logs against a base: `gate` and `compare`.

use std::path::PathBuf;
use std::slice::from_ref;

use anyhow::{Context, Result, bail};
use clap::Args;

use super::base::{base, judge};
use super::logs::{Allowed, Broken, print_skipped};
use super::run::Emulator;
use super::status::UNDECIDED;
use crate::blame;
use crate::compare::beside::Beside;
use crate::compare::{Change, DEFAULT_THRESHOLD, compare};
use crate::gate::mute::Mutes;
use crate::gate::ticks::FALSE_ALARMS;
use crate::gate::{self, Finding, Judgement};
use crate::import;
use crate::import::source::{self, sources};
use crate::log::Log;
use crate::log::side::Reading;
use crate::style::{Look, print};

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
    /// Cases whose changes are reported and do not count: a file with one glob a line
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

/// `pagemark compare`.
#[derive(Args, Debug)]
#[command(after_help = "\
Instruction counts are exact: every rise is a regression. Ticks are not: a median has to rise by the threshold. Many logs a side are judged as `pagemark gate` does, and so is Go benchmark text with 8 lines a benchmark or more. Other figures of other tools come without samples: their differences are shown, and not judged.

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

pub(super) fn gate_logs(options: &Gate) -> Result<u8> {
    if gate::go_text::are(&options.new) && gate::go_text::are(&options.base) {
        let mut judgement =
            gate::go_text::judge(&options.base, &options.new, options.false_alarms)?;
        mute(options, &mut judgement)?;
        return print_judgement(&judgement);
    }
    let mut reading = Reading::new(options.broken.skip_broken);
    let new = reading.logs(&options.new)?;
    if options.update {
        print_skipped(&reading);
        return update_baseline(options, &new);
    }
    let history = reading.logs(&options.history)?;
    let base = base(&options.base, &mut reading)?;
    print_skipped(&reading);
    let alarms = options.false_alarms;
    let mut judgement = judge(&base, &new, &history, alarms, &options.allowed.allow())?;
    mute(options, &mut judgement)?;
    blame_functions(&mut judgement, &options.images, new.first());
    print_judgement(&judgement)
}

pub(super) fn compare_logs(options: &Compare) -> Result<u8> {
    let [base, new] = [&options.base, &options.new].map(from_ref);
    let as_text = matches!(options.format, None | Some(import::Format::GoText));
    if as_text && [base, new].into_iter().all(gate::go_text::can_be_judged) {
        let judgement = gate::go_text::judge(base, new, FALSE_ALARMS)?;
        print(&judgement.render(Look::of_stdout()))?;
        return Ok(u8::from(judgement.count(Finding::Slower) > 0));
    }
    let mut reading = Reading::new(options.broken.skip_broken);
    let mut side = |path| sources(from_ref(path), options.format, &mut reading);
    let (base, new) = (side(&options.base)?, side(&options.new)?);
    print_skipped(&reading);
    let (Some(base), Some(new)) = (source::all_logs(&base), source::all_logs(&new)) else {
        let beside = Beside::new(source::side(&base), source::side(&new));
        print(&beside.render(Look::of_stdout()))?;
        return Ok(0);
    };
    // Traces follow the cases that changed, in the gate's format.
    if let ([base], [new], None) = (base.as_slice(), new.as_slice(), &options.images.image) {
        let comparison = compare(base, new, options.threshold, options.allowed.allow())?;
        print(&comparison.render(Look::of_stdout()))?;
        return Ok(u8::from(comparison.count(Change::Regression) > 0));
    }
    let mut judgement = gate::judge_logs(&base, &new, &[], FALSE_ALARMS, options.allowed.allow())?;
    blame_functions(&mut judgement, &options.images, new.first());
    print(&judgement.render(Look::of_stdout()))?;
    Ok(u8::from(judgement.count(Finding::Slower) > 0))
}

/// Marks the cases whose changes do not count.
fn mute(options: &Gate, judgement: &mut Judgement) -> Result<()> {
    if let Some(path) = &options.mute {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("{} cannot be read", path.display()))?;
        judgement.mute(&Mutes::read(&text));
    }
    Ok(())
}

/// Prints a judgement, and gives the status that it comes to.
pub(super) fn print_judgement(judgement: &Judgement) -> Result<u8> {
    print(&judgement.render(Look::of_stdout()))?;
    Ok(match () {
        () if judgement.fails() => 1,
        () if judgement.count(Finding::CannotDecide) > 0 => UNDECIDED,
        () => 0,
    })
}

/// Traces what changed, where both images are given, on the machine of `log`.
fn blame_functions(judgement: &mut Judgement, images: &Images, log: Option<&Log>) {
    if let (Some(base), Some(new), Some(log)) = (&images.base_image, &images.image, log) {
        let qemu = &images.emulator.qemu;
        blame::functions(judgement, blame::Images { qemu, base, new }, log);
    }
}

fn update_baseline(options: &Gate, new: &[Log]) -> Result<u8> {
    let [path] = options.base.as_slice() else {
        bail!(
            "--update writes one baseline file, not {}",
            options.base.len()
        );
    };
    gate::passed("new", new, &options.allowed.allow())?;
    let baseline = gate::agreed("new", new)?;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("{} cannot be made", folder.display()))?;
    }
    std::fs::write(path, baseline.to_string())
        .with_context(|| format!("{} cannot be written", path.display()))?;
    println!("{}: {} cases", path.display(), baseline.cases.len());
    Ok(0)
}

pub(super) fn probability(text: &str) -> Result<f64, String> {
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
