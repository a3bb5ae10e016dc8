//! The binary `pagemark`.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::slice::from_ref;
use std::sync::atomic::Ordering;

use anyhow::{Context, Result, bail};
use clap::{CommandFactory, Parser};
use pagemark_host::ab::{self, Campaign, Side};
use pagemark_host::alignment::Alignments;
use pagemark_host::blame;
use pagemark_host::cli::{
    self, Ab, Alignment, Cli, Command, Compare, Export, FleetAction, FleetRun, Gate, History,
    Images, Iso, Netboot, Repeat, Run, Scan as ScanOptions, Show, Split, words,
};
use pagemark_host::compare::beside::Beside;
use pagemark_host::compare::{Allow, Change, compare};
use pagemark_host::export::{self, export};
use pagemark_host::fleet::{self, Fleet};
use pagemark_host::gate::baseline::Baseline;
use pagemark_host::gate::mute::Mutes;
use pagemark_host::gate::ticks::FALSE_ALARMS;
use pagemark_host::gate::{self, Finding, Judgement};
use pagemark_host::glob::Globs;
use pagemark_host::history;
use pagemark_host::image::{self, MenuEntry, Program, Symbols};
use pagemark_host::import::Foreign;
use pagemark_host::import::source::{self, Source, SourceError, sources};
use pagemark_host::lab::{self, Came};
use pagemark_host::list;
use pagemark_host::log::Log;
use pagemark_host::log::side::{self, Reading, SideError};
use pagemark_host::pack::{self, Names};
use pagemark_host::run::{self, INTERRUPTED};
use pagemark_host::scan::Scan;
use pagemark_host::show;
use pagemark_host::style::{Look, counted, print, thousands};

/// The status for what could not be done as it was asked for.
const CANNOT: u8 = 2;
/// The status for too few boots.
const UNDECIDED: u8 = 3;
/// The status for a log that is not whole.
const BROKEN_LOG: u8 = 4;

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(options) => run_image(options),
        Command::Repeat(options) => repeat_run(options),
        Command::Show(options) => show_logs(&options),
        Command::Compare(options) => compare_logs(&options),
        Command::History(options) => show_history(&options),
        Command::Alignment(options) => show_alignment(&options),
        Command::Export(options) => export_log(&options),
        Command::Gate(options) => gate_logs(&options),
        Command::Ab(options) => boot_in_turns(options),
        Command::Fleet(cli::Fleet {
            action: Some(FleetAction::Run(options)),
            ..
        }) => boot_fleet(options),
        Command::Fleet(options) => show_fleet(&options),
        Command::List(options) => list_cases(&options),
        Command::Completions(options) => Ok(write_completions(&options)),
        Command::Man => write_manual(),
        Command::Pack(options) => pack_logs(&options),
        Command::Split(options) => split_captures(&options),
        Command::Scan(options) => scan_pictures(&options),
        Command::Iso(options) => write_iso(options),
        Command::Netboot(options) => write_netboot(options),
    };
    ExitCode::from(result.unwrap_or_else(|error| {
        eprintln!("pagemark: {error:#}");
        if is_broken(&error) {
            BROKEN_LOG
        } else {
            CANNOT
        }
    }))
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

fn run_image(options: Run) -> Result<u8> {
    catch_interrupts()?;
    Ok(run::run(&options.request())?.exit_status())
}

fn repeat_run(options: Repeat) -> Result<u8> {
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

/// How the logs of a campaign are judged.
struct Judging<'a> {
    history: &'a [PathBuf],
    false_alarms: f64,
    allow: Allow,
}

impl Judging<'_> {
    /// Judges the campaign in `folder`; also gives the logs of its new side.
    fn judge(&self, folder: &Path) -> Result<(Judgement, Vec<Log>)> {
        let mut reading = Reading::default();
        let [base, new] = Side::BOTH.map(|side| folder.join(side.name()));
        let (base, new) = (reading.logs(&[base])?, reading.logs(&[new])?);
        let history = reading.logs(self.history)?;
        let allow = self.allow.clone();
        let judgement = gate::judge_logs(&base, &new, &history, self.false_alarms, allow)?;
        Ok((judgement, new))
    }
}

