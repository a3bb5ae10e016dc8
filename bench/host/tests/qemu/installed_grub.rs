//! A GRUB that is installed already loads the file that `pagemark iso` writes beside the ISO, by the menu entry in docs/real-machines.md.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use pagemark_host::checkout;
use pagemark_host::image::firmware;
use pagemark_host::log::Log;
use pagemark_host::run::{Accelerator, Boot, Door};

use super::pagemark::pagemark;
use super::{SHORT, image, passed, pvh};

/// The menu entry of docs/real-machines.md, with the words of a short run.
fn menu_entry() -> String {
    let readme =
        fs::read_to_string(checkout::root().unwrap().join("docs/real-machines.md")).unwrap();
    let start = readme
        .find("\nmenuentry ")
        .expect("docs/real-machines.md has a menu entry");
    let end = readme[start..].find("\n}\n").unwrap() + "\n}\n".len();
    let entry = &readme[start..][..end];
    assert!(entry.contains(" suite=full\n"), "{entry}");
    entry.replace("suite=full", &SHORT.join(" "))
}

/// The image's file as a user finds it.
fn written_by_iso(folder: &Path) -> Vec<u8> {
    let iso = folder.join("pagemark.iso");
    let files: [OsString; 4] = ["--image".into(), image().into(), "-o".into(), iso.into()];
    let output = pagemark(&["iso"], &files);
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{message}");
    fs::read(folder.join("pagemark.elf")).unwrap()
}

/// Has this grub-mkrescue pack an ISO with that file and that entry, and boots it.
pub(super) fn boots(grub_mkrescue: &Path, uefi: bool) -> Log {
    let folder = tempfile::tempdir().unwrap();
    let elf = written_by_iso(folder.path());
    assert!(elf.len() < fs::metadata(image()).unwrap().len() as usize / 2);
    let tree = folder.path().join("tree");
    fs::create_dir_all(tree.join("boot/grub")).unwrap();
    fs::write(tree.join("boot/pagemark.elf"), elf).unwrap();
    let config = format!("set timeout=0\n{}", menu_entry());
    fs::write(tree.join("boot/grub/grub.cfg"), config).unwrap();
    let iso = folder.path().join("installed.iso");
    let packed = Command::new(grub_mkrescue)
        .arg("-o")
        .args([&iso, &tree])
        .output()
        .unwrap();
    assert!(packed.status.success(), "{packed:?}");
    passed(&Boot {
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
    })
}

fn installed(uefi: bool) {
    let loader = boots(Path::new("grub-mkrescue"), uefi)
        .machine
        .unwrap()
        .loader;
    assert!(loader.starts_with("multiboot2: GRUB"), "{loader}");
}

#[test]
fn the_file_and_the_entry_of_the_readme_boot_on_bios() {
    installed(false);
}

#[test]
fn the_file_and_the_entry_of_the_readme_boot_on_uefi() {
    installed(true);
}
