//! The suite as a process of this host: every case and every proof that needs no ring 0, what leaving an operation or its flush out
//! does to the proofs, and what is refused.
//!
//! Nothing here depends on a figure.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod schema;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use pagemark_host::gate::baseline::Baseline;
use pagemark_host::image::{Program, Variant};
use pagemark_host::log::{Ending, Log, read};
use pagemark_record::{Clock, Verdict};

/// Few samples: a case costs what its set-up does.
const FEW: [&str; 2] = ["rounds=4", "passes=2"];

/// The program as everybody runs it. Built once.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| built(None, ""))
}

/// The program that can leave flushes out.
fn mutant() -> PathBuf {
    built(Some("mutation"), "mutation")
}

fn built(folder: Option<&'static str>, features: &'static str) -> PathBuf {
    let variant = Variant {
        program: Program::Process,
        folder,
        features,
        ..Variant::default()
    };
    variant.build().expect("the program builds")
}

fn output(program: &Path, arguments: &[&str]) -> Output {
    let output = Command::new(program).args(arguments).output();
    output.expect("the program starts")
}

/// The log of a run that ends with this status. Each of its records is as the published schema says.
fn log(program: &Path, arguments: &[&str], status: i32) -> Log {
    let output = output(program, arguments);
    let text = || String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(status), "{}", text());
    let (records, faults) = schema::faults(&text());
    assert!(records >= 2, "{}", text());
    assert_eq!(faults, [""; 0]);
    read(&output.stdout).unwrap_or_else(|error| panic!("{error}\n{}", text()))
}

fn names(log: &Log) -> BTreeSet<&str> {
    log.results
        .iter()
        .map(|result| result.case.as_str())
        .collect()
}

/// Cases whose proof held although something was left out.
fn survivors(log: &Log) -> Vec<&str> {
    let held = |detail: &str| detail.starts_with("the proof holds");
    let checks = log.checks.iter().filter(|check| held(&check.detail));
    checks.map(|check| check.name.as_str()).collect()
}

#[test]
fn the_quick_suite_passes() {
    let log = log(program(), &FEW, 0);
    assert!(matches!(&log.ending, Ending::End(end) if end.verdict == Verdict::Pass));
    let measured = names(&log);
    assert!(measured.len() >= 90, "{measured:?}");
    let machine = log.machine.as_ref().unwrap();
    assert_eq!(
        (machine.loader.as_str(), machine.clock),
        ("process", Clock::Tsc)
    );
    assert!(machine.tsc_hz.is_some() && machine.date.is_some());
    let environment = log.environment.as_ref().unwrap();
    assert_eq!(environment.class, "process");
    let kernel = environment.kernel.as_deref().unwrap_or_default();
    assert!(kernel.starts_with("Linux "), "{kernel}");
    assert_eq!(
        machine.hypervisor.is_some(),
        environment.tags.contains("hypervisor_below")
    );
    let frames = log.frames.as_ref().unwrap();
    assert_eq!(frames.at_start, frames.at_end);
    // A case of the image that is not measured is skipped with a reason, alone or with its group, and no case has another name.
    let skipped: BTreeSet<&str> = log.skips.iter().map(|skip| skip.case.as_str()).collect();
    let is_skipped = |name: &str| {
        let group = name.split('/').next().unwrap_or_default();
        skipped.contains(name) || skipped.contains(format!("{group}/*").as_str())
    };
    let baseline = include_str!("../../baselines/quick.txt");
    let baseline: Baseline = baseline.parse().unwrap();
    for name in baseline.cases.keys() {
        assert_ne!(measured.contains(name.as_str()), is_skipped(name), "{name}");
    }
    for name in measured {
        let missing = !baseline.cases.contains_key(name);
        // QEMU's CPU lacks 1 GiB pages in the baseline, or RAM in two GiBs.
        assert!(!missing || name.ends_with("1GiB"), "{name}");
    }
}

#[test]
fn without_its_operation_every_proof_fails() {
    let log = log(
        program(),
        &["suite=full", "mutate=operation", "--cpus=2"],
        0,
    );
    assert_eq!(survivors(&log), [""; 0]);
    assert!(log.results.is_empty());
    let checked = log.checks.iter().map(|check| check.name.as_str());
    let checked: BTreeSet<&str> = checked.collect();
    for case in [
        "pt/map/pages=1",
        "vmalloc/free/size=4KiB",
        "buddy/alloc/order=0",
        "access/vmalloc/pages=512",
        "contended/vmalloc/size=16KiB/cpus=2",
    ] {
        assert!(checked.contains(case), "{case} in {checked:?}");
    }
}