/// The folder that was asked for, or a new one with this name and the time.
fn output_folder(asked_for: Option<PathBuf>, name: &str) -> Result<PathBuf> {
    Ok(match asked_for {
        Some(folder) => folder,
        None => {
            let time = jiff::ZonedDateTime::now().strftime("%Y-%m-%d-%H%M%S");
            run::kept_files()?.join(format!("{name}-{time}"))
        }
    })
}

/// Judges the campaign of each place, and sets the places' new sides beside one another.
fn tell_places_in_turns(came: &Came, judging: &Judging) -> Result<u8> {
    let mut status = 0;
    let mut all = Vec::new();
    for folder in &came.folders {
        let place = folder.file_name().unwrap_or_default().display();
        print(&format!("\n{place}\n"))?;
        // One place whose sides do not compare does not keep the others from being judged.
        match judging.judge(folder) {
            Ok((judgement, new)) => {
                status = status.max(tell_judgement(&judgement)?);
                all.extend(new);
            }
            Err(error) => {
                eprintln!("pagemark: {place}: {error:#}");
                status = status.max(CANNOT);
            }
        }
    }
    tell_fleet(&all)?;
    tell_lost(came, status)
}

/// The table of a fleet that was just booted.
fn tell_fleet(logs: &[Log]) -> Result<()> {
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
fn tell_lost(came: &Came, status: u8) -> Result<u8> {
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

/// Boots the image on the places of a lab.
fn boot_fleet(options: FleetRun) -> Result<u8> {
    catch_interrupts()?;
    let lab = options
        .lab
        .lab()
        .context("--lab names labgrid's environment file")?;
    let folder = output_folder(options.output, "fleet")?;
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("{} cannot be made", folder.display()))?;
    let image = lab::Image::new(&options.image.origin().file()?, &folder, "pagemark")?;
    let only = options.only.map(|glob| format!("only={glob}"));
    let words: Vec<String> = [options.suite.word().to_owned()]
        .into_iter()
        .chain(only)
        .chain(words(&options.append))
        .collect();
    let came = lab.run(&image, &words, options.boots, &folder, &|line| {
        eprintln!("{line}")
    })?;
    tell_fleet(&Reading::default().logs(&came.folders)?)?;
    eprintln!("logs: {}", folder.display());
    tell_lost(&came, 0)
}

/// Boots two images in turns, and judges them by what the campaign's folder then holds.
fn boot_in_turns(options: Ab) -> Result<u8> {
    if options.run.log.is_some() {
        bail!("--log names one log, and a campaign has many: --output names its folder");
    }
    catch_interrupts()?;
    let folder = output_folder(options.output, "ab")?;
    let lab = options.lab.lab();
    let request = options.run.request();
    let program = match request.hosted {
        Some(_) => Program::Process,
        None => Program::Image,
    };
    let base = match (&options.base_image, &options.base_revision) {
        (Some(image), _) => image.clone(),
        (None, Some(revision)) => image::build_revision(revision, program)?,
        (None, None) => bail!("--base-image or --base-revision names the base"),
    };
    let new = match &options.revision {
        Some(revision) => image::build_revision(revision, program)?,
        None => request.image.file()?,
    };
    let from_clock = || {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.map_or(1, |now| now.as_secs())
    };
    let seed = match options.seed {
        Some(seed) => seed,
        None => Campaign::seed_in(&folder)?.unwrap_or_else(from_clock),
    };
    let judging = Judging {
        history: &options.history,
        false_alarms: options.false_alarms,
        allow: options.allowed.allow(),
    };
    if let Some(lab) = lab {
        let images = [base.as_path(), &new];
        let words = &request.command_line;
        let came = lab.in_turns(images, words, seed, options.boots, &folder, &|line| {
            eprintln!("{line}")
        })?;
        return tell_places_in_turns(&came, &judging);
    }
    request.check_memory(&base)?;
    request.check_memory(&new)?;
    let accelerator = request.choose_accelerator(&new, &run::Progress::new())?;
    let settings = ab::qemu::settings(&request, accelerator, seed);
    let mut campaign = Campaign::open(&folder, &settings, [&base, &new], options.boots)?;
    eprintln!(
        "campaign: {}, {} boots, {} of them left",
        folder.display(),
        u64::from(options.boots) * 2,
        campaign.left().len()
    );
    let qemu = request.qemu.clone();
    let mut boots = ab::qemu::Qemu::new(request, accelerator, &campaign);
    match campaign.run(&mut boots, &mut |report| eprintln!("{report}"))? {
        ab::State::Interrupted { left } => {
            eprintln!(
                "pagemark: interrupted with {left} boots left; the same command with --output {} makes them",
                folder.display()
            );
            return Ok(130);
        }
        ab::State::Made { failed: 0 } => {}
        ab::State::Made { failed } => eprintln!(
            "pagemark: {failed} boots failed; the same command with --output {} makes them up",
            folder.display()
        ),
    }
    let (mut judgement, new) = judging.judge(campaign.folder())?;
    let [old_image, new_image] = Side::BOTH.map(|side| campaign.image(side));
    if let Some(log) = new.first() {
        let images = blame::Images {
            qemu: &qemu,
            base: &old_image,
            new: &new_image,
        };
        blame::functions(&mut judgement, images, log);
    }
    tell_judgement(&judgement)
}

fn catch_interrupts() -> Result<()> {
    ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::Relaxed))
        .context("signals cannot be caught")
}

