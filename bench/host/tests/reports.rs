//! `pagemark show` and `pagemark compare` as a pipeline calls them: by their exit status and what they print.

mod pagemark;

use std::fs;
use std::path::PathBuf;

use pagemark_record::{CaseResult, Clock, LogWriter, Machine, Record, SCHEMA, Start, Verdict};
use tempfile::TempDir;

use pagemark::pagemark;

/// A log with one case, whose every sample took `insns` instructions.
fn written(folder: &TempDir, name: &str, cpu: &str, insns: u64) -> PathBuf {
    written_by(Clock::Icount, folder, name, cpu, insns)
}

fn written_by(clock: Clock, folder: &TempDir, name: &str, cpu: &str, figure: u64) -> PathBuf {
    let mut log = LogWriter::new(String::new());
    let text = pagemark_record::Text::Plain;
    let start = Start {
        schema: SCHEMA,
        revision: text("v1"),
        suite: text("quick"),
        command_line: text(""),
        text_offset: 0,
    };
    log.record(&Record::Start(start)).unwrap();
    let machine = Machine {
        cpu: text(cpu),
        family: 6,
        model: 1,
        stepping: 1,
        hypervisor: None,
        clock,
        tsc_hz: None,
        tsc_source: text("none"),
        invariant_tsc: true,
        ticks_per_1000_nops: 1000,
        ram_bytes: 1 << 30,
        cpus: 1,
        layout: text("wide"),
        loader: text("pvh"),
        features: text(""),
        identity: None,
        date: None,
    };
    log.record(&Record::Machine(machine)).unwrap();
    let case = CaseResult {
        overhead: 5.into(),
        ..CaseResult::of_equal(
            text("tlb/invlpg"),
            clock.unit(),
            figure.into(),
            10,
            text("7*10"),
        )
    };
    log.record(&Record::Result(case)).unwrap();
    log.end(Verdict::Pass).unwrap();
    let path = folder.path().join(name);
    fs::write(&path, log.out().as_bytes()).unwrap();
    path
}

#[test]
fn compare_ends_with_one_on_a_regression_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (slow, fast) = (
        written(&folder, "slow", "a CPU", 7),
        written(&folder, "fast", "a CPU", 6),
    );
    for (base, new, status, word) in [
        (&fast, &slow, 1, "slower"),
        (&slow, &fast, 0, "faster"),
        (&fast, &fast, 0, "0 regressions"),
    ] {
        let output = pagemark(&["compare"], &[base, new]);
        assert_eq!(output.status.code(), Some(status));
        assert!(String::from_utf8(output.stdout).unwrap().contains(word));
    }
}

#[test]
fn compare_ends_with_two_when_it_cannot() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (
        written(&folder, "one", "a CPU", 7),
        written(&folder, "other", "another CPU", 7),
    );
    let output = pagemark(&["compare"], &[&one, &other]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("CPU: a CPU | another CPU")
    );
    assert_eq!(
        pagemark(&["compare", "--force"], &[&one, &other])
            .status
            .code(),
        Some(0)
    );
    assert_eq!(
        pagemark(&["compare"], &[&one, &folder.path().join("none")])
            .status
            .code(),
        Some(2)
    );
}

#[test]
fn show_takes_whole_logs_alone() {
    let folder = tempfile::tempdir().unwrap();
    let whole = written(&folder, "whole", "a CPU", 7);
    let output = pagemark(&["show"], &[&whole]);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8(output.stdout).unwrap().contains("invlpg"));

    let cut = folder.path().join("cut");
    let bytes = fs::read(&whole).unwrap();
    fs::write(&cut, &bytes[..bytes.len() - 30]).unwrap();
    let output = pagemark(&["show"], &[&cut]);
    assert_eq!(output.status.code(), Some(4));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.contains("cut: line ") && stderr.contains("the run was cut off"),
        "{stderr}"
    );
}

#[test]
fn gate_holds_a_log_against_the_committed_baseline() {
    let folder = tempfile::tempdir().unwrap();
    let (slow, fast) = (
        written(&folder, "slow", "a CPU", 7),
        written(&folder, "fast", "a CPU", 6),
    );
    let elsewhere = written(&folder, "elsewhere", "another CPU", 6);
    let baseline = folder.path().join("baselines/quick.txt");
    let gate = |more: &[&str], log: &PathBuf| {
        let base = ["gate", "--base", baseline.to_str().unwrap()];
        pagemark(&[&base[..], more].concat(), &[log])
    };
    assert_eq!(gate(&[], &fast).status.code(), Some(2));
    assert_eq!(gate(&["--update"], &fast).status.code(), Some(0));
    let text = fs::read_to_string(&baseline).unwrap();
    assert!(text.contains("\ntlb/invlpg 6\n"), "{text}");
    assert_eq!(gate(&[], &fast).status.code(), Some(0));
    let output = gate(&[], &slow);
    assert_eq!(output.status.code(), Some(1));
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(
        stdout.contains("tlb/invlpg") && stdout.contains("+1"),
        "{stdout}"
    );
    assert_eq!(gate(&[], &elsewhere).status.code(), Some(2));
    assert_eq!(gate(&["--force"], &elsewhere).status.code(), Some(0));
    // Nothing sets one clock against another.
    let ticks = written_by(Clock::Tsc, &folder, "ticks", "a CPU", 6);
    for base in [&baseline, &fast] {
        for force in [&[][..], &["--force"]] {
            let base = ["gate", "--base", base.to_str().unwrap()];
            let output = pagemark(&[&base[..], force].concat(), &[&ticks]);
            let stderr = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{stderr}");
            assert!(stderr.contains("clock"), "{stderr}");
        }
    }
    let mute = folder.path().join("mute");
    fs::write(&mute, "tlb/*\n").unwrap();
    assert_eq!(
        gate(&["--mute", mute.to_str().unwrap()], &slow)
            .status
            .code(),
        Some(0)
    );
    // Faster is a change, too: the baseline is to say so.
    assert_eq!(gate(&["--update"], &slow).status.code(), Some(0));
    assert_eq!(gate(&[], &fast).status.code(), Some(1));
    let cut = folder.path().join("cut");
    fs::write(&cut, &fs::read(&fast).unwrap()[..900]).unwrap();
    assert_eq!(gate(&[], &cut).status.code(), Some(4));
}

