//! The image over the network from servers as a lab has them: dnsmasq with docs/real-machines.md's own lines, and an HTTP server. By PXE, by UEFI's
//! HTTP boot, and by iPXE.
//!
//! It needs root, for a network of its own, and Debian's packages `dnsmasq-base`, `ipxe` and `iproute2`:
//! `cargo test -p pagemark-host --test qemu -- --ignored served`.

use std::path::Path;
use std::time::Duration;

use pagemark_host::checkout;
use pagemark_host::image::{firmware, machine_config, netboot};
use pagemark_host::run::{Accelerator, Boot, Door};

use super::{SHORT, image, passed, pvh};

const MAC: &str = "52:54:00:70:6d:01";
const UUID: &str = "7061676d-6172-6b00-8000-000000000001";
/// QEMU's card without the iPXE in its ROM, as a real one has the vendor's: UEFI then uses its own driver.
const NO_ROM: &str = "-global virtio-net-pci.romfile=";
/// UEFI without PXE, which would come first (OVMF's `IPv4PXESupport`).
const HTTP_ALONE: &str = "-fw_cfg name=opt/org.tianocore/IPv4PXESupport,string=no -fw_cfg name=opt/org.tianocore/IPv6PXESupport,string=no";

/// docs/real-machines.md's lines for dnsmasq, on the interface and with the folder of this test.
fn dnsmasq(folder: &Path) -> String {
    let readme =
        std::fs::read_to_string(checkout::root().unwrap().join("docs/real-machines.md")).unwrap();
    let lines = readme
        .split("```")
        .find(|block| block.starts_with("\nport=0\n"));
    lines
        .expect("docs/real-machines.md has lines for dnsmasq")
        .replace("=eth1", "=pagemark")
        .replace("=/srv/pagemark", &format!("={}", folder.display()))
}

/// Boots a machine that has a file of its own, or none; with these words of QEMU's, and this change of dnsmasq's lines.
fn boot(uefi: bool, own: bool, words: &str, change: impl Fn(&Path, String) -> String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let command_line = |machine: &str| {
        let words = [&SHORT[..], &[machine]].concat();
        words.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    netboot(&image(), &command_line("machine=default"), path).unwrap();
    if own {
        let config = machine_config(&command_line("machine=rack7")).unwrap();
        std::fs::write(path.join(format!("machines/{MAC}.cfg")), config).unwrap();
    }
    std::fs::write(path.join("words"), words).unwrap();
    std::fs::write(path.join("dnsmasq.conf"), change(path, dnsmasq(path))).unwrap();
    let log = passed(&Boot {
        qemu: checkout::root()
            .unwrap()
            .join("bench/host/tests/qemu/served"),
        accelerator: Accelerator::Tcg,
        timeout: Duration::from_secs(300),
        door: Door::Network {
            folder: path.to_owned(),
            firmware: uefi.then(|| firmware().unwrap()),
            mac: MAC.to_owned(),
            uuid: UUID.to_owned(),
        },
        ..pvh(&[])
    });
    let machine = if own {
        "machine=rack7"
    } else {
        "machine=default"
    };
    assert!(
        log.start.command_line.ends_with(machine),
        "{}",
        log.start.command_line
    );
}

fn as_it_is(_: &Path, lines: String) -> String {
    lines
}

#[test]
#[ignore = "needs root and dnsmasq"]
fn by_pxe() {
    boot(false, true, "", as_it_is);
    boot(true, true, NO_ROM, as_it_is);
}

#[test]
#[ignore = "needs root and dnsmasq"]
fn by_http() {
    let words = [NO_ROM, HTTP_ALONE].join(" ");
    boot(true, true, &words, as_it_is);
    // The page that the server sends in place of the machine's file is not taken for one.
    boot(true, false, &words, as_it_is);
}

/// iPXE in the card's ROM does as PXE does; started by PXE, it takes the image's loader by HTTP.
#[test]
#[ignore = "needs root, dnsmasq and ipxe"]
fn by_ipxe() {
    boot(true, true, "", as_it_is);
    let chained = |folder: &Path, lines: String| {
        std::fs::copy("/usr/lib/ipxe/ipxe.efi", folder.join("ipxe.efi"))
            .expect("Debian's package ipxe");
        let script = "#!ipxe\nchain http://192.168.70.1/boot/grub/x86_64-efi/core.efi\n";
        std::fs::write(folder.join("pagemark.ipxe"), script).unwrap();
        let tags = "\ndhcp-match=set:ipxe,175\ndhcp-boot=tag:uefi,tag:!ipxe,ipxe.efi\ndhcp-boot=tag:ipxe,http://192.168.70.1/pagemark.ipxe\n";
        lines
            .lines()
            .filter(|line| !line.starts_with("dhcp-boot=tag:uefi"))
            .collect::<Vec<_>>()
            .join("\n")
            + tags
    };
    boot(true, true, NO_ROM, chained);
}
