//! Runs QEMU under a watchdog and takes in what its serial port says.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{ChildStderr, ChildStdout, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use pagemark_record::Record;

use super::cpus::{self, CpuAt};
use super::kvm;
use super::process::Process;
use super::qemu::MONITOR;
use super::silence::grub_error;
use super::{Boot, Door, LogFile};
use crate::log::lines::{clean, record};

/// Set by the handler of Ctrl-C; every run then ends QEMU and itself.
pub static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// How often a run looks at [`INTERRUPTED`] and at the watchdog.
const LOOK_AROUND: Duration = Duration::from_millis(50);
/// How long QEMU may take to leave after the log's last record.
const LEAVE: Duration = Duration::from_secs(5);
/// How long the serial port may be silent from the start on before that is reported.
const SILENCE: Duration = Duration::from_secs(20);
/// How long GRUB may take to start the image after an error. It goes on after some, and waits for a key or in its menu after others.
const GRUB_GOES_ON: Duration = Duration::from_secs(30);
/// How long QEMU may take to write down the state of a CPU that KVM gave up.
const STATE: Duration = Duration::from_millis(500);
/// More than any suite prints; a guest that prints without end is stopped there.
const MAX_LOG: usize = 64 << 20;

/// What ran the suite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// An emulator, as an image.
    #[default]
    Emulator,
    /// This host, as a process.
    Process,
}

/// A run that is over.
#[derive(Debug)]
pub struct Finished {
    /// What ran the suite.
    pub by: By,
    /// All that the serial port said.
    pub raw: Vec<u8>,
    /// All that QEMU said itself.
    pub stderr: String,
    /// How it ended.
    pub ended: Ended,
    /// Where the CPUs were when the watchdog ended it; empty otherwise, and where the emulator does not say.
    pub cpus: Vec<CpuAt>,
}

/// What happens while a run goes on.
#[derive(Clone, Copy, Debug)]
pub enum Event<'l> {
    /// A line came, without what a terminal does with it.
    Line(&'l [u8]),
    /// The serial port has been silent for so long from the start on; reported once.
    Silence(Duration),
}

/// How QEMU's process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself.
    Status(ExitStatus),
    /// By this tool once the log was whole: an emulator that has no status to give.
    AfterTheLog,
    /// The watchdog ended it.
    TimedOut,
    /// The watchdog ended it, as GRUB stays with an error.
    GrubFailed,
    /// This tool ended it, as KVM gave the guest up: QEMU says so, and then waits for ever.
    KvmFailed,
    /// It printed more than any suite does.
    Flooded,
    /// [`INTERRUPTED`] was set.
    Interrupted,
}

/// Boots and waits for the end. QEMU is gone when this returns, in whatever way.
pub fn boot(boot: &Boot) -> Result<Finished> {
    watch(boot, &mut |_| Ok(()), &mut |_| ())
}

/// As [`boot`], writes what the serial port says to `log` as it comes, and shows `observer` what happens.
pub(super) fn boot_observed(
    boot: &Boot,
    log: &LogFile,
    observer: &mut dyn FnMut(Event),
) -> Result<Finished> {
    watch(boot, &mut |bytes| log.write(bytes), observer)
}

fn watch(
    boot: &Boot,
    keep: &mut dyn FnMut(&[u8]) -> Result<()>,
    observer: &mut dyn FnMut(Event),
) -> Result<Finished> {
    let scratch = tempfile::tempdir().context("no temporary folder for QEMU's files")?;
    let mut command = boot.command(scratch.path())?;
    // A group of its own keeps a terminal's Ctrl-C for this tool, which then ends QEMU and says so.
    command
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let name = boot.started().display();
    let mut qemu = Process::start(&mut command).with_context(|| match boot.door {
        Door::Process { .. } => format!("{name} cannot be started"),
        _ => format!("{name} cannot be started; scripts/setup.sh installs it"),
    })?;
    let (stdout, stderr) = (qemu.0.stdout.take(), qemu.0.stderr.take());
    let stdout = stdout.context("QEMU has no standard output")?;
    let stderr = stderr.context("QEMU has no standard error")?;
    let (sender, serial) = sync_channel(64);
    thread::spawn(move || read_serial(stdout, &sender));
    let errors = Errors::default();
    let reader = thread::spawn({
        let errors = errors.clone();
        move || errors.take_in(stderr)
    });

    let mut raw = Vec::new();
    let ended = follow(&mut qemu, &serial, &errors, boot, &mut raw, keep, observer)?;
    let cpus = match ended {
        Ended::TimedOut | Ended::GrubFailed => cpus::ask(&scratch.path().join(MONITOR)),
        _ => Vec::new(),
    };
    drop(qemu);
    // It comes to its end with QEMU. What was read before an error is all there is to show.
    let _ = reader.join();
    Ok(Finished {
        by: match boot.door {
            Door::Process { .. } => By::Process,
            Door::Pvh { .. } | Door::Grub { .. } | Door::Network { .. } => By::Emulator,
        },
        raw,
        stderr: errors.text(),
        ended,
        cpus,
    })
}

