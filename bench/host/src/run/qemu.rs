//! QEMU's command line for one boot.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use pagemark_record::Machine;

use super::Accelerator;
use crate::image::Firmware;
use crate::log::Log;

/// The machine that QEMU builds around the CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum MachineType {
    /// A PC of 2009 with PCI Express.
    #[default]
    Q35,
    /// A PC of 1996 with PCI.
    Pc,
    /// No PCI and hardly any device, as Firecracker has it.
    Microvm,
}

impl MachineType {
    /// QEMU's name of it, with the options that make it one that the image boots on: a serial port on the ISA bus, and no words
    /// of its own on the command line.
    const fn options(self) -> &'static str {
        match self {
            Self::Q35 => "q35",
            Self::Pc => "pc",
            Self::Microvm => "microvm,isa-serial=on,auto-kernel-cmdline=off",
        }
    }
}

/// One boot of the image.
#[derive(Clone, Debug)]
pub struct Boot {
    /// The emulator.
    pub qemu: PathBuf,
    /// What executes the guest's instructions.
    pub accelerator: Accelerator,
    /// QEMU's CPU model; none for the accelerator's default.
    pub cpu_model: Option<String>,
    /// CPUs.
    pub cpus: u32,
    /// RAM, as QEMU writes it: `64M`, `1G`.
    pub memory: String,
    /// What is around the CPU. An exact figure may depend on it, so it never changes by itself.
    pub machine: MachineType,
    /// How the image is loaded.
    pub door: Door,
    /// How long until the watchdog ends it.
    pub timeout: Duration,
}

/// How the image is loaded.
#[derive(Clone, Debug)]
pub enum Door {
    /// QEMU loads the ELF file by its PVH note.
    Pvh {
        /// The ELF file.
        image: PathBuf,
        /// The image's command line.
        command_line: Vec<String>,
    },
    /// Firmware starts GRUB from an ISO, and GRUB the image by multiboot2; the command line is in the ISO.
    Grub {
        /// The ISO.
        iso: PathBuf,
        /// UEFI; none for BIOS.
        firmware: Option<Firmware>,
    },
}

/// The options of the image's that a run of one case has otherwise.
const REPLACED: [&str; 6] = [
    "suite=", "only=", "rounds=", "passes=", "seconds=", "align=",
];

impl Boot {
    /// A few samples of one case on the machine that `log` is of: with its RAM, its CPUs and its words on the command line. What a log
    /// does not tell is what baselines have: a q35 with the accelerator's own CPU model, which loads the image by PVH.
    pub fn of_case(qemu: &Path, image: &Path, log: &Log, case: &str) -> Self {
        // The image is told of all but the firmware's part of the first MiB, and of tables at the end of RAM.
        let mebibytes = |machine: &Machine<String>| machine.ram_bytes.div_ceil(1 << 20);
        let machine = log.machine.as_ref();
        let kept = log.start.command_line.split_whitespace();
        let kept = kept.filter(|word| REPLACED.iter().all(|key| !word.starts_with(key)));
        Self {
            qemu: qemu.to_owned(),
            accelerator: Accelerator::Icount,
            cpu_model: None,
            cpus: machine.map_or(1, |machine| machine.cpus),
            memory: format!("{}M", machine.map_or(1024, mebibytes)),
            machine: MachineType::default(),
            door: Door::Pvh {
                image: image.to_owned(),
                command_line: ["suite=full", "rounds=3"]
                    .into_iter()
                    .chain(kept)
                    .map(str::to_owned)
                    .chain([format!("only={case}")])
                    .collect(),
            },
            timeout: Duration::from_secs(300),
        }
    }

    /// The command. `scratch` is a folder for files that live as long as QEMU runs.
    pub fn command(&self, scratch: &Path) -> Result<Command> {
        let mut command = Command::new(&self.qemu);
        command.args([
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
            "-no-reboot",
        ]);
        // RAM is not reserved on the host: what the guest never touches costs nothing, and it may have more than the host.
        let machine = self.machine.options();
        command.args(["-M", &format!("{machine},memory-backend=ram")]);
        command.arg("-object").arg(format!(
            "memory-backend-ram,id=ram,reserve=off,size={}",
            self.memory
        ));
        command.args([
            "-chardev",
            "stdio,id=com1,signal=off",
            "-serial",
            "chardev:com1",
        ]);
        command.args(["-device", "isa-debug-exit,iobase=0xf4,iosize=0x4"]);
        command.args(["-m", &self.memory, "-smp", &self.cpus.to_string()]);
        command.args([
            "-cpu",
            self.cpu_model
                .as_deref()
                .unwrap_or(self.accelerator.cpu_model()),
        ]);
        command.args(self.accelerator.arguments());
        match &self.door {
            Door::Pvh {
                image,
                command_line,
            } => {
                command.arg("-kernel").arg(image);
                command.arg("-append").arg(command_line.join(" "));
            }
            Door::Grub { iso, firmware } => {
                if let Some(firmware) = firmware {
                    let variables = scratch.join("variables.fd");
                    std::fs::copy(&firmware.variables, &variables).with_context(|| {
                        format!("{} cannot be copied", firmware.variables.display())
                    })?;
                    command.arg("-drive").arg(format!(
                        "if=pflash,format=raw,readonly=on,file={}",
                        option(&firmware.code)
                    ));
                    command
                        .arg("-drive")
                        .arg(format!("if=pflash,format=raw,file={}", option(&variables)));
                }
                command.arg("-cdrom").arg(iso);
            }
        }
        Ok(command)
    }
}

/// A path as the value of one of QEMU's `key=value` options, where a comma is written twice.
fn option(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}

#[cfg(test)]
mod tests {
    use pagemark_record::Clock;

    use super::*;
    use crate::log::read;
    use crate::log::tests::good;

    /// A case that was traced on another machine would be blamed for what that machine does.
    #[test]
    fn a_case_is_run_again_on_the_machine_of_its_log() {
        let mut log = read(&good(Clock::Icount)).unwrap();
        let machine = log.machine.as_mut().unwrap();
        // What 2.5 GiB leave in QEMU.
        machine.ram_bytes = (2560 << 20) - (1 << 19) - 4096;
        machine.cpus = 4;
        log.start.command_line =
            "suite=quick layout=classic only=pt/* rounds=7 align=sweep smp=4".to_owned();
        let boot = Boot::of_case(Path::new("qemu"), Path::new("elf"), &log, "pt/map/pages=1");
        assert_eq!((boot.memory.as_str(), boot.cpus), ("2560M", 4));
        let Door::Pvh { command_line, .. } = boot.door else {
            panic!("{:?}", boot.door)
        };
        let words = "suite=full rounds=3 layout=classic smp=4 only=pt/map/pages=1";
        assert_eq!(command_line.join(" "), words);
        log.machine = None;
        let boot = Boot::of_case(Path::new("qemu"), Path::new("elf"), &log, "a");
        assert_eq!((boot.memory.as_str(), boot.cpus), ("1024M", 1));
    }
}
