//! The initial file system of the Linux.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Packages;
use tempfile::TempDir;

/// A folder that becomes the root of the Linux.
pub struct Tree {
    folder: TempDir,
    packages: Packages,
}

impl Tree {
    /// One that does the shell script `run`.
    pub fn new(packages: Packages, run: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let tree = Self { folder, packages };
        tree.write("init", include_str!("init"));
        let init = tree.place("init");
        fs::set_permissions(&init, fs::Permissions::from_mode(0o755)).expect("permissions");
        tree.copy(&tree.packages.file("bin/busybox"), "bin/busybox");
        tree.write("job/run", run);
        tree
    }

    /// The packages that its programs are from.
    pub fn packages(&self) -> &Packages {
        &self.packages
    }

    /// Writes a file.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        fs::write(self.place(path), content).unwrap_or_else(|error| panic!("{path}: {error}"));
    }

    /// Copies a file.
    pub fn copy(&self, from: &Path, path: &str) {
        fs::copy(from, self.place(path))
            .unwrap_or_else(|error| panic!("{}: {error}", from.display()));
    }

    /// Copies a program, with the libraries that it is linked with: those of the packages, and otherwise this host's.
    pub fn program(&self, from: &Path, path: &str) {
        self.copy(from, path);
        let output = Command::new("ldd")
            .arg(from)
            .env(
                "LD_LIBRARY_PATH",
                self.packages.file("usr/lib/x86_64-linux-gnu"),
            )
            .output()
            .expect("ldd starts");
        let text = String::from_utf8_lossy(&output.stdout);
        for word in text.split_whitespace() {
            assert_ne!(word, "not", "{} lacks a library:\n{text}", from.display());
            if word.starts_with('/') {
                let from = Path::new(word);
                // The loader looks for libraries in this folder without being asked, wherever the host has them.
                let name = from
                    .file_name()
                    .expect("a library's name")
                    .to_string_lossy();
                match from.parent() {
                    Some(folder) if folder == Path::new("/lib64") => {
                        self.copy(from, &format!("lib64/{name}"))
                    }
                    _ => self.copy(from, &format!("usr/lib/x86_64-linux-gnu/{name}")),
                }
            }
        }
    }

    /// Packs it as an initial file system. Not compressed: that costs an emulated CPU more than reading.
    pub fn pack(&self, to: &Path) {
        let archive = fs::File::create(to).expect("the archive is written");
        let status = Command::new("/bin/sh")
            .args(["-c", "find . | \"$0\" cpio -o -H newc"])
            .arg(self.packages.file("bin/busybox"))
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(archive)
            .stderr(Stdio::null())
            .status()
            .expect("a shell starts");
        assert!(status.success(), "the initial file system cannot be packed");
    }

    fn place(&self, path: &str) -> PathBuf {
        let place = self.folder.path().join(path);
        fs::create_dir_all(place.parent().expect("a path below the root")).expect("a folder");
        place
    }
}
