//! QEMU's command line for one boot.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::Accelerator;
use crate::image::{BIOS_FILE, Firmware, UEFI_FILE};

/// What a word of the image's command line begins with that names the [`MachineType`].
pub const MACHINE_KEY: &str = "machine=";
/// And one that names QEMU's CPU model.
pub const CPU_KEY: &str = "cpu=";

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
    /// QEMU's name of it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Q35 => "q35",
            Self::Pc => "pc",
            Self::Microvm => "microvm",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        let known = <Self as clap::ValueEnum>::value_variants();
        known.iter().copied().find(|known| known.name() == name)
    }

    /// Its name, with the options that make it one that the image boots on: a serial port on the ISA bus, and no words
    /// of its own on the command line.
    const fn options(self) -> &'static str {
        match self {
            Self::Q35 | Self::Pc => self.name(),
            Self::Microvm => "microvm,isa-serial=on,auto-kernel-cmdline=off",
        }
    }
}

/// QEMU's monitor, a socket among the files of one boot.
pub(super) const MONITOR: &str = "monitor";
/// Most bytes of a socket's path (unix(7): `sun_path` has 108).
const SOCKET_PATH: usize = 107;

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
    /// How they are put together, as QEMU writes it, where that matters: `sockets=2,cores=3`.
    pub topology: Option<String>,
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
    /// Firmware starts GRUB over the network, by DHCP and TFTP, and GRUB the image.
    Network {
        /// What the TFTP server hands out, as [`netboot`](crate::image::netboot) writes it.
        folder: PathBuf,
        /// UEFI; none for BIOS.
        firmware: Option<Firmware>,
        /// The network card's address, `52:54:00:12:34:56`.
        mac: String,
        /// The UUID in the SMBIOS.
        uuid: String,
    },
    /// It is no image, but a process of this host, and QEMU has no part in it.
    Process {
        /// The program.
        program: PathBuf,
        /// Its arguments.
        arguments: Vec<String>,
    },
}

impl Boot {
    /// What the log cannot say otherwise about the machine, as words of the image's command line: `machine=q35`, `cpu=max`. The
    /// image makes nothing of them.
    pub fn names(&self) -> [String; 2] {
        let machine = self.machine.name();
        [
            format!("{MACHINE_KEY}{machine}"),
            format!("{CPU_KEY}{}", self.cpu_model()),
        ]
    }

    /// QEMU's `-smp`.
    fn smp(&self) -> String {
        let topology = self.topology.as_deref();
        topology.map_or(self.cpus.to_string(), |topology| {
            format!("{},{topology}", self.cpus)
        })
    }

    /// QEMU's CPU model.
    fn cpu_model(&self) -> &str {
        let usual = self.accelerator.cpu_model();
        self.cpu_model.as_deref().unwrap_or(usual)
    }

    /// The program that is started, as messages name it.
    pub(super) fn started(&self) -> &Path {
        match &self.door {
            Door::Process { program, .. } => program,
            Door::Pvh { .. } | Door::Grub { .. } | Door::Network { .. } => &self.qemu,
        }
    }

    /// The command. `scratch` is a folder for files that live as long as QEMU runs.
    pub fn command(&self, scratch: &Path) -> Result<Command> {
        if let Door::Process { program, arguments } = &self.door {
            let mut command = Command::new(program);
            command.args(arguments);
            return Ok(command);
        }
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
        // Without a monitor a run does all the same; only a hang is reported in less detail.
        let monitor = scratch.join(MONITOR);
        if monitor.as_os_str().len() <= SOCKET_PATH {
            command.arg("-chardev").arg(format!(
                "socket,id=monitor,server=on,wait=off,path={}",
                option(&monitor)
            ));
            command.args(["-mon", "chardev=monitor,mode=readline"]);
        }
        command.args(["-device", "isa-debug-exit,iobase=0xf4,iosize=0x4"]);
        command.args(["-m", &self.memory, "-smp", &self.smp()]);
        command.args(["-cpu", self.cpu_model()]);
        command.args(self.accelerator.arguments());
        self.add_door(&mut command, scratch)?;
        Ok(command)
    }

    /// Adds what QEMU starts, and from where.
    fn add_door(&self, command: &mut Command, scratch: &Path) -> Result<()> {
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
                    flash(command, firmware, scratch)?;
                }
                command.arg("-cdrom").arg(iso);
            }
            Door::Network {
                folder,
                firmware,
                mac,
                uuid,
            } => {
                let file = match firmware {
                    Some(firmware) => {
                        flash(command, firmware, scratch)?;
                        UEFI_FILE
                    }
                    None => BIOS_FILE,
                };
                command.arg("-netdev").arg(format!(
                    "user,id=net,restrict=on,tftp={},bootfile=/{file}",
                    option(folder)
                ));
                command.args(["-device", &format!("virtio-net-pci,netdev=net,mac={mac}")]);
                command.args(["-uuid", uuid, "-boot", "n"]);
            }
            Door::Process { .. } => {}
        }
        Ok(())
    }
}

/// Adds UEFI firmware, with variables of its own in `scratch`: the firmware writes to them.
fn flash(command: &mut Command, firmware: &Firmware, scratch: &Path) -> Result<()> {
    let variables = scratch.join("variables.fd");
    std::fs::copy(&firmware.variables, &variables)
        .with_context(|| format!("{} cannot be copied", firmware.variables.display()))?;
    command.arg("-drive").arg(format!(
        "if=pflash,format=raw,readonly=on,file={}",
        option(&firmware.code)
    ));
    command
        .arg("-drive")
        .arg(format!("if=pflash,format=raw,file={}", option(&variables)));
    Ok(())
}

/// A path as the value of one of QEMU's `key=value` options, where a comma is written twice.
fn option(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}
