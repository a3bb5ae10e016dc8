//! A Linux with KVM, this host's QEMU, and a command that starts the image.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::linux::{Linux, Packages, SILENCE, Said, Tree};

/// Where the Linux has QEMU.
pub const QEMU: &str = "/usr/bin/qemu-system-x86_64";

/// A Linux that is about to start the image.
pub struct Nested {
    /// Its files, to which the image has to be added.
    pub tree: Tree,
    linux: Linux,
}

impl Nested {
    /// One with this number of CPUs, in which the image may take this long.
    pub fn new(cpus: u32, timeout: Duration) -> Self {
        let tree = Tree::new(Packages::get(), include_str!("run"));
        for module in [
            "virt/lib/irqbypass",
            "arch/x86/kvm/kvm",
            "arch/x86/kvm/kvm-amd",
        ] {
            let name = module.rsplit('/').next().unwrap_or(module);
            tree.copy(
                &tree.packages().module(module),
                &format!("modules/{name}.ko"),
            );
        }
        add_qemu(&tree);
        tree.write("job/timeout", format!("{}\n", timeout.as_secs()));
        let linux = Linux {
            cpus,
            firmware: None,
            screen: false,
            // It ends the image after that one's own time; the rest is for booting and for handing out the log.
            timeout: timeout + Duration::from_secs(300),
            silence: SILENCE,
        };
        Self { tree, linux }
    }

    /// Starts the image by this command: what it said, and the status of the command as a shell has it.
    pub fn run(&self, command: &Command) -> (i32, Said) {
        let start = format!("exec {}\n", shell(command));
        self.tree.write("job/start", start);
        let said = self.linux.run(&self.tree);
        let Some(status) = said.word("ended") else {
            panic!(
                "the Linux did not say how the image ended; its QEMU: {:?}\n{}\n{}",
                said.status,
                said.words,
                said.console()
            );
        };
        (status.parse().expect("a status"), said)
    }
}

/// Copies this host's QEMU, with the firmware that the machine needs.
fn add_qemu(tree: &Tree) {
    let qemu = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .map(|folder| folder.join("qemu-system-x86_64"))
        .find(|path| path.is_file())
        .expect("qemu-system-x86_64 is on the PATH; scripts/setup.sh installs it");
    tree.program(&qemu, "usr/bin/qemu-system-x86_64");
    let output = Command::new(&qemu)
        .args(["-L", "help"])
        .output()
        .expect("QEMU starts");
    let folders = String::from_utf8_lossy(&output.stdout).into_owned();
    for name in [
        "bios-256k.bin",
        "kvmvapic.bin",
        "linuxboot_dma.bin",
        "pvh.bin",
    ] {
        let found: Vec<PathBuf> = folders
            .lines()
            .map(|folder| Path::new(folder).join(name))
            .collect();
        let found = found.iter().find(|path| path.is_file());
        let found = found.unwrap_or_else(|| panic!("QEMU's {name} is in none of {folders}"));
        tree.copy(found, &format!("usr/share/qemu/{name}"));
    }
}

/// The command as a line for a shell.
fn shell(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let quoted = words.map(|word| format!("'{}'", word.to_string_lossy().replace('\'', r"'\''")));
    quoted.collect::<Vec<_>>().join(" ")
}
