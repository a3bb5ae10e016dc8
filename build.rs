//! Links the image by `linker.ld`, and writes the revision and the offset of the code that the log names.

use std::env;
use std::process::Command;

/// Bytes by which all code but the bracket lies further up: what a case costs must not hang on where its code happens to lie.
const OFFSET: &str = "PAGEMARK_TEXT_OFFSET";

/// The offset that was asked for. Functions are aligned to 16 bytes, and a cache line is 64.
fn text_offset() -> u32 {
    println!("cargo:rerun-if-env-changed={OFFSET}");
    let Ok(text) = env::var(OFFSET) else { return 0 };
    match text.parse() {
        Ok(offset @ (0 | 16 | 32 | 48)) => offset,
        _ => panic!("{OFFSET} is 0, 16, 32 or 48, not `{text}`"),
    }
}

/// Asks for one NOP more in the operation of `tlb/invlpg`, to see whether the gate notices it, there and nowhere else. No feature
/// does that: it would be part of every symbol's name, and in the order of names the compiler decides what is inlined.
const ADDED_NOP: &str = "PAGEMARK_ADDED_NOP";

fn main() {
    println!("cargo:rerun-if-env-changed={ADDED_NOP}");
    println!("cargo:rustc-check-cfg=cfg(added_nop)");
    if env::var_os(ADDED_NOP).is_some() {
        println!("cargo:rustc-cfg=added_nop");
    }
    println!("cargo:rustc-check-cfg=cfg(hosted)");
    let target = |key| env::var(key).unwrap_or_default();
    if target("CARGO_CFG_TARGET_OS") == "linux" && target("CARGO_CFG_TARGET_ARCH") == "x86_64" {
        println!("cargo:rustc-cfg=hosted");
    }
    let offset = text_offset();
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    println!("cargo:rerun-if-changed=linker.ld");
    // In a worktree they lie elsewhere; a file that is not there would have everything built anew each time.
    let files = git(
        &root,
        &["rev-parse", "--git-path", "HEAD", "--git-path", "index"],
    );
    for file in files.iter().flat_map(|files| files.lines()) {
        println!("cargo:rerun-if-changed={file}");
    }
    if env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("none") {
        println!("cargo:rustc-link-arg-bins=-T{root}/linker.ld");
        println!("cargo:rustc-link-arg-bins=--defsym=text_offset={offset}");
    }
    println!("cargo:rustc-env={OFFSET}={offset}");
    let revision = git(&root, &["describe", "--always", "--dirty", "--abbrev=12"]);
    let revision = revision.unwrap_or_else(|| "unknown".to_owned());
    println!("cargo:rustc-env=PAGEMARK_REVISION={revision}");
}

/// What git says of the checkout at `root`; `None` where there is no git, or none of its repositories.
fn git(root: &str, words: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(root).args(words).output();
    let output = output.ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
