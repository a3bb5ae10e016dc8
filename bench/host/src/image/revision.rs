//! The image of another revision of the checkout, built in a folder of its own.
//!
//! The folder is a clone that shares the checkout's objects: nothing in the checkout changes, neither its files nor its list of
//! worktrees. It stays, so that a revision is compiled once.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::build::{Program, built, command_of};
use crate::checkout;

/// Builds `program` of `revision` (a branch, a tag, a commit) and returns its file.
///
/// # Errors
///
/// There is no checkout with git, it has no such revision, or that does not build.
pub fn build_revision(revision: &str, program: Program) -> Result<PathBuf> {
    let root = checkout::root()?;
    let folder = check_out(&root, revision, &root.join("target/revisions"))?;
    has_program(&folder, revision, program)?;
    // By name, so that rustup looks for the toolchain that this revision pins.
    let mut command = command_of("cargo".as_ref(), &folder, program);
    command
        .arg("--target-dir")
        .arg(folder.join("target"))
        .env_remove("RUSTUP_TOOLCHAIN");
    built(command)
}

/// Refuses a revision whose manifest has no such program, which cargo would list by its other programs.
fn has_program(folder: &Path, revision: &str, program: Program) -> Result<()> {
    let path = folder.join("Cargo.toml");
    let manifest = std::fs::read_to_string(&path)
        .with_context(|| format!("{revision}: {} cannot be read", path.display()))?;
    let name = program.name();
    ensure!(
        manifest.contains(&format!("name = \"{name}\"")),
        "revision {revision} has no program {name}: it is older than that"
    );
    Ok(())
}

/// Checks `revision` of the repository at `root` out into a folder under `folders` that is named after the commit.
fn check_out(root: &Path, revision: &str, folders: &Path) -> Result<PathBuf> {
    let wanted = format!("{revision}^{{commit}}");
    let commit = git(
        root,
        &[
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            &wanted,
        ],
    )
    .with_context(|| format!("{} has no revision {revision}", root.display()))?;
    let folder = folders.join(&commit);
    if folder.is_dir() {
        return Ok(folder);
    }
    std::fs::create_dir_all(folders)
        .with_context(|| format!("{} cannot be made", folders.display()))?;
    // Renamed once it is whole.
    let part = tempfile::tempdir_in(folders)?;
    let path = part.path().to_string_lossy().into_owned();
    let from = root.to_string_lossy().into_owned();
    git(
        root,
        &[
            "clone",
            "--quiet",
            "--shared",
            "--no-checkout",
            "--",
            &from,
            &path,
        ],
    )?;
    git(part.path(), &["checkout", "--quiet", "--detach", &commit])?;
    std::fs::rename(part.keep(), &folder)
        .with_context(|| format!("{} cannot be made", folder.display()))?;
    Ok(folder)
}

/// What git says to these words, at `root`.
fn git(root: &Path, words: &[&str]) -> Result<String> {
    let output = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(words)
        .output()
        .context("git cannot be started")?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr);
        bail!(
            "git {} ended with {}\n{}",
            words[0],
            output.status,
            message.trim_end()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_is_checked_out_beside_a_checkout_that_stays_as_it_is() {
        let root = tempfile::tempdir().unwrap();
        let (repository, folders) = (
            root.path().join("repository"),
            root.path().join("revisions"),
        );
        std::fs::create_dir(&repository).unwrap();
        let run = |words: &[&str]| git(&repository, words).unwrap();
        run(&["init", "--quiet"]);
        let commit = |text: &str| {
            std::fs::write(repository.join("file"), text).unwrap();
            run(&["add", "file"]);
            let name = ["-c", "user.name=a", "-c", "user.email=a@b"];
            run(&[&name[..], &["commit", "--quiet", "-m", text]].concat());
        };
        commit("one");
        run(&["tag", "first"]);
        commit("two");
        std::fs::write(repository.join("file"), "changed").unwrap();
        let folder = check_out(&repository, "first", &folders).unwrap();
        let read = |folder: &Path| std::fs::read_to_string(folder.join("file")).unwrap();
        assert_eq!(read(&folder), "one");
        assert_eq!(
            read(&check_out(&repository, "HEAD", &folders).unwrap()),
            "two"
        );
        assert_eq!(check_out(&repository, "first", &folders).unwrap(), folder);
        assert_eq!(std::fs::read_dir(&folders).unwrap().count(), 2);
        assert_eq!(read(&repository), "changed");
        let message = check_out(&repository, "--nowhere", &folders).unwrap_err();
        assert!(
            format!("{message:#}").contains("no revision --nowhere"),
            "{message:#}"
        );
    }
}