/// The flush that only paging-structure caches ask for, which nothing in that case has filled: `tests/qemu/mutation.rs` names the test that
/// stands in.
const FOR_WAYS_ALONE: &str = "vmalloc/alloc/huge=16MiB";
/// The areas that CPUs contend for are not accessed: a test of `mm::shared` is this flush's witness.
const NOT_ACCESSED: &str = "contended/vmalloc/size=16KiB/cpus=1";

#[test]
fn without_its_flush_every_proof_of_one_fails() {
    let log = log(&mutant(), &["suite=full", "mutate=flush"], 1);
    assert_eq!(survivors(&log), [FOR_WAYS_ALONE, NOT_ACCESSED]);
    let checked = log.checks.iter().filter(|check| check.pass);
    let checked: BTreeSet<&str> = checked.map(|check| check.name.as_str()).collect();
    for case in [
        "pt/unmap/pages=1",
        "pt/protect/pages=512",
        "pt/harvest/pages=1",
        "fixmap/set",
        "vmalloc/purge/areas=16",
    ] {
        assert!(checked.contains(case), "{case} in {checked:?}");
    }
}

#[test]
fn two_cpus_share_the_allocators() {
    let arguments = ["--cpus=2", "suite=full", "only=contended/*", "rounds=4"];
    let program = program();
    let output = output(program, &arguments);
    let log = read(&output.stdout).unwrap();
    // A host with one core has no second CPU to offer, and says so.
    if let [error] = log.errors.as_slice() {
        assert!(error.contains("2 CPUs"), "{error}");
        return;
    }
    assert_eq!(output.status.code(), Some(0));
    let measured = names(&log);
    for case in [
        "contended/buddy/order=0/cpus=1/cache=none",
        "contended/buddy/order=0/cpus=2/cache=none",
        "contended/buddy/order=0/cpus=2/cache=batched",
        "contended/vmalloc/size=16KiB/cpus=2",
        "contended/vmalloc/size=16KiB/cpus=2/lock=one",
    ] {
        assert!(measured.contains(case), "{case} in {measured:?}");
    }
}

#[test]
fn what_cannot_be_run_is_an_error_that_names_it() {
    let program = program();
    for (arguments, expected) in [
        (&["layout=classic"][..], "`classic`"),
        (&["--cpus=1000"], "1000 CPUs"),
        (&["--bytes=1048576"], "1024 KiB"),
        (&["--bytes=many"], "`--bytes=many`"),
        (&["--fast"], "`--fast`"),
        (&["sweet=full"], "`sweet`"),
        (&["only=nothing/*"], "only=nothing/*"),
        (&["mutate=flush"], "feature `mutation`"),
    ] {
        let log = log(program, arguments, 2);
        assert!(
            log.errors.iter().any(|error| error.contains(expected)),
            "{arguments:?}: {:?}",
            log.errors
        );
    }
}

#[test]
fn a_case_of_a_group_without_ring_0_is_skipped_by_the_group() {
    let log = log(program(), &["only=tlb/invlpg"], 0);
    assert!(log.results.is_empty());
    let skips: Vec<_> = log.skips.iter().map(|skip| skip.case.as_str()).collect();
    assert_eq!(skips, ["tlb/*"]);
}

#[test]
fn a_panic_ends_the_log() {
    for arguments in [
        &["provoke=panic"][..],
        &["provoke=other-cpu-panic", "--cpus=2", "smp=2"],
    ] {
        let output = output(program(), arguments);
        let log = read(&output.stdout).unwrap();
        if log.errors.iter().any(|error| error.contains("2 CPUs")) {
            continue;
        }
        assert_eq!(output.status.code(), Some(3), "{arguments:?}");
        assert!(
            matches!(&log.ending, Ending::Panic(panic) if panic.message.contains("provoked")),
            "{:?}",
            log.ending
        );
    }
}

