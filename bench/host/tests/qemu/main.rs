//! Tests that boot the image in QEMU: what it does when all is well, and when something is not.

mod ab;
mod address_spaces;
mod alignment;
mod blame;
mod bochs;
mod boots;
mod codes;
mod console;
mod copied_checkout;
mod environment;
mod example_image;
mod failures;
mod figures;
mod firmware;
mod grub_2_12;
mod hardware;
mod installed_grub;
mod lava;
mod layouts;
mod mutation;
mod netboot;
mod passes;
mod screen;
mod served;
mod smp;
mod vmalloc;
mod vmallocinfo;
mod watched;

#[path = "../pagemark/mod.rs"]
mod pagemark;

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use pagemark_host::image;
use pagemark_host::log::Log;
use pagemark_host::run::{Accelerator, Boot, Door, Finished, MachineType, Outcome, boot, judge};

/// Words that make a run short: the suite's smallest group.
const SHORT: [&str; 2] = ["suite=quick", "only=control/*"];

/// The image, built once.
fn image() -> PathBuf {
    static IMAGE: OnceLock<PathBuf> = OnceLock::new();
    IMAGE
        .get_or_init(|| image::build().expect("the image builds"))
        .clone()
}

/// A boot by PVH under TCG with icount, one CPU and 1 GiB.
fn pvh(command_line: &[&str]) -> Boot {
    Boot {
        qemu: "qemu-system-x86_64".into(),
        accelerator: Accelerator::Icount,
        cpu_model: None,
        cpus: 1,
        topology: None,
        memory: "1G".to_owned(),
        machine: MachineType::Q35,
        door: Door::Pvh {
            image: image(),
            command_line: command_line.iter().map(|&word| word.to_owned()).collect(),
        },
        timeout: Duration::from_secs(120),
    }
}

/// Boots, and returns how it went with the raw log.
fn run(asked_for: &Boot) -> (Outcome, Finished) {
    let finished = boot(asked_for).expect("QEMU starts");
    (judge(&finished), finished)
}

/// Boots, and insists that every check passed.
fn passed(asked_for: &Boot) -> Log {
    match run(asked_for) {
        (Outcome::Pass(log), _) => *log,
        (outcome, finished) => panic!("{}", explained(&outcome, &finished)),
    }
}

/// An outcome that was not expected, with the log.
fn explained(outcome: &Outcome, finished: &Finished) -> String {
    let log = String::from_utf8_lossy(&finished.raw);
    format!(
        "exit status {}\n{}\n{log}",
        outcome.exit_status(),
        finished.stderr
    )
}