#[test]
fn show_and_compare_take_folders_of_logs() {
    let folder = tempfile::tempdir().unwrap();
    let [base, new] = ["base", "new"].map(|side| folder.path().join(side));
    for (side, insns) in [(&base, 6), (&new, 7)] {
        fs::create_dir(side).unwrap();
        for boot in ["1.log", "2.log"] {
            fs::rename(written(&folder, boot, "a CPU", insns), side.join(boot)).unwrap();
        }
    }
    let output = pagemark(&["compare"], &[&base, &new]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let shown = pagemark(&["show"], &[&base]);
    let stdout = String::from_utf8(shown.stdout).unwrap();
    assert_eq!(stdout.matches("pagemark v1").count(), 2);
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    assert_eq!(pagemark(&["show"], &[&empty]).status.code(), Some(2));
}

/// The log of a real run.
fn seed() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/log/whole")
}

fn stdout(words: &[&str], files: &[&PathBuf]) -> String {
    let output = pagemark(words, files);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn show_takes_globs_and_an_order() {
    // The cases as the table names them, in its order.
    let cases = |words: &[&str]| {
        let text = stdout(&[&["show"], words].concat(), &[&seed()]);
        let table = text.split("samples").nth(1).unwrap().to_owned();
        let first = |line: &str| line.split_whitespace().next().map(str::to_owned);
        let names = table.lines().filter_map(first);
        names
            .filter(|name| name.contains('/'))
            .collect::<Vec<String>>()
    };
    let (nops, invlpg, vmalloc) = ("control/nops=1000", "tlb/invlpg", "vmalloc/alloc/size=4KiB");
    assert_eq!(
        cases(&["--sort", "name"]),
        ["control/empty", nops, invlpg, vmalloc]
    );
    assert_eq!(
        cases(&["--sort", "median"]),
        [nops, vmalloc, invlpg, "control/empty"]
    );
    assert_eq!(
        cases(&["--sort", "median", "--only", "tlb/*,*/nops*"]),
        [nops, invlpg]
    );
}

#[test]
fn export_as_json_is_what_show_writes_and_has_every_case() {
    let folder = tempfile::tempdir().unwrap();
    let seed = seed();
    let shown = stdout(&["show", "--json"], &[&seed]);
    let exported = stdout(&["export", "--format", "json"], &[&seed]);
    assert_eq!(shown, exported);
    let logs: serde_json::Value = serde_json::from_str(&exported).unwrap();
    let results = logs[0]["results"].as_array().unwrap();
    assert!(
        results
            .iter()
            .any(|result| result["case"] == "tlb/invlpg" && result["rounds"].is_string())
    );
    // A capture of two boots is two logs.
    let twice = folder.path().join("twice.log");
    fs::write(&twice, fs::read(&seed).unwrap().repeat(2)).unwrap();
    let logs: serde_json::Value =
        serde_json::from_str(&stdout(&["export", "--format", "json"], &[&twice])).unwrap();
    assert_eq!(logs.as_array().unwrap().len(), 2);
}

#[test]
fn csv_has_all_that_a_log_has_of_a_case() {
    let folder = tempfile::tempdir().unwrap();
    let log = written(&folder, "log", "a CPU", 7);
    let text = stdout(&["export", "--format", "csv"], &[&log]);
    let mut rows = csv::Reader::from_reader(text.as_bytes());
    let header = rows.headers().unwrap().clone();
    let row = rows.records().next().unwrap().unwrap();
    for (column, value) in [
        ("case", "tlb/invlpg"),
        ("median", "7"),
        ("p99", "7"),
        ("overhead", "5"),
        ("samples", "10"),
        ("batch", "1"),
        ("ns", ""),
        ("smi", "0"),
        ("rounds", "7*10"),
    ] {
        let at = header.iter().position(|name| name == column).unwrap();
        assert_eq!(&row[at], value, "{column}");
    }
    // Every key of the log's own record but those of which the columns are made.
    let json: serde_json::Value =
        serde_json::from_str(&stdout(&["show", "--json"], &[&log])).unwrap();
    for key in json[0]["results"][0].as_object().unwrap().keys() {
        let known = ["interval", "counts", "disturbances"].contains(&key.as_str());
        assert!(known || header.iter().any(|name| name == key), "{key}");
    }
}
