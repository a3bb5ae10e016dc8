//! The image over the network: firmware starts GRUB by TFTP, GRUB the image with the words of the machine's file.

use std::time::Duration;

use pagemark_host::image::{firmware, machine_config, netboot};
use pagemark_host::log::Log;
use pagemark_host::run::{Accelerator, Boot, Door};

use super::{SHORT, image, passed, pvh};

const MAC: &str = "52:54:00:70:6d:01";
const UUID: &str = "7061676d-6172-6b00-8000-000000000001";

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

/// Boots with a folder whose default has other words than the file of the machine `name`.
fn boot(uefi: bool, name: &str) -> Log {
    let folder = tempfile::tempdir().unwrap();
    let [suite, only] = SHORT;
    netboot(
        &image(),
        &words(&[suite, only, "machine=default"]),
        folder.path(),
    )
    .unwrap();
    let config = machine_config(&words(&[suite, only, "machine=rack7"])).unwrap();
    std::fs::write(folder.path().join(format!("machines/{name}.cfg")), config).unwrap();
    passed(&Boot {
        // With a clock that counts instructions, firmware waits for the network for most of a minute.
        accelerator: Accelerator::Tcg,
        timeout: Duration::from_secs(300),
        door: Door::Network {
            folder: folder.path().to_owned(),
            firmware: uefi.then(|| firmware().unwrap()),
            mac: MAC.to_owned(),
            uuid: UUID.to_owned(),
        },
        ..pvh(&[])
    })
}

fn is_of(log: &Log, machine: &str) {
    let loader = &log.machine.as_ref().unwrap().loader;
    assert!(loader.starts_with("multiboot2: GRUB"), "{loader}");
    let line = format!("{} machine={machine}", SHORT.join(" "));
    assert!(
        log.start.command_line.ends_with(&line),
        "{}",
        log.start.command_line
    );
}

#[test]
fn on_bios_by_the_card_s_address() {
    is_of(&boot(false, MAC), "rack7");
}

#[test]
fn on_bios_without_a_file_of_the_machine() {
    is_of(&boot(false, "52:54:00:70:6d:02"), "default");
}

#[test]
fn on_uefi_by_the_smbios_uuid() {
    is_of(&boot(true, UUID), "rack7");
}

#[test]
fn a_folder_that_is_written_again_keeps_the_files_of_machines() {
    let folder = tempfile::tempdir().unwrap();
    let default = folder.path().join("machines/default.cfg");
    netboot(&image(), &[], folder.path()).unwrap();
    std::fs::write(&default, "set words=\"suite=full\"\n").unwrap();
    std::fs::write(folder.path().join("boot/pagemark"), "an old image").unwrap();
    netboot(&image(), &[], folder.path()).unwrap();
    assert_eq!(
        std::fs::read_to_string(&default).unwrap(),
        "set words=\"suite=full\"\n"
    );
    assert!(
        std::fs::read(folder.path().join("boot/pagemark"))
            .unwrap()
            .starts_with(b"\x7fELF")
    );
}
