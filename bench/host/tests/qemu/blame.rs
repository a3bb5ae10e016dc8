//! What the gate says of a changed image: the case, by how much, and which function it is.

use std::path::{Path, PathBuf};

use pagemark_host::blame::{Rebuilt, trace};
use pagemark_host::gate::{self, Finding};
use pagemark_host::image::Variant;
use pagemark_host::run::{Accelerator, Door, Outcome};

use super::{explained, image, passed, pvh, run};

/// The case whose operation, in a function `flush_page` that is inlined there, `PAGEMARK_ADDED_NOP` adds a NOP to.
const CASE: &str = "tlb/invlpg";

/// The image with that NOP.
fn with_nop() -> PathBuf {
    let variant = Variant {
        folder: Some("added_nop"),
        variables: vec![("PAGEMARK_ADDED_NOP", "1".to_owned())],
        ..Variant::default()
    };
    variant.build().expect("the image builds")
}

/// What `pagemark` says to these words, and its exit status.
fn pagemark(words: &[&str], paths: &[&Path]) -> (String, Option<i32>) {
    let message = super::pagemark::pagemark(words, paths);
    let words = String::from_utf8_lossy(&message.stdout).into_owned();
    (words, message.status.code())
}

/// One NOP, in one case: a figure moves by 1 and no other at all, though all code behind it lies elsewhere.
#[test]
fn an_added_nop_is_reported_for_its_case_alone_and_with_its_function() {
    let with_nop = with_nop();
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
            panic!("{}", explained(&outcome, &finished));
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
        let paths = [
            &new_log,
            Path::new("--base-image"),
            &image(),
            Path::new("--image"),
            &with_nop,
        ];
        let (words, status) = pagemark(command, &paths);
        assert_eq!(status, Some(1), "{words}");
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
        // These logs were made without the runner, which would have named the machine.
        let model = Accelerator::Icount.cpu_model();
        let assumed = format!("the log does not say, machine q35 and CPU model {model} is assumed");
        assert!(words.contains(&assumed), "{words}");
        assert!(!words.contains("another machine"), "{words}");
    }
}

/// A log of another machine than the usual one is traced on a machine like its own, by what the runner had it say.
#[test]
fn a_log_is_traced_on_its_own_machine() {
    let (base, new) = (image(), with_nop());
    let folder = tempfile::tempdir().unwrap();
    for (machine, cpu) in [("pc", "qemu64"), ("microvm", "max,-pdpe1gb,-la57")] {
        let logs = [&base, &new].map(|image| {
            let log = folder
                .path()
                .join(machine)
                .with_extension(if image == &base { "base" } else { "new" });
            let asked_for = [
                "run",
                "--icount",
                "--only",
                CASE,
                "--machine",
                machine,
                "--cpu",
                cpu,
            ];
            let paths = [Path::new("--log"), &log, Path::new("--image"), image];
            let (words, status) = pagemark(&asked_for, &paths);
            assert_eq!(status, Some(0), "{words}");
            log
        });
        let images = [Path::new("--base-image"), &base, Path::new("--image"), &new];
        let paths = [&[logs[0].as_path(), &logs[1]], &images[..]].concat();
        let (words, status) = pagemark(&["compare"], &paths);
        assert_eq!(status, Some(1), "{words}");
        let traced = format!("traced on the machine of the log: machine={machine} cpu={cpu}\n");
        assert!(words.contains(&traced), "{words}");
        // What the traced runs say of their machine is what the log says.
        assert!(!words.contains("another machine"), "{words}");
        assert!(words.contains("flush_page +1\n"), "{words}");
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
        let rebuilt = Rebuilt::of_case(&boot.qemu, &image(), &log, case).unwrap();
        let profile = trace(&rebuilt.boot).unwrap().profile;
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
