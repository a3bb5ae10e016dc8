//! The image under real KVM, on any host: Linux's KVM runs it on AMD's nested virtualisation, which QEMU's translator emulates.
//!
//! What the image meets is what it meets on a host with KVM: the hypervisor's CPUID leaves and clock, exits, nested page tables,
//! stolen time, a TSC that counts no instructions. Ticks are an emulator's all the same, so no figure is looked at. QEMU's
//! command line inside is the runner's own.
//!
//! `cargo test -p pagemark-host --test kvm -- --ignored`; Debian's packages are fetched once.

#[path = "../linux/mod.rs"]
mod linux;
mod nested;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use linux::{Linux, Packages, Said, Tree};
use nested::{Nested, QEMU};
use pagemark_host::image::{MenuEntry, build, pack};
use pagemark_host::log::Log;
use pagemark_host::run::{
    Accelerator, Boot, By, Door, Ended, Finished, MachineType, Outcome, judge, kept_files,
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

#[test]
#[ignore = "boots a Linux from Debian's packages; takes two minutes"]
fn the_runner_shows_the_whole_table() {
    let nested = Nested::new(2, TIMEOUT);
    let image = build().expect("the image builds");
    nested.tree.copy(&image, IMAGE.trim_start_matches('/'));
    let runner = "/usr/bin/pagemark";
    let built = Path::new(env!("CARGO_BIN_EXE_pagemark"));
    nested.tree.program(built, runner.trim_start_matches('/'));
    let mut command = Command::new(runner);
    command.args(["run", "--accel", "kvm", "--smp", "2", "--image", IMAGE]);
    command.args(["--qemu", QEMU, "--log", "/run/raw", "--append", "smp=2"]);
    command.args(["--timeout", &TIMEOUT.as_secs().to_string()]);
    let (status, said) = nested.run(&command);
    let shown = String::from_utf8_lossy(&said.payload);
    assert_eq!(status, 0, "{shown}\n{}", said.console());
    for [key, value] in [["hypervisor", "KVM"], ["verdict", "pass"]] {
        let found = shown
            .lines()
            .any(|line| line.split_whitespace().eq([key, value]));
        assert!(found, "no {key} {value}:\n{shown}");
    }
    assert!(shown.contains("direct_map"), "{shown}");
}

#[test]
#[ignore = "boots a Linux from Debian's packages; takes a minute"]
fn an_image_that_panics_inside_is_reported() {
    let (finished, said) = run(&by_pvh(1, &["provoke=panic"]));
    let outcome = judge(&finished);
    assert!(
        matches!(outcome, Outcome::Panic(_)),
        "{outcome:?}\n{}",
        said.words
    );
}

#[test]
#[ignore = "boots a Linux from Debian's packages three times; takes a minute"]
#[should_panic(expected = "the Linux fell silent 3 times")]
fn a_linux_that_falls_silent_is_booted_again() {
    let tree = Tree::new(Packages::get(), "report up; sleep 1000000");
    let linux = Linux {
        cpus: 1,
        firmware: None,
        screen: false,
        timeout: TIMEOUT,
        silence: Duration::from_secs(15),
    };
    linux.run(&tree);
}

/// Where the Linux has the image, and the ISO.
const IMAGE: &str = "/job/image";
const ISO: &str = "/job/iso";

fn by_pvh(cpus: u32, words: &[&str]) -> Boot {
    let mut boot = Boot {
        qemu: QEMU.into(),
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
    let nested = Nested::new(boot.cpus, boot.timeout);
    let image = build().expect("the image builds");
    let scratch = tempfile::tempdir().expect("a temporary folder");
    match &boot.door {
        Door::Pvh { .. } => nested.tree.copy(&image, IMAGE.trim_start_matches('/')),
        Door::Grub { .. } => {
            let iso = scratch.path().join("iso");
            let words = ["suite=quick".to_owned(), format!("smp={}", boot.cpus)];
            let words = [&words[..], &boot.names()].concat();
            pack(&image, &words, MenuEntry::Screen, &iso).expect("the ISO is packed");
            nested.tree.copy(&iso, ISO.trim_start_matches('/'));
        }
        Door::Network { .. } => unreachable!("no boot of this test is over the network"),
        Door::Process { .. } => unreachable!("these tests boot images"),
    }
    // A folder that is there in the Linux: QEMU puts its monitor's socket in it.
    let command = boot
        .command(Path::new("/job"))
        .expect("QEMU's command line");
    let (status, mut said) = nested.run(&command);
    let finished = Finished {
        by: By::Emulator,
        raw: std::mem::take(&mut said.payload),
        stderr: said.console(),
        ended: match status {
            KILLED => Ended::TimedOut,
            status => Ended::Status(ExitStatus::from_raw(status << 8)),
        },
        cpus: Vec::new(),
    };
    (finished, said)
}