fn show_logs(options: &Show) -> Result<u8> {
    let symbols = options.image.as_deref().map(Symbols::read).transpose()?;
    let mut reading = Reading::new(options.broken.skip_broken);
    let sources = sources(&options.logs, options.format, &mut reading)?;
    tell_skipped(&reading);
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

fn compare_logs(options: &Compare) -> Result<u8> {
    let mut reading = Reading::new(options.broken.skip_broken);
    let mut side = |path| sources(from_ref(path), options.format, &mut reading);
    let (base, new) = (side(&options.base)?, side(&options.new)?);
    tell_skipped(&reading);
    let (Some(base), Some(new)) = (source::all_logs(&base), source::all_logs(&new)) else {
        let beside = Beside::new(source::side(&base), source::side(&new));
        print(&beside.render(Look::of_stdout()))?;
        return Ok(0);
    };
    // What is traced is told as the gate tells it, behind the cases that changed.
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

fn gate_logs(options: &Gate) -> Result<u8> {
    if gate::go_text::are(&options.new) && gate::go_text::are(&options.base) {
        let mut judgement =
            gate::go_text::judge(&options.base, &options.new, options.false_alarms)?;
        mute(options, &mut judgement)?;
        return tell_judgement(&judgement);
    }
    let mut reading = Reading::new(options.broken.skip_broken);
    let new = reading.logs(&options.new)?;
    if options.update {
        tell_skipped(&reading);
        return update_baseline(options, &new);
    }
    let history = reading.logs(&options.history)?;
    let base = base(&options.base, &mut reading)?;
    tell_skipped(&reading);
    let alarms = options.false_alarms;
    let mut judgement = judge(&base, &new, &history, alarms, &options.allowed.allow())?;
    mute(options, &mut judgement)?;
    blame_functions(&mut judgement, &options.images, new.first());
    tell_judgement(&judgement)
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
fn tell_judgement(judgement: &Judgement) -> Result<u8> {
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

/// What new logs are held against.
enum Base {
    File(Baseline),
    Logs(Vec<Log>),
}

/// The baseline file, or the logs, at `paths`.
fn base(paths: &[PathBuf], reading: &mut Reading) -> Result<Base> {
    Ok(match baseline_file(paths)? {
        Some(baseline) => Base::File(baseline),
        None => Base::Logs(reading.logs(paths)?),
    })
}

/// Judges by a baseline file, or by logs.
fn judge(
    base: &Base,
    new: &[Log],
    history: &[Log],
    alarms: f64,
    allow: &Allow,
) -> Result<Judgement> {
    Ok(match base {
        Base::File(base) => {
            gate::passed("new", new, allow)?;
            gate::exact::judge(base, &gate::agreed("new", new)?, allow.clone())?
        }
        Base::Logs(base) => gate::judge_logs(base, new, history, alarms, allow.clone())?,
    })
}

/// Says on standard error which logs were passed over.
fn tell_skipped(reading: &Reading) {
    for skipped in &reading.skipped {
        eprintln!("pagemark: passed over {skipped}");
    }
}

/// Writes each run of each capture to a file of its own.
fn split_captures(options: &Split) -> Result<u8> {
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
                        path.display(),
                        capture.display(),
                        run.log.results.len()
                    ),
                    Err(error) => written = Err(error),
                }
            }
            Ok(())
        })?;
        written?;
    }
    tell_skipped(&reading);
    match reading.skipped.is_empty() || options.broken.skip_broken {
        true => Ok(0),
        false => Ok(BROKEN_LOG),
    }
}