/// Takes in the serial port until QEMU is gone or has to go.
fn follow(
    qemu: &mut Process,
    serial: &Receiver<Vec<u8>>,
    errors: &Errors,
    boot: &Boot,
    raw: &mut Vec<u8>,
    keep: &mut dyn FnMut(&[u8]) -> Result<()>,
    observer: &mut dyn FnMut(Event),
) -> Result<Ended> {
    let begun = Instant::now();
    let mut deadline = begun + boot.timeout;
    let mut seen = 0;
    let mut silent = true;
    let mut last_byte = begun;
    let mut kvm_failed: Option<Instant> = None;
    loop {
        match serial.recv_timeout(LOOK_AROUND) {
            Ok(bytes) => {
                (silent, last_byte) = (false, Instant::now());
                keep(&bytes)?;
                raw.extend_from_slice(&bytes);
                while let Some(len) = raw[seen..].iter().position(|&byte| byte == b'\n') {
                    let line = clean(&raw[seen..seen + len]);
                    if matches!(record(&line), Some(Ok(Record::End(_) | Record::Panic(_)))) {
                        deadline = deadline.min(Instant::now() + LEAVE);
                    }
                    observer(Event::Line(&line));
                    seen += len + 1;
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                // The serial port is closed; the process follows at once, or hangs.
                if let Some(status) = qemu.try_wait()? {
                    return Ok(Ended::Status(status));
                }
                thread::sleep(Duration::from_millis(1));
            }
        }
        if INTERRUPTED.load(Ordering::Relaxed) {
            return Ok(Ended::Interrupted);
        }
        if raw.len() > MAX_LOG {
            return Ok(Ended::Flooded);
        }
        if kvm_failed.is_none() && kvm::gave_up(&errors.text()) {
            kvm_failed = Some(Instant::now());
        }
        if kvm_failed.is_some_and(|since| since.elapsed() >= STATE) {
            return Ok(Ended::KvmFailed);
        }
        if silent && begun.elapsed() >= SILENCE {
            silent = false;
            observer(Event::Silence(SILENCE));
        }
        if matches!(boot.door, Door::Grub { .. } | Door::Network { .. })
            && last_byte.elapsed() >= GRUB_GOES_ON
            && grub_error(raw).is_some()
        {
            return Ok(Ended::GrubFailed);
        }
        if Instant::now() >= deadline {
            return Ok(Ended::TimedOut);
        }
    }
}

/// What QEMU says itself, read while it runs.
#[derive(Clone, Default)]
struct Errors(Arc<Mutex<Vec<u8>>>);

impl Errors {
    /// Reads to the end.
    fn take_in(&self, mut stderr: ChildStderr) {
        let mut buffer = [0; 4096];
        while let Ok(len @ 1..) = stderr.read(&mut buffer) {
            let mut text = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            text.extend_from_slice(&buffer[..len]);
        }
    }

    /// What was read so far.
    fn text(&self) -> String {
        let text = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&text).into_owned()
    }
}

fn read_serial(mut stdout: ChildStdout, sender: &SyncSender<Vec<u8>>) {
    let mut buffer = [0; 4096];
    while let Ok(len @ 1..) = stdout.read(&mut buffer) {
        if sender.send(buffer[..len].to_vec()).is_err() {
            break;
        }
    }
}
