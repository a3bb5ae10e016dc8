//! `gate`, `compare` and `history` on Go benchmark text that another program wrote.

mod pagemark;

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use pagemark::pagemark;

/// Lines as `go test -count` writes them: 12 benchmarks, one of which costs so much more.
fn text(folder: &Path, name: &str, count: usize, cost: f64, turn: usize) -> PathBuf {
    let mut text = String::from("goos: linux\ngoarch: amd64\n");
    for benchmark in 0..12 {
        for line in 0..count {
            // Half a per cent of noise that repeats.
            let noise = ((line * 7 + benchmark * 3 + turn * 5) % 11) as f64 / 11.0 - 0.5;
            let cost = if benchmark == 4 { cost } else { 1.0 };
            let ns = 1000.0 * cost * (1.0 + 0.005 * noise);
            writeln!(
                text,
                "BenchmarkMap{benchmark}-8 \t 1000\t {ns:.3} ns/op\t 12 B/op"
            )
            .unwrap();
        }
    }
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn a_benchmark_that_became_slower_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let base = text(folder, "base.txt", 10, 1.0, 0);
    for (cost, count, status, message) in [
        (1.03, 10, 1, "Map4 [ns]"),
        (1.0, 10, 0, "unchanged"),
        (1.03, 7, 2, "8 are the least"),
    ] {
        let new = text(folder, "new.txt", count, cost, 1);
        let output = pagemark(&["gate", "--base"], &[&base, &new]);
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(status), "{said}");
        assert!(said.contains(message), "{said}");
    }
}

#[test]
fn compare_judges_text_with_enough_lines_and_shows_other_text() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let base = text(folder, "base.txt", 10, 1.0, 0);
    for (cost, count, status, message) in [
        (1.03, 10, 1, "Map4 [ns]"),
        (1.0, 10, 0, "unchanged"),
        (1.03, 7, 0, "side by side, not judged"),
    ] {
        let new = text(folder, "new.txt", count, cost, 1);
        for words in [&["compare"][..], &["compare", "--format", "go-text"]] {
            let output = pagemark(words, &[&base, &new]);
            let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            assert_eq!(output.status.code(), Some(status), "{said}");
            assert!(said.contains(message), "{said}");
        }
    }
}

#[test]
fn history_names_the_file_from_which_a_benchmark_is_slower() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for day in 1..=20 {
        let cost = if day > 12 { 1.03 } else { 1.0 };
        let path = text(folder, &format!("2026-03-{day:02}.txt"), 8, cost, day);
        let lines = format!("commit: c{day}\ncpu: a CPU\n");
        fs::write(&path, lines + &fs::read_to_string(&path).unwrap()).unwrap();
    }
    let files = || (1..=20).map(|day| folder.join(format!("2026-03-{day:02}.txt")));
    // A folder stands for its texts.
    for paths in [vec![folder.to_owned()], files().rev().collect()] {
        let output = pagemark(&["history"], &paths);
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(0), "{said}");
        let changed = said.lines().find(|line| line.contains("Map4 [ns]"));
        let changed = changed.unwrap_or_else(|| panic!("{said}"));
        assert!(
            changed.contains("2026-03-13 00:00") && changed.contains("c13"),
            "{said}"
        );
        assert!(said.starts_with("a CPU, linux, amd64\n"), "{said}");
        assert!(
            said.contains("1 change in 20 logs, 2026-03-01 00:00 to 2026-03-20 00:00"),
            "{said}"
        );
    }
    // Another machine's file is another history.
    let other = text(folder, "other.txt", 8, 1.0, 0);
    let output = pagemark(&["history"], &files().chain([other]).collect::<Vec<_>>());
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("\nlinux, amd64\n"), "{said}");
}
