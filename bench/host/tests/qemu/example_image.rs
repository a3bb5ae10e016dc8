//! The example of docs/log-format.md: another project's small kernel prints the records, and the tool takes its log.

use std::path::Path;
use std::process::Command;

use pagemark_host::checkout;
use pagemark_host::log::read;

use super::pagemark::pagemark;

#[test]
fn sixty_lines_print_a_log_that_is_read_and_gated() {
    let root = checkout::root().unwrap();
    let example = root.join("docs/example-image");
    let source = std::fs::read_to_string(example.join("src/main.rs")).unwrap();
    assert!(source.lines().count() <= 60, "{}", source.lines().count());
    let target = root.join("target/example-image");
    let built = Command::new(env!("CARGO"))
        .args([
            "build",
            "--quiet",
            "--release",
            "--locked",
            "--target",
            "x86_64-unknown-none",
            "--target-dir",
        ])
        .arg(&target)
        .current_dir(&example)
        .status()
        .unwrap();
    assert!(built.success());
    let image = target.join("x86_64-unknown-none/release/example-image");
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("example.log");
    let words = ["run", "--icount"];
    let ran = pagemark(
        &words,
        &[Path::new("--image"), &image, Path::new("--log"), &log],
    );
    assert_eq!(
        ran.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    let read = read(&std::fs::read(&log).unwrap()).unwrap();
    assert_eq!(read.results[0].case, "cpu/cpuid");
    let baseline = folder.path().join("counts.txt");
    let gate = |words: &[&str]| {
        pagemark(words, &[Path::new("--base"), &baseline, &log])
            .status
            .code()
    };
    assert_eq!(gate(&["gate", "--update"]), Some(0));
    assert_eq!(gate(&["gate"]), Some(0));
}
