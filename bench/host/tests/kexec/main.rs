//! The image in the place of a running Linux, by kexec: the commands of docs/real-machines.md, on BIOS and on UEFI.
//!
//! kexec-tools load the image by multiboot2, and hand it less than GRUB does: no ACPI root pointer, and the name of a file in
//! front of the command line. The Linux has the serial console, COM1, and the image goes on there.
//!
//! `cargo test -p pagemark-host --test kexec -- --ignored`; Debian's packages are fetched once.

#[expect(dead_code, unused_imports, reason = "these tests use a part of it")]
#[path = "../linux/mod.rs"]
mod linux;

use std::fs;
use std::time::Duration;

use linux::{Linux, Packages, SILENCE, Tree};
use pagemark_host::checkout;
use pagemark_host::image::{Firmware, MenuEntry, build, firmware, grub_file};
use pagemark_host::log::Log;
use pagemark_host::run::{By, Ended, Finished, Outcome, judge, kept_files};

/// CPUs of the machine.
const CPUS: u32 = 2;

#[test]
#[ignore = "boots a Linux from Debian's packages; takes a minute"]
fn from_linux_on_bios_without_a_screen() {
    passed("bios", None, false);
}

#[test]
#[ignore = "boots a Linux from Debian's packages; takes a minute"]
fn from_linux_on_uefi_with_a_screen() {
    passed("uefi", Some(firmware().expect("UEFI firmware")), true);
}

/// Starts it, and insists that every check passed with all CPUs.
fn passed(name: &str, firmware: Option<Firmware>, screen: bool) -> Log {
    let tree = Tree::new(Packages::get(), include_str!("run"));
    tree.program(&tree.packages().file("sbin/kexec"), "sbin/kexec");
    tree.write("job/commands", commands());
    let image = build().expect("the image builds");
    let image = grub_file(&image, MenuEntry::Screen).expect("the image's file for loaders");
    tree.write("job/pagemark.elf", image);
    let uefi = firmware.is_some();
    let linux = Linux {
        cpus: CPUS,
        firmware,
        screen,
        timeout: Duration::from_secs(600),
        silence: SILENCE,
    };
    let said = linux.run(&tree);
    let kept = kept_files()
        .expect("a folder for logs")
        .join(format!("kexec-{name}.log"));
    fs::write(&kept, &said.console).expect("the log is written");
    assert_eq!(
        said.word("firmware"),
        Some(if uefi { "uefi" } else { "bios" })
    );
    // The command line asks for a reset, at which QEMU ends without a status that says anything.
    let ended = said.status.map_or(Ended::TimedOut, |_| Ended::AfterTheLog);
    let finished = Finished {
        by: By::Emulator,
        raw: said.console,
        stderr: said.words,
        ended,
        cpus: Vec::new(),
    };
    let log = match judge(&finished) {
        Outcome::Pass(log) => *log,
        outcome => panic!(
            "exit status {} ({}), log {}",
            outcome.exit_status(),
            outcome.explanation(&finished, None).unwrap_or_default(),
            kept.display()
        ),
    };
    println!("verdict pass; log: {}", kept.display());
    let machine = log.machine.as_ref().expect("the log's machine");
    assert!(
        machine.loader.starts_with("multiboot2: kexec"),
        "{}",
        machine.loader
    );
    assert_eq!(machine.cpus, CPUS, "log {}", kept.display());
    log
}

/// The commands of docs/real-machines.md, with a shorter suite than theirs.
fn commands() -> String {
    let root = checkout::root().expect("the checkout");
    let page = fs::read_to_string(root.join("docs/real-machines.md")).expect("the page");
    let blocks = page
        .split("```sh\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next());
    let found: Vec<_> = blocks
        .filter(|block| block.contains("kexec --exec"))
        .collect();
    let [block] = found[..] else {
        panic!(
            "docs/real-machines.md has {} blocks of commands with kexec",
            found.len()
        );
    };
    let short = block.replace("suite=full", &format!("suite=quick smp={CPUS}"));
    assert_ne!(short, block, "the command line has no suite=full");
    short
}
