//! What the gate says of a changed image: the case, by how much, and which function it is.

use std::process::Command;

use pagemark_host::blame;
use pagemark_host::gate::{self, Finding};
use pagemark_host::image::Variant;
use pagemark_host::run::{Boot, Door, Outcome};

use super::{image, passed, pvh, run, told};

/// The case whose operation, in a function `flush_page` that is inlined there, the feature `added_nop` adds a NOP to.
const CASE: &str = "tlb/invlpg";

/// One NOP, in one case: a figure moves by 1 and no other at all, though all code behind it lies elsewhere.
#[test]
fn an_added_nop_is_told_for_its_case_alone_and_with_its_function() {
    let variant = Variant {
        folder: Some("added_nop"),
        features: "added_nop",
        ..Variant::default()
    };
    let with_nop = variant.build().expect("the image builds");
    let folder = tempfile::tempdir().unwrap();
    let quick = |image, name: &str| {
        let mut boot = pvh(&["suite=quick"]);
        boot.door = Door::Pvh {
            image,
            command_line: vec!["suite=quick".to_owned()],
        };
        let (outcome, finished) = run(&boot);
        let path = folder.path().join(name);
        std::fs::write(&path, &finished.raw).unwrap();
        let Outcome::Pass(log) = outcome else {
            panic!("{}", told(&outcome, &finished));
        };
        (*log, path)
    };
    let (base, base_log) = quick(image(), "base");
    let (new, new_log) = quick(with_nop.clone(), "new");
    let judgement = gate::judge_logs(&[base], &[new], &[], 0.01, false).unwrap();
    let changed: Vec<_> = judgement
        .rows
        .iter()
        .filter(|row| row.finding != Finding::Same)
        .map(|row| (row.name.as_str(), row.new.zip(row.base)))
        .collect();
    let [(CASE, Some((new, base)))] = changed[..] else {
        panic!("{changed:?}");
    };
    assert_eq!(new - base, 1.0);

    let base_log = base_log.to_str().unwrap();
    for command in [&["gate", "--base", base_log][..], &["compare", base_log]] {
        let told = Command::new(env!("CARGO_BIN_EXE_pagemark"))
            .args(command)
            .arg(&new_log)
            .arg("--base-image")
            .arg(image())
            .arg("--image")
            .arg(&with_nop)
            .output()
            .unwrap();
        let words = String::from_utf8_lossy(&told.stdout);
        assert_eq!(told.status.code(), Some(1), "{words}");
        let blamed: Vec<&str> = words
            .lines()
            .skip_while(|line| !line.contains("an operation:"))
            .skip(1)
            .take_while(|line| !line.is_empty())
            .collect();
        let [function] = blamed[..] else {
            panic!("{words}");
        };
        assert!(
            function.ends_with("cases::tlb::operations::flush_page +1"),
            "{words}"
        );
    }
}

/// A trace that lost or doubled lines would blame functions that nobody changed.
#[test]
fn a_trace_has_every_instruction_of_the_samples() {
    for case in ["pt/map/pages=512", "vmalloc/alloc/size=4KiB"] {
        let only = format!("only={case}");
        let boot = pvh(&["suite=quick", &only, "rounds=3"]);
        let log = passed(&boot);
        let [result] = &log.results[..] else {
            panic!("{:?}", log.results);
        };
        let profile = blame::profile(&Boot::of_case(&boot.qemu, &image(), &log, case)).unwrap();
        let instructions: u64 = profile.functions.values().sum();
        let each = instructions as f64 / profile.operations as f64;
        let figure = result.median.as_f64() + result.overhead.as_f64();
        assert_eq!(
            (result.min, each),
            (result.max, figure),
            "{case}: {profile:?}"
        );
    }
}
