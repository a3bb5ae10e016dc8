//! GRUB 2.12, which demands more of a file than 2.06 does: Debian 13's packages, unpacked and not installed, pack the ISO and start the
//! image, on BIOS and on UEFI.
//!
//! `cargo test -p pagemark-host --test qemu -- --ignored grub_2_12`; the packages are fetched once.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use pagemark_host::checkout;
use pagemark_host::image::firmware;
use pagemark_host::run::{Accelerator, Boot, Door};

use super::installed_grub;
use super::{SHORT, image, passed, pvh};

const RELEASE: &str = "trixie";
/// GRUB, and the libraries that grub-mkrescue is linked with.
const PACKAGES: [&str; 12] = [
    "grub-common",
    "grub-pc-bin",
    "grub-efi-amd64-bin",
    "libc6",
    "libcap2",
    "libdevmapper1.02.1",
    "libefiboot1t64",
    "libefivar1t64",
    "liblzma5",
    "libselinux1",
    "libpcre2-8-0",
    "libudev1",
];

/// A folder with Debian 13's grub-mkrescue, which packs an ISO for this firmware alone: with its modules in another folder than its
/// own, it takes those of one platform.
fn grub_mkrescue(uefi: bool, folder: &Path) -> PathBuf {
    let root = checkout::root().unwrap();
    let packages = root.join("target/debian").join(RELEASE);
    let status = Command::new(root.join("scripts/debian-packages.sh"))
        .arg(RELEASE)
        .arg(&packages)
        .args(PACKAGES)
        .status()
        .unwrap();
    assert!(status.success(), "Debian's packages cannot be had");
    let platform = if uefi { "x86_64-efi" } else { "i386-pc" };
    let script = format!(
        "#!/bin/sh\nusr={}\nexec \"$usr/lib64/ld-linux-x86-64.so.2\" --library-path \"$usr/lib/x86_64-linux-gnu\" \
         \"$usr/bin/grub-mkrescue\" --directory \"$usr/lib/grub/{platform}\" \"$@\"\n",
        packages.join("root/usr").display()
    );
    let program = folder.join("grub-mkrescue");
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    program
}

fn boots(uefi: bool) {
    let folder = tempfile::tempdir().unwrap();
    let program = grub_mkrescue(uefi, folder.path());
    let iso = folder.path().join("pagemark.iso");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = [folder.path().to_owned()].into_iter();
    let path = std::env::join_paths(folders.chain(std::env::split_paths(&path))).unwrap();
    let packed = Command::new(env!("CARGO_BIN_EXE_pagemark"))
        .args(["iso", "--append", &SHORT.join(" "), "--image"])
        .arg(image())
        .arg("-o")
        .arg(&iso)
        .env("PATH", path)
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&packed.stderr);
    assert!(packed.status.success(), "{message}");
    let log = passed(&Boot {
        // UEFI firmware under icount takes most of a minute.
        accelerator: if uefi {
            Accelerator::Tcg
        } else {
            Accelerator::Icount
        },
        door: Door::Grub {
            iso,
            firmware: uefi.then(|| firmware().unwrap()),
        },
        ..pvh(&[])
    });
    let installed = installed_grub::boots(&program, uefi);
    for log in [log, installed] {
        let loader = log.machine.unwrap().loader;
        assert!(loader.starts_with("multiboot2: GRUB 2.12"), "{loader}");
    }
}

#[test]
#[ignore = "fetches Debian 13's GRUB"]
fn the_iso_and_the_file_boot_on_bios() {
    boots(false);
}

#[test]
#[ignore = "fetches Debian 13's GRUB"]
fn the_iso_and_the_file_boot_on_uefi() {
    boots(true);
}
