//! The gate on Go benchmark text that another program wrote.

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
    for (cost, count, status, told) in [
        (1.03, 10, 1, "Map4 [ns]"),
        (1.0, 10, 0, "unchanged"),
        (1.03, 7, 2, "8 are the least"),
    ] {
        let new = text(folder, "new.txt", count, cost, 1);
        let output = pagemark(&["gate", "--base"], &[&base, &new]);
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(status), "{said}");
        assert!(said.contains(told), "{said}");
    }
}
