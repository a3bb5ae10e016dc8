//! The image under real KVM, on any host: Linux's KVM runs it on AMD's nested virtualisation, which QEMU's translator emulates.
//!
//! What the image meets is what it meets on a host with KVM: the hypervisor's CPUID leaves and clock, exits, nested page tables,
//! stolen time, a TSC that counts no instructions. Ticks are an emulator's all the same, so no figure is looked at. QEMU's
//! command line inside is the runner's own.
//!
//! `cargo test -p pagemark-host --test kvm -- --ignored`; Debian's packages are fetched once.

#[path = "../linux/mod.rs"]
mod linux;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use linux::{Linux, Packages, Said, Tree};
use pagemark_host::image::{MenuEntry, build, pack};
use pagemark_host::log::Log;
use pagemark_host::run::{
    Accelerator, Boot, Door, Ended, Finished, MachineType, Outcome, judge, kept_files,
};

/// How long the image may take inside. Mostly it is less than a minute; two CPUs on a busy host take several.
const TIMEOUT: Duration = Duration::from_secs(600);
/// What a shell says of a program that SIGKILL ended.
const KILLED: i32 = 128 + 9;

#[test]
#[ignore = "boots a Linux from Debian's packages; takes a minute"]
fn by_pvh_with_one_cpu() {
    let log = passed("pvh-1", &by_pvh(1, &["suite=quick"]));
    assert_eq!(cpus(&log), 1);
}

#[test]
#[ignore = "boots a Linux from Debian's packages; takes two minutes"]
fn by_pvh_with_two_cpus() {
    let log = passed("pvh-2", &by_pvh(2, &["suite=quick", "smp=2"]));
    assert_eq!(cpus(&log), 2);
}

#[test]
#[ignore = "boots a Linux from Debian's packages; takes a minute"]
fn by_grub_with_one_cpu() {
    let log = passed("grub-1", &by_grub(1));
    assert_eq!(cpus(&log), 1);
}

#[test]
#[ignore = "boots a Linux from Debian's packages; takes two minutes"]
fn by_grub_with_two_cpus() {
    let log = passed("grub-2", &by_grub(2));
    assert_eq!(cpus(&log), 2);
}

/// Where the Linux has the image, and the ISO.
const IMAGE: &str = "/job/image";
const ISO: &str = "/job/iso";

fn by_pvh(cpus: u32, words: &[&str]) -> Boot {
    let mut boot = Boot {
        qemu: "/usr/bin/qemu-system-x86_64".into(),
        accelerator: Accelerator::Kvm,
        cpu_model: None,
        cpus,
        topology: None,
        memory: "1G".to_owned(),
        machine: MachineType::Q35,
        door: Door::Pvh {
            image: IMAGE.into(),
            command_line: Vec::new(),
        },
        timeout: TIMEOUT,
    };
    let command_line = words
        .iter()
        .map(|&word| word.to_owned())
        .chain(boot.names())
        .collect();
    boot.door = Door::Pvh {
        image: IMAGE.into(),
        command_line,
    };
    boot
}

/// SeaBIOS starts GRUB from the ISO; the command line is in that.
fn by_grub(cpus: u32) -> Boot {
    Boot {
        door: Door::Grub {
            iso: ISO.into(),
            firmware: None,
        },
        ..by_pvh(cpus, &[])
    }
}

fn cpus(log: &Log) -> u32 {
    log.machine.as_ref().expect("the log's machine").cpus
}

/// Runs it, and insists that every check passed, under KVM and with a whole table.
fn passed(name: &str, boot: &Boot) -> Log {
    let (finished, said) = run(boot);
    let kept = kept_files()
        .expect("a folder for logs")
        .join(format!("kvm-{name}.log"));
    fs::write(&kept, &finished.raw).expect("the log is written");
    let log = match judge(&finished) {
        Outcome::Pass(log) => *log,
        outcome => panic!(
            "exit status {} ({}), log {}\n{}\n{}",
            outcome.exit_status(),
            outcome.explanation(&finished, None).unwrap_or_default(),
            kept.display(),
            said.words,
            failed_checks(&outcome),
        ),
    };
    println!("verdict pass; log: {}", kept.display());
    let machine = log.machine.as_ref().expect("the log's machine");
    assert_eq!(machine.hypervisor.as_deref(), Some("KVM"));
    // The quick suite's groups, so that nothing was left out for want of something.
    for group in [
        "control/",
        "tlb/",
        "pt/",
        "buddy/",
        "vmalloc/",
        "direct_map/",
        "fault/",
        "space/",
    ] {
        let found = log
            .results
            .iter()
            .any(|result| result.case.starts_with(group));
        assert!(found, "no case of {group} in {}", kept.display());
    }
    assert!(log.frames.is_some());
    log
}

fn failed_checks(outcome: &Outcome) -> String {
    let checks = outcome.log().map_or(&[][..], |log| &log.checks);
    let failed = checks.iter().filter(|check| !check.pass);
    failed.map(|check| format!("{check:?}\n")).collect()
}

/// Runs it in the Linux: what the image's serial port said, and how its QEMU ended.
fn run(boot: &Boot) -> (Finished, Said) {
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
    let image = build().expect("the image builds");
    let scratch = tempfile::tempdir().expect("a temporary folder");
    match &boot.door {
        Door::Pvh { .. } => tree.copy(&image, IMAGE.trim_start_matches('/')),
        Door::Grub { .. } => {
            let iso = scratch.path().join("iso");
            let words = ["suite=quick".to_owned(), format!("smp={}", boot.cpus)];
            pack(
                &image,
                &[&words[..], &boot.names()].concat(),
                MenuEntry::Screen,
                &iso,
            )
            .expect("the ISO is packed");
            tree.copy(&iso, ISO.trim_start_matches('/'));
        }
    }
    // A folder that is there in the Linux: QEMU puts its monitor's socket in it.
    let command = boot
        .command(Path::new("/job"))
        .expect("QEMU's command line");
    tree.write("job/start", format!("exec {}\n", shell(&command)));
    tree.write("job/timeout", format!("{}\n", boot.timeout.as_secs()));
    let linux = Linux {
        cpus: boot.cpus,
        firmware: None,
        screen: false,
        // It ends the image after that one's own time; the rest is for booting and for handing out the log.
        timeout: boot.timeout + Duration::from_secs(300),
    };
    let mut said = linux.run(&tree);
    let Some(status) = said.word("ended") else {
        panic!(
            "the Linux did not say how the image ended; its QEMU: {:?}\n{}\n{}",
            said.status,
            said.words,
            said.console()
        );
    };
    let status: i32 = status.parse().expect("a status");
    let ended = match status {
        KILLED => Ended::TimedOut,
        status => Ended::Status(ExitStatus::from_raw(status << 8)),
    };
    let finished = Finished {
        raw: std::mem::take(&mut said.payload),
        stderr: said.console(),
        ended,
        cpus: Vec::new(),
    };
    (finished, said)
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
