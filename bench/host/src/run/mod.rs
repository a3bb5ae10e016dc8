//! Boots the image in QEMU, or in Bochs: picks the accelerator, watches the run, keeps its log, and judges how it went.

mod accelerator;
mod bochs;
mod cpus;
pub mod hosted;
mod kvm;
mod log_file;
mod memory;
mod outcome;
mod process;
mod progress;
mod qemu;
mod repeat;
mod silence;
mod watch;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::checkout;
use crate::image::{self, MenuEntry, Origin};
use crate::show;
use crate::style::{Look, print};

pub use accelerator::{Accelerator, Choice, choose};
pub use bochs::Bochs;
pub use cpus::CpuAt;
pub use log_file::{LogFile, kept_files};
pub use memory::TooLittleMemory;
pub use outcome::{Outcome, judge};
pub use process::Process;
pub use progress::Progress;
pub use qemu::{Boot, CPU_KEY, Door, MACHINE_KEY, MachineType};
pub use repeat::{Difference, Repeated, repeat};
pub use watch::{By, Ended, Event, Finished, INTERRUPTED, boot};

/// What `pagemark run` was asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// The image.
    pub image: Origin,
    /// The emulator.
    pub qemu: PathBuf,
    /// Which accelerator.
    pub accelerator: Choice,
    /// As a process of this host, without QEMU.
    pub hosted: Option<hosted::Hosted>,
    /// Through GRUB rather than by PVH.
    pub iso: bool,
    /// On UEFI firmware rather than BIOS.
    pub uefi: bool,
    /// What is around the CPU.
    pub machine: MachineType,
    /// CPUs.
    pub cpus: u32,
    /// RAM, as QEMU writes it.
    pub memory: String,
    /// The CPU model; none for the accelerator's own default.
    pub cpu_model: Option<String>,
    /// The image's command line.
    pub command_line: Vec<String>,
    /// How long the image may take.
    pub timeout: Duration,
    /// Where the raw log goes; none for a new file under `target/pagemark/`.
    pub log: Option<PathBuf>,
}

impl Request {
    /// The boot of `image` by PVH that it asks for; which accelerator is still open.
    pub fn boot(&self, image: &Path) -> Boot {
        Boot {
            qemu: self.qemu.clone(),
            accelerator: Accelerator::Tcg,
            cpu_model: self.cpu_model.clone(),
            cpus: self.cpus,
            topology: None,
            memory: self.memory.clone(),
            machine: self.machine,
            door: Door::Pvh {
                image: image.to_owned(),
                command_line: self.command_line.clone(),
            },
            timeout: self.timeout,
        }
    }

    /// The accelerator, chosen with `image`; says which, and why.
    pub fn choose_accelerator(&self, image: &Path, progress: &Progress) -> Result<Accelerator> {
        if self.hosted.is_some() {
            return Ok(Accelerator::Process);
        }
        progress.stage("choosing the accelerator");
        let (accelerator, reason) = choose(self.accelerator, &self.boot(image), image)?;
        match reason {
            Some(reason) => progress.say(&format!(
                "accelerator: {accelerator}, which counts instructions, as {reason}"
            )),
            None => progress.say(&format!("accelerator: {accelerator}")),
        }
        Ok(accelerator)
    }

    /// The boot of `image` through the door that is asked for, with `words` behind the command line but those whose keys are among
    /// `without`, and the folder of its ISO, if there is one: it has to live as long as QEMU runs.
    pub fn boot_through_its_door(
        &self,
        image: &Path,
        accelerator: Accelerator,
        words: &[String],
        without: &[String],
    ) -> Result<(Boot, Option<TempDir>)> {
        let mut boot = self.boot(image);
        boot.accelerator = accelerator;
        let known = |word: &&String| {
            let key = word.split('=').next();
            !without.iter().any(|key_left_out| key == Some(key_left_out))
        };
        let added = |words: &[String]| words.iter().filter(known).cloned().collect::<Vec<_>>();
        if let Some(hosted) = self.hosted {
            boot.door = hosted.door(self, image, &added(words))?;
            return Ok((boot, None));
        }
        let command_line = [&self.command_line[..], &added(&boot.names()), &added(words)].concat();
        if !self.iso {
            boot.door = Door::Pvh {
                image: image.to_owned(),
                command_line,
            };
            return Ok((boot, None));
        }
        let folder = tempfile::tempdir().context("no temporary folder for the ISO")?;
        let iso = folder.path().join("pagemark.iso");
        image::pack(image, &command_line, MenuEntry::Screen, &iso)?;
        let firmware = if self.uefi {
            Some(image::firmware()?)
        } else {
            None
        };
        boot.door = Door::Grub { iso, firmware };
        Ok((boot, Some(folder)))
    }
}

/// Boots, writes what the serial port says to `log` as it comes, and shows it as `progress`.
pub fn boot_kept(boot: &Boot, log: &LogFile, progress: &Progress) -> Result<Finished> {
    watch::boot_observed(boot, log, &mut |event| match event {
        Event::Line(line) => progress.line(line),
        Event::Silence(time) => progress.say(&format!(
            "nothing on the serial port for {} s; the run is stopped after {} s (--timeout)",
            time.as_secs(),
            boot.timeout.as_secs()
        )),
    })
}

/// Does `work`, and writes a line where it takes more than a moment and no terminal shows the stage.
fn with_a_notice_if_long<T>(stage: &str, work: impl FnOnce() -> T) -> T {
    const MOMENT: Duration = Duration::from_secs(2);
    thread::scope(|scope| {
        let (done, is_done) = channel::<()>();
        scope.spawn(move || {
            if is_done.recv_timeout(MOMENT) == Err(RecvTimeoutError::Timeout)
                && !std::io::stderr().is_terminal()
            {
                eprintln!("{stage}, which takes a minute or two");
            }
        });
        let result = work();
        drop(done);
        result
    })
}

/// Boots the image once, shows what it found, and returns how it went. Errors are this side's: no image, no emulator.
pub fn run(request: &Request) -> Result<Outcome> {
    if request.hosted.is_some() {
        hosted::is_possible()?;
    }
    let progress = Progress::new();
    let building = match request.hosted {
        Some(_) => "building the suite as a process",
        None => "building the image",
    };
    if let Origin::Sources { .. } | Origin::ProcessSources = request.image {
        let root = checkout::root()?;
        if !checkout::holds_this_tool(&root) {
            progress.say(&format!("sources: {}", root.display()));
        }
        progress.stage(building);
    }
    let image = with_a_notice_if_long(building, || request.image.file())?;
    request.check_memory(&image)?;
    let accelerator = request.choose_accelerator(&image, &progress)?;
    progress.stage(if request.iso {
        "packing the ISO"
    } else {
        "starting"
    });
    // The ISO lives as long as QEMU reads from it.
    let (boot, _iso) = request.boot_through_its_door(&image, accelerator, &[], &[])?;

    let log = LogFile::create(request.log.as_deref())?;
    progress.stage("starting");
    let finished = boot_kept(&boot, &log, &progress)?;
    drop(progress);
    let outcome = judge(&finished);
    let symbols = image::Symbols::read(&image).ok();
    if let Some(read) = outcome.log() {
        print(&show::render(read, Look::of_stdout(), symbols.as_ref()))?;
    }
    if let Some(explanation) = outcome.explanation(&finished, symbols.as_ref()) {
        eprintln!("pagemark: {explanation}");
    }
    eprintln!("log: {}", log.shown().display());
    Ok(outcome)
}
