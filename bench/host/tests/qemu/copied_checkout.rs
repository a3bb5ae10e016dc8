//! A copied checkout is one of its own: what is edited there is built and booted, and logs stay there.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use pagemark_host::checkout;
use pagemark_host::log::read;

use super::SHORT;

/// A text of the image, and what the copy has in its place.
const SOURCE: &str = "src/boot/info.rs";
const TEXT: [&str; 2] = ["write!(f, \"pvh\")", "write!(f, \"pvh of a copy\")"];

/// Copies what git tracks, or would, of the checkout of this test.
fn copy(to: &Path) {
    let root = checkout::root().unwrap();
    let listed = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(&root)
        .output()
        .unwrap();
    assert!(listed.status.success(), "{listed:?}");
    let files = String::from_utf8(listed.stdout).unwrap();
    // A file that is deleted and not yet committed is listed, too.
    let there = |file: &&str| !file.is_empty() && root.join(file).is_file();
    for file in files.split('\0').filter(there) {
        let copied = to.join(file);
        fs::create_dir_all(copied.parent().unwrap()).unwrap();
        fs::copy(root.join(file), copied).unwrap();
    }
}

/// `pagemark run` with the sources of the folder that it is called from.
fn run(from: &Path) -> Output {
    // cargo's libraries of other crates stay for the next time.
    let target = checkout::root().unwrap().join("target/copied-checkout");
    Command::new(env!("CARGO_BIN_EXE_pagemark"))
        .args(["run", "--icount", "--suite", "quick", "--only", "control/*"])
        .current_dir(from)
        .env_remove(checkout::ROOT)
        .env("CARGO_TARGET_DIR", target)
        .output()
        .unwrap()
}

#[test]
fn an_edit_in_a_copied_checkout_is_booted_and_logged_there() {
    assert_eq!(SHORT[1], "only=control/*");
    let copied = tempfile::tempdir().unwrap();
    copy(copied.path());
    let source = copied.path().join(SOURCE);
    let text = fs::read_to_string(&source).unwrap();
    assert!(text.contains(TEXT[0]), "{SOURCE} has no {}", TEXT[0]);
    fs::write(&source, text.replace(TEXT[0], TEXT[1])).unwrap();
    let output = run(&copied.path().join("bench"));
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{message}");
    let logs: Vec<_> = fs::read_dir(copied.path().join("target/pagemark"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    let [log] = &logs[..] else { panic!("{logs:?}") };
    let log = read(&fs::read(log).unwrap()).unwrap();
    assert_eq!(log.machine.unwrap().loader, "pvh of a copy");
    // The tool is of another checkout than its sources, and says so.
    let sources = format!("sources: {}", copied.path().display());
    assert!(message.contains(&sources), "{message}");
}