#[test]
fn the_runner_shows_the_process_and_keeps_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("run.log");
    let pagemark = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pagemark"));
        let output = command
            .args(["run", "--hosted", "--only", "control/*", "--log"])
            .arg(&kept)
            .arg("--image")
            .arg(program())
            .args(words)
            .output();
        output.expect("pagemark starts")
    };
    let whole = pagemark(&[]);
    let shown = String::from_utf8_lossy(&whole.stdout).into_owned();
    assert_eq!(whole.status.code(), Some(0), "{shown}");
    assert!(shown.contains("loader        process"), "{shown}");
    assert!(!names(&read(&std::fs::read(&kept).unwrap()).unwrap()).is_empty());
    // The kernel ends it, and there is no end of the log.
    let killed = pagemark(&["--append", "provoke=null"]);
    assert_eq!(killed.status.code(), Some(4));
    let reported = String::from_utf8_lossy(&killed.stderr).into_owned();
    assert!(
        reported.contains("the process ended with signal: 11"),
        "{reported}"
    );
    let refused = pagemark(&["--icount"]);
    assert_eq!(refused.status.code(), Some(2));
}

/// `pagemark ab --hosted` of the program against itself, about to begin or to go on.
fn in_turns(campaign: &Path, boots: u32) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pagemark"));
    command
        .args(["ab", "--hosted", "--only", "control/*", "--seed", "3"])
        .args(["--boots", &boots.to_string(), "--output"])
        .arg(campaign);
    for side in ["--base-image", "--image"] {
        command.arg(side).arg(program());
    }
    command
}

/// The numbers of the boots whose logs a campaign holds.
fn boots(campaign: &Path) -> Vec<u64> {
    let sides = ["base", "new"].map(|side| campaign.join(side));
    let logs = pagemark_host::log::side::logs(&sides).unwrap();
    let numbers = logs.iter().filter_map(Log::boot_number);
    let numbers: BTreeSet<u64> = numbers.collect();
    assert_eq!(numbers.len(), logs.len());
    numbers.into_iter().collect()
}

#[test]
fn two_programs_take_turns_and_an_ended_campaign_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let campaign = folder.path().join("campaign");
    let output = in_turns(&campaign, 1).output().unwrap();
    let shown = || String::from_utf8_lossy(&output.stdout).into_owned();
    // Too few boots to decide.
    assert_eq!(output.status.code(), Some(3), "{}", shown());
    assert_eq!(boots(&campaign), [1, 2]);
    for signal in ["INT", "KILL"] {
        let before = boots(&campaign).len();
        let mut running = in_turns(&campaign, 1000)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut reported = BufReader::new(running.stderr.take().unwrap()).lines();
        let more = reported.by_ref().map_while(Result::ok);
        assert_eq!(
            more.filter(|line| line.contains(": pass")).take(3).count(),
            3
        );
        let number = running.id().to_string();
        let kill = Command::new("kill")
            .args([&format!("-{signal}"), &number])
            .status();
        assert!(kill.unwrap().success());
        let rest: Vec<String> = reported.map_while(Result::ok).collect();
        let status = running.wait().unwrap();
        if signal == "INT" {
            assert_eq!(status.code(), Some(130));
            assert!(
                rest.iter().any(|line| line.contains("interrupted with")),
                "{rest:?}"
            );
        }
        let kept = boots(&campaign);
        assert!(kept.len() >= before + 3, "{kept:?}");
    }
    // No number is given twice, whatever ended the boot that had it.
    let made = boots(&campaign).len() as u64;
    let pairs = u32::try_from(made.div_ceil(2) + 1).unwrap();
    let output = in_turns(&campaign, pairs).output().unwrap();
    assert!(
        matches!(output.status.code(), Some(0 | 1 | 3)),
        "{output:?}"
    );
    assert_eq!(
        boots(&campaign),
        (1..=u64::from(pairs) * 2).collect::<Vec<_>>()
    );
}

#[test]
fn what_a_process_cannot_be_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |words: &[&str]| {
        let output = in_turns(&folder.path().join("campaign"), 1)
            .args(words)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    for words in [
        &["--iso"][..],
        &["--lab", "env.yaml"],
        &["--icount"],
        &["--cpu", "max"],
    ] {
        assert!(refused(words).contains("cannot be used with"), "{words:?}");
    }
}
