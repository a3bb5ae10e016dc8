//! The machine that the Linux runs on, and what comes out of its serial ports.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::thread::sleep;
use std::time::{Duration, Instant};

use pagemark_host::image::Firmware;
use tempfile::TempDir;

use super::Tree;

/// How often a Linux is booted that falls silent.
const TRIES: u32 = 3;
/// How long a Linux that says `alive` now and then may say nothing, on a busy host.
pub const SILENCE: Duration = Duration::from_secs(60);
/// How often its serial ports are looked at.
const LOOK_AROUND: Duration = Duration::from_millis(200);
/// The word on the port of words behind which Linux is no longer there to say anything.
const HANDED_OVER: &str = "over";

/// A machine of QEMU's translator, with nested virtualisation as AMD has it.
pub struct Linux {
    /// CPUs.
    pub cpus: u32,
    /// UEFI; none for BIOS.
    pub firmware: Option<Firmware>,
    /// Whether it has a screen.
    pub screen: bool,
    /// How long all of it may take.
    pub timeout: Duration,
    /// How long it may say nothing.
    pub silence: Duration,
}

/// What came of it.
pub struct Said {
    /// The console, COM1.
    pub console: Vec<u8>,
    /// What the job handed out, COM2.
    pub payload: Vec<u8>,
    /// The job's words, a line each, COM3.
    pub words: String,
    /// How QEMU ended; none if it was ended.
    pub status: Option<ExitStatus>,
}

impl Said {
    /// What follows this first word in the last line that begins with it.
    pub fn word(&self, first: &str) -> Option<&str> {
        let mut lines = self.words.lines().rev();
        lines.find_map(|line| line.strip_prefix(first)?.strip_prefix(' '))
    }

    /// The console's text.
    pub fn console(&self) -> String {
        String::from_utf8_lossy(&self.console).into_owned()
    }
}

impl Linux {
    /// Boots, and waits until the machine is gone or its time is over.
    ///
    /// About one run in twenty the emulated CPUs stay in HLT with a timer interrupt pending, which is a fault of QEMU's SVM: a
    /// Linux that falls silent is booted again.
    pub fn run(&self, tree: &Tree) -> Said {
        // The tests of one program run at a time, as two of these need more CPUs than some hosts have.
        static ONE: Mutex<()> = Mutex::new(());
        let _one = ONE
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let scratch = tempfile::tempdir().expect("a temporary folder");
        tree.pack(&scratch.path().join("initramfs"));
        let mut tries = 0;
        loop {
            tries += 1;
            let (said, silent) = self.attempt(tree, &scratch);
            if !silent {
                return said;
            }
            eprintln!("try {tries}: the Linux fell silent after:\n{}", said.words);
            assert!(
                tries < TRIES,
                "the Linux fell silent {tries} times; its console:\n{}",
                said.console()
            );
        }
    }

    fn attempt(&self, tree: &Tree, scratch: &TempDir) -> (Said, bool) {
        let ports: [PathBuf; 3] =
            ["console", "payload", "words"].map(|name| scratch.path().join(name));
        for port in &ports {
            fs::write(port, "").expect("a file for a serial port");
        }
        let qemu = self
            .command(tree, scratch.path(), &ports)
            .spawn()
            .expect("QEMU starts");
        let mut qemu = Running(qemu);
        let deadline = Instant::now() + self.timeout;
        let (mut length, mut heard) = (0, Instant::now());
        loop {
            let status = qemu.0.try_wait().expect("QEMU can be waited for");
            let [console, payload, words] = ports
                .each_ref()
                .map(|port| fs::read(port).unwrap_or_default());
            let said = Said {
                console,
                payload,
                words: String::from_utf8_lossy(&words).into_owned(),
                status,
            };
            let over = said.words.lines().any(|line| line == HANDED_OVER);
            if status.is_some() || said.words.ends_with("\ndone\n") || Instant::now() >= deadline {
                return (said, false);
            }
            let now = said.console.len() + said.payload.len() + words.len();
            if now != length {
                (length, heard) = (now, Instant::now());
            }
            if !over && heard.elapsed() >= self.silence {
                return (said, true);
            }
            sleep(LOOK_AROUND);
        }
    }

    fn command(&self, tree: &Tree, scratch: &Path, ports: &[PathBuf]) -> Command {
        let mut command = Command::new("qemu-system-x86_64");
        command.args([
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
            "-no-reboot",
        ]);
        command.args([
            "-M",
            "q35",
            "-accel",
            "tcg,thread=multi",
            "-cpu",
            "max,+svm",
        ]);
        command.args(["-m", "3G", "-smp", &self.cpus.to_string()]);
        command.args(["-device", "isa-debug-exit,iobase=0xf4,iosize=0x4"]);
        for port in ports {
            command
                .arg("-serial")
                .arg(format!("file:{}", port.display()));
        }
        if self.screen {
            command.args(["-device", "VGA"]);
        }
        if let Some(firmware) = &self.firmware {
            let variables = scratch.join("variables.fd");
            fs::copy(&firmware.variables, &variables).expect("the firmware's variables");
            let code = firmware.code.display();
            command.args([
                "-drive",
                &format!("if=pflash,format=raw,readonly=on,file={code}"),
            ]);
            let variables = variables.display();
            command.args(["-drive", &format!("if=pflash,format=raw,file={variables}")]);
        }
        command.arg("-kernel").arg(tree.packages().kernel());
        command.arg("-initrd").arg(scratch.join("initramfs"));
        // The kernel's check of the timer and its watch over the TSC want a host that is not busy.
        command.args([
            "-append",
            "console=ttyS0 quiet panic=-1 no_timer_check nokaslr nowatchdog tsc=reliable mitigations=off",
        ]);
        command.stdin(Stdio::null());
        command
    }
}

/// QEMU's process, which ends with this value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail where it has ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
