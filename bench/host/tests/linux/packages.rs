//! Debian's packages, unpacked once by `scripts/debian-packages.sh`.

use std::path::{Path, PathBuf};
use std::process::Command;

use pagemark_host::checkout;

const RELEASE: &str = "bookworm";
/// The kernel, a shell for it, and kexec with the libraries that it is linked with.
const PACKAGES: [&str; 11] = [
    "linux-image-cloud-amd64",
    "busybox-static",
    "kexec-tools",
    "libxenmisc4.17",
    "libxencall1",
    "libxendevicemodel1",
    "libxenevtchn1",
    "libxenforeignmemory1",
    "libxengnttab1",
    "libxentoolcore1",
    "libxentoollog1",
];

/// The folder that the packages are unpacked in.
pub struct Packages(PathBuf);

impl Packages {
    /// Unpacks what is not there.
    pub fn get() -> Self {
        let root = checkout::root().expect("the checkout");
        let folder = root.join("target/debian").join(RELEASE);
        let status = Command::new(root.join("scripts/debian-packages.sh"))
            .arg(RELEASE)
            .arg(&folder)
            .args(PACKAGES)
            .status()
            .expect("scripts/debian-packages.sh starts");
        assert!(status.success(), "Debian's packages cannot be had");
        Self(folder.join("root"))
    }

    /// A file of a package.
    pub fn file(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }

    /// The kernel's file.
    pub fn kernel(&self) -> PathBuf {
        only_entry(&self.0.join("boot"), "vmlinuz-")
    }

    /// A module of the kernel, by its path without `.ko`.
    pub fn module(&self, path: &str) -> PathBuf {
        let modules = only_entry(&self.0.join("lib/modules"), "");
        modules.join("kernel").join(format!("{path}.ko"))
    }
}

fn only_entry(folder: &Path, prefix: &str) -> PathBuf {
    let entries = folder.read_dir().expect("a folder of the kernel's package");
    let paths = entries.map(|entry| entry.expect("its entries").path());
    let found: Vec<_> = paths
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(prefix))
        })
        .collect();
    let [path] = &found[..] else {
        panic!("one kernel is expected, not {found:?}; remove target/debian");
    };
    path.clone()
}