/// Puts logs into one file, and says what others will see of them.
fn pack_logs(options: &cli::Pack) -> Result<u8> {
    let mut reading = Reading::new(options.broken.skip_broken);
    let names = match options.folder_names {
        true => Names::Folders,
        false => Names::Hashes,
    };
    let packed = pack::write(&options.logs, names, &mut reading, &options.output)?;
    tell_skipped(&reading);
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

fn show_history(options: &History) -> Result<u8> {
    let logs = logs(&options.logs, options.broken.skip_broken)?;
    let histories = history::histories(&logs, options.force);
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

fn show_fleet(options: &cli::Fleet) -> Result<u8> {
    let logs = logs(&options.logs, options.broken.skip_broken)?;
    let fleet = Fleet::new(&logs, &options.only, options.by);
    if fleet.mixes_clocks() {
        bail!("instructions and ticks do not stand in one table: give logs of one clock");
    }
    let base = options.base.as_ref().map(|name| {
        let names: Vec<&str> = fleet
            .machines
            .iter()
            .map(|machine| machine.name.as_str())
            .collect();
        let place = fleet.place(name);
        place.with_context(|| format!("no machine {name}; there are {}", names.join(", ")))
    });
    let base = base.transpose()?;
    match &options.site {
        Some(folder) => {
            fleet::site::write(&fleet, folder)
                .with_context(|| format!("{} cannot be written", folder.display()))?;
            print(&format!("{}\n", folder.join("index.html").display()))?;
        }
        None => print(&fleet.write(options.format, base, Look::of_stdout()))?,
    }
    Ok(0)
}

fn list_cases(options: &cli::List) -> Result<u8> {
    let cases = match base(from_ref(&options.from), &mut Reading::default())? {
        Base::File(baseline) => baseline.cases.into_keys().collect::<Vec<String>>(),
        Base::Logs(logs) => logs
            .iter()
            .flat_map(|log| {
                let measured = log.results.iter().map(|result| result.case.clone());
                measured.chain(log.skips.iter().map(|skip| skip.case.clone()))
            })
            .collect(),
    };
    print(&list::render(&cases, &options.only, Look::of_stdout()))?;
    Ok(0)
}

fn write_completions(options: &cli::Completions) -> u8 {
    clap_complete::generate(
        options.shell,
        &mut Cli::command(),
        "pagemark",
        &mut std::io::stdout(),
    );
    0
}

/// One page with all commands.
fn write_manual() -> Result<u8> {
    let mut command = Cli::command();
    command.build();
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    for subcommand in command
        .get_subcommands()
        .filter(|command| command.get_name() != "help")
    {
        let name = subcommand.get_name();
        let title = format!("pagemark {name}");
        let mut section = Vec::new();
        let man = clap_mangen::Man::new(subcommand.clone());
        writeln!(section, ".SH {}", title.to_uppercase())?;
        man.render_description_section(&mut section)?;
        man.render_options_section(&mut section)?;
        page.extend(section);
    }
    print(&String::from_utf8_lossy(&page))?;
    Ok(0)
}

fn show_alignment(options: &Alignment) -> Result<u8> {
    let logs = logs(&options.logs, options.broken.skip_broken)?;
    of_one_machine(&logs, options.force)?;
    print(&Alignments::new(&logs)?.render(Look::of_stdout()))?;
    Ok(0)
}

/// The logs at `paths`; says which were passed over.
fn logs(paths: &[PathBuf], skip_broken: bool) -> Result<Vec<Log>> {
    let mut reading = Reading::new(skip_broken);
    let logs = reading.logs(paths)?;
    tell_skipped(&reading);
    Ok(logs)
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

fn export_log(options: &Export) -> Result<u8> {
    let mut reading = Reading::new(options.broken.skip_broken);
    let sources = sources(from_ref(&options.log), None, &mut reading)?;
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
    let base = options.base.as_ref();
    let base = base
        .map(|path| self::base(from_ref(path), &mut reading))
        .transpose()?;
    tell_skipped(&reading);
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

/// The baseline, if the base is one.
fn baseline_file(base: &[PathBuf]) -> Result<Option<Baseline>> {
    let [path] = base else { return Ok(None) };
    if path.is_dir() || path == Path::new(side::STDIN) {
        return Ok(None);
    }
    let unreadable = || format!("{} cannot be read", path.display());
    let mut head = Vec::new();
    let file = side::open(path).with_context(unreadable)?;
    file.take(64)
        .read_to_end(&mut head)
        .with_context(unreadable)?;
    if !Baseline::is_one(&head) {
        return Ok(None);
    }
    let bytes = side::bytes(path)?;
    let text = std::str::from_utf8(&bytes).with_context(|| path.display().to_string())?;
    let baseline = text.parse().with_context(|| path.display().to_string())?;
    Ok(Some(baseline))
}

/// Reads pictures until the log is whole, and says on standard error what was found in each.
fn scan_pictures(options: &ScanOptions) -> Result<u8> {
    let mut scan = Scan::default();
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

fn write_netboot(options: Netboot) -> Result<u8> {
    let image = options.image.origin().file()?;
    image::netboot(&image, &words(&options.append), &options.folder)?;
    print(&format!(
        "{folder}\n\nA DHCP server names {bios} for BIOS (client architecture 0) and\n{uefi} for UEFI (7 and 9); a TFTP server hands out the folder.\n\
         What each machine runs: {folder}/machines/*.cfg\n",
        folder = options.folder.display(),
        bios = image::BIOS_FILE,
        uefi = image::UEFI_FILE,
    ))?;
    Ok(0)
}

fn write_iso(options: Iso) -> Result<u8> {
    let image = options.image.origin().file()?;
    let iso = match options.output {
        Some(path) => path,
        None => run::kept_files()?.join("pagemark.iso"),
    };
    let entry = match options.no_screen {
        true => MenuEntry::NoScreen,
        false => MenuEntry::Screen,
    };
    // For a GRUB that is installed already.
    let elf = iso.with_extension("elf");
    if elf == iso {
        bail!(
            "{}: .elf is the extension of the file beside the ISO",
            iso.display()
        );
    }
    std::fs::write(&elf, image::grub_file(&image, entry)?)
        .with_context(|| format!("{} cannot be written", elf.display()))?;
    image::pack(&image, &words(&options.append), entry, &iso)?;
    print(&format!(
        "{iso}\n\nTo write it to a USB stick, all of which is overwritten (lsblk names the device):\n  \
         sudo dd if={iso} of=/dev/sdX bs=4M conv=fsync status=progress\n\n\
         For a GRUB that is installed already (README.md has the menu entry):\n  \
         sudo cp {elf} /boot/\n",
        iso = iso.display(),
        elf = elf.display()
    ))?;
    Ok(0)
}
