//! Boots the ISO in Bochs, an interpreter of x86 whose TLB keeps every translation until it is flushed, and whose CPU models have PCID and
//! INVPCID, which QEMU's translator lacks: the machine on which flushes are proved. Its time is the number of instructions.
//!
//! Bochs has no device that ends it with a status, so the log alone says how a run went, and Bochs is ended after it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use pagemark_record::Record;

use super::process::Process;
use super::{By, Ended, Finished, INTERRUPTED};
use crate::log::lines::{lines, record};

/// How often the log is looked at.
const LOOK_AROUND: Duration = Duration::from_millis(100);

/// One boot of the ISO in Bochs.
#[derive(Clone, Debug)]
pub struct Bochs {
    /// The emulator.
    pub program: PathBuf,
    /// Its CPU model; `bochs --help cpu` lists them.
    pub cpu_model: String,
    /// Number of CPUs.
    pub cpus: u32,
    /// RAM in MiB.
    pub memory: u32,
    /// The ISO; the image's command line is in it. It has to leave the screen alone: GRUB crashes in the VBE of Bochs's BIOS.
    pub iso: PathBuf,
    /// How long until the watchdog ends it.
    pub timeout: Duration,
}

impl Bochs {
    /// The configuration, with the serial port and Bochs's own messages in files of `scratch`.
    fn configuration(&self, scratch: &Path) -> String {
        let Self {
            cpu_model,
            cpus,
            memory,
            iso,
            ..
        } = self;
        // A screen that nobody has to look at: RFB, which does not wait for a viewer. What is worth an "info" to Bochs
        // includes every interrupt between CPUs. Its mixer ends it with a "buffer overflow" on a machine without a sound card,
        // whether the guest has a speaker or not.
        format!(
            "config_interface: textconfig\n\
             display_library: rfb, options=\"timeout=0\"\n\
             romimage: file=/usr/share/bochs/BIOS-bochs-latest\n\
             vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest\n\
             vga: extension=vbe\n\
             cpu: model={cpu_model}, count={cpus}, ips=50000000, reset_on_triple_fault=0\n\
             memory: guest={memory}, host={memory}\n\
             clock: sync=none\n\
             ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14\n\
             ata0-master: type=cdrom, path={iso}, status=inserted\n\
             boot: cdrom\n\
             com1: enabled=1, mode=file, dev={com1}\n\
             log: {log}\n\
             panic: action=fatal\n\
             info: action=ignore\n\
             speaker: enabled=0\n\
             sound: driver=dummy\n",
            iso = iso.display(),
            com1 = scratch.join(COM1).display(),
            log = scratch.join(LOG).display(),
        )
    }

    /// Boots and waits for the end. Bochs is gone when this returns, in whatever way.
    pub fn boot(&self) -> Result<Finished> {
        let scratch = tempfile::tempdir().context("no temporary folder for Bochs's files")?;
        let (configuration, commands) = (scratch.path().join("bochsrc"), scratch.path().join("rc"));
        fs::write(&configuration, self.configuration(scratch.path()))?;
        // Debian's Bochs is built with its debugger, which waits for the word to go on.
        fs::write(&commands, "c\n")?;
        let name = self.program.display();
        let console = fs::File::create(scratch.path().join(CONSOLE))?;
        let mut command = Command::new(&self.program);
        command
            .arg("-q")
            .arg("-f")
            .arg(&configuration)
            .arg("-rc")
            .arg(&commands)
            .stdin(Stdio::null())
            .stdout(console.try_clone()?)
            .stderr(console);
        let mut bochs = Process::start(&mut command)
            .with_context(|| format!("{name} cannot be started; scripts/setup.sh installs it"))?;
        let read = |name| fs::read(scratch.path().join(name)).unwrap_or_default();
        let deadline = Instant::now() + self.timeout;
        let ended = loop {
            let over = is_over(&read(COM1));
            if let Some(status) = bochs.try_wait()? {
                break if over {
                    Ended::AfterTheLog
                } else {
                    Ended::Status(status)
                };
            }
            if over {
                break Ended::AfterTheLog;
            }
            if INTERRUPTED.load(std::sync::atomic::Ordering::Relaxed) {
                break Ended::Interrupted;
            }
            if Instant::now() >= deadline {
                break Ended::TimedOut;
            }
            std::thread::sleep(LOOK_AROUND);
        };
        drop(bochs);
        let mut stderr = String::from_utf8_lossy(&read(LOG)).into_owned();
        if matches!(ended, Ended::Status(_)) {
            // What the C library or the debugger had to say is not in Bochs's own log.
            stderr.push_str(&String::from_utf8_lossy(&read(CONSOLE)));
        }
        Ok(Finished {
            by: By::Emulator,
            raw: read(COM1),
            stderr,
            ended,
            cpus: Vec::new(),
        })
    }
}

const COM1: &str = "com1.log";
const LOG: &str = "bochs.log";
const CONSOLE: &str = "console.log";

/// Whether the log's last record is there, with the end of its line.
fn is_over(raw: &[u8]) -> bool {
    lines(raw).any(|line| {
        let last = matches!(
            record(&line.bytes),
            Some(Ok(Record::End(_) | Record::Panic(_)))
        );
        line.ended && last
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_an_emulator_says_that_dies_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("bochs");
        fs::write(&program, "#!/bin/sh\necho no ROM >&2\nexit 1\n").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let bochs = Bochs {
            program,
            cpu_model: "any".to_owned(),
            cpus: 1,
            memory: 32,
            iso: PathBuf::new(),
            timeout: Duration::from_secs(60),
        };
        let finished = bochs.boot().unwrap();
        assert!(
            matches!(finished.ended, Ended::Status(status) if status.code() == Some(1)),
            "{:?}",
            finished.ended
        );
        assert_eq!(finished.stderr, "no ROM\n");
    }
}
