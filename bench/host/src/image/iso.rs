//! Packs the image with GRUB into one hybrid ISO: it boots on BIOS and on UEFI, from a CD and from a USB stick.
//!
//! Equal images make ISOs that are equal to the byte, given the same GRUB, xorriso and mtools: all dates are fixed, and so are the
//! identifiers that these tools would draw. GRUB 2.12 is the exception: it writes the time of packing into its own core.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::loadable::loadable;
use super::no_screen::without_screen;

/// GRUB's configuration, as people read and change it.
const CONFIG: &str = include_str!("../../../../boot/grub.cfg");
/// The line of [`CONFIG`] that says which entry starts.
const DEFAULT: &str = "set default=screen\n";

/// The date of an ISO and its files, in seconds since 1970, as reproducible builds name it.
const DATE: &str = "SOURCE_DATE_EPOCH";
/// The one where the environment names none: 1980-01-01, the first that a FAT file system can have.
const DEFAULT_DATE: u32 = 315_532_800;

/// An entry of GRUB's menu.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MenuEntry {
    /// GRUB sets the screen up, where there is one.
    Screen,
    /// GRUB leaves it as it is.
    NoScreen,
}

/// Writes an ISO with `image` to `iso`. GRUB starts this `entry`, and hands the image the words of `command_line`.
pub fn pack(image: &Path, command_line: &[String], entry: MenuEntry, iso: &Path) -> Result<()> {
    let tree = tempfile::tempdir().context("no temporary folder for the ISO's files")?;
    let grub = tree.path().join("boot/grub");
    std::fs::create_dir_all(&grub)?;
    std::fs::write(grub.join("grub.cfg"), grub_config(command_line, entry)?)?;
    for (entry, name) in [
        (MenuEntry::Screen, "pagemark"),
        (MenuEntry::NoScreen, "pagemark-no-screen"),
    ] {
        std::fs::write(
            tree.path().join("boot").join(name),
            grub_file(image, entry)?,
        )?;
    }
    let date = date()?;
    let output = Command::new("grub-mkrescue")
        .arg("-o")
        .args([iso, tree.path()])
        // What xorriso does in the end: it sets the dates of the volume, the UUID by which GRUB finds it, and those of the files.
        .args(["--", "-volume_date", "uuid", &uuid(date)])
        .args(["-volume_date", "all_file_dates", &format!("={date}")])
        // For the rest of xorriso's dates and identifiers, and for the files that mtools copies.
        .env(DATE, date.to_string())
        .output()
        .context("grub-mkrescue cannot be started; scripts/setup.sh installs it")?;
    let messages = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "grub-mkrescue ended with {}:\n{messages}",
        output.status
    );
    // grub-mkrescue builds an ISO for whichever firmware it has the modules.
    for (platform, package) in [
        ("i386-pc", "grub-pc-bin"),
        ("x86_64-efi", "grub-efi-amd64-bin"),
    ] {
        let found = ["/usr/lib/grub", "/usr/share/grub2", "/usr/local/lib/grub"];
        let found = found
            .iter()
            .any(|folder| Path::new(folder).join(platform).is_dir());
        ensure!(
            found,
            "GRUB's modules for {platform} are missing (Debian's package {package}); scripts/setup.sh installs them"
        );
    }
    fix_serial_number(iso, date).with_context(|| format!("{} cannot be changed", iso.display()))
}

/// The date of the ISO, in seconds since 1970.
fn date() -> Result<u32> {
    match std::env::var(DATE) {
        Ok(text) => text
            .parse()
            .with_context(|| format!("{DATE} is {text:?}, not a number of seconds since 1970")),
        Err(_) => Ok(DEFAULT_DATE),
    }
}

/// `date` as xorriso and GRUB write the UUID of an ISO: year, month, day, hour, minute, second and hundredths, by UTC.
fn uuid(date: u32) -> String {
    let date = jiff::Timestamp::from_second(date.into())
        .expect("32 bits of seconds since 1970 are a date");
    date.strftime("%Y%m%d%H%M%S00").to_string()
}

/// Bytes in a sector of an ISO.
const SECTOR: usize = 2048;
/// Where the boot sector of a FAT12 or FAT16 file system has the name of the program that made it: here mtools.
const MAKER: (usize, &[u8]) = (3, b"MTOO");
/// Where it has the signature of the serial number, which follows.
const SERIAL_NUMBER: (usize, &[u8]) = (0x26, &[0x29]);

/// Gives the FAT file system for UEFI inside an ISO the serial number `number`; mformat draws one.
fn fix_serial_number(iso: &Path, number: u32) -> std::io::Result<()> {
    let mut bytes = std::fs::read(iso)?;
    for sector in bytes.chunks_exact_mut(SECTOR) {
        if [MAKER, SERIAL_NUMBER]
            .iter()
            .all(|&(at, mark)| sector[at..].starts_with(mark))
        {
            let (signature, _) = SERIAL_NUMBER;
            sector[signature + 1..][..4].copy_from_slice(&number.to_le_bytes());
        }
    }
    std::fs::write(iso, bytes)
}

/// The file that GRUB loads for this entry of the menu: `image` without what is not loaded.
///
/// # Errors
///
/// `image` cannot be read, or GRUB would not load it.
pub fn grub_file(image: &Path, entry: MenuEntry) -> Result<Vec<u8>> {
    let elf =
        std::fs::read(image).with_context(|| format!("{} cannot be read", image.display()))?;
    let elf = loadable(elf).and_then(|elf| match entry {
        MenuEntry::Screen => Ok(elf),
        MenuEntry::NoScreen => without_screen(elf),
    });
    elf.with_context(|| format!("{} is no image", image.display()))
}

/// GRUB's configuration that starts this `entry`, with the words of `command_line` behind the image's names.
pub fn grub_config(command_line: &[String], entry: MenuEntry) -> Result<String> {
    let mut words = String::new();
    for word in command_line {
        if let Some(odd) = word.chars().find(|character| character.is_control()) {
            bail!("GRUB cannot pass on {word:?}: it holds {odd:?}");
        }
        words += &format!(" '{}'", word.replace('\'', r"'\''"));
    }
    let lines = CONFIG.split_inclusive('\n').map(|line| {
        match (line, line.trim_end().strip_prefix("    multiboot2 ")) {
            (_, Some(image)) => format!("    multiboot2 {image}{words}\n"),
            (DEFAULT, None) if entry == MenuEntry::NoScreen => "set default=no-screen\n".to_owned(),
            _ => line.to_owned(),
        }
    });
    Ok(lines.collect())
}

/// UEFI firmware for QEMU: its code, and the variables it starts with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Firmware {
    /// Read-only.
    pub code: PathBuf,
    /// To be copied: the firmware writes to them.
    pub variables: PathBuf,
}

/// Looks for UEFI firmware where distributions put it: Debian and Ubuntu, Fedora, Arch.
pub fn firmware() -> Result<Firmware> {
    const PLACES: [(&str, &str); 5] = [
        (
            "/usr/share/OVMF/OVMF_CODE_4M.fd",
            "/usr/share/OVMF/OVMF_VARS_4M.fd",
        ),
        (
            "/usr/share/OVMF/OVMF_CODE.fd",
            "/usr/share/OVMF/OVMF_VARS.fd",
        ),
        (
            "/usr/share/edk2/ovmf/OVMF_CODE.fd",
            "/usr/share/edk2/ovmf/OVMF_VARS.fd",
        ),
        (
            "/usr/share/edk2/x64/OVMF_CODE.4m.fd",
            "/usr/share/edk2/x64/OVMF_VARS.4m.fd",
        ),
        (
            "/usr/share/qemu/OVMF_CODE.fd",
            "/usr/share/qemu/OVMF_VARS.fd",
        ),
    ];
    let found = PLACES
        .iter()
        .find(|(code, variables)| Path::new(code).is_file() && Path::new(variables).is_file());
    let Some((code, variables)) = found else {
        let looked: Vec<_> = PLACES.iter().map(|(code, _)| *code).collect();
        bail!(
            "no UEFI firmware for QEMU (Debian's package ovmf; scripts/setup.sh installs it). Looked for {}",
            looked.join(", ")
        );
    };
    Ok(Firmware {
        code: code.into(),
        variables: variables.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_reach_the_image_as_they_are() {
        let words = ["only=tlb/*".to_owned(), "odd=it's $here".to_owned()];
        let config = grub_config(&words, MenuEntry::Screen).unwrap();
        for image in ["pagemark", "pagemark-no-screen"] {
            let line = format!("multiboot2 /boot/{image} 'only=tlb/*' 'odd=it'\\''s $here'\n");
            assert!(config.contains(&line), "{config}");
        }
        assert!(grub_config(&["a=b\nreboot".to_owned()], MenuEntry::Screen).is_err());
    }

    #[test]
    fn a_date_is_written_as_xorriso_reads_it() {
        assert_eq!(uuid(DEFAULT_DATE), "1980010100000000");
        assert_eq!(uuid(1_700_000_000), "2023111422132000");
        assert_eq!(uuid(u32::MAX), "2106020706281500");
    }

    #[test]
    fn only_the_serial_number_of_a_fat_made_by_mtools_changes() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut sectors = vec![[0xee; SECTOR]; 3];
        for sector in &mut sectors[1..] {
            for (at, mark) in [MAKER, SERIAL_NUMBER] {
                sector[at..][..mark.len()].copy_from_slice(mark);
            }
        }
        // A boot sector without a serial number.
        sectors[2][SERIAL_NUMBER.0] = 0x28;
        std::fs::write(file.path(), sectors.concat()).unwrap();
        fix_serial_number(file.path(), 0x0403_0201).unwrap();
        sectors[1][0x27..0x2b].copy_from_slice(&[1, 2, 3, 4]);
        assert!(std::fs::read(file.path()).unwrap() == sectors.concat());
    }

    #[test]
    fn the_entry_that_starts_is_in_the_menu() {
        for (entry, id) in [
            (MenuEntry::Screen, "screen"),
            (MenuEntry::NoScreen, "no-screen"),
        ] {
            let config = grub_config(&[], entry).unwrap();
            assert!(
                config.contains(&format!("\nset default={id}\n")),
                "{config}"
            );
            assert!(config.contains(&format!(" --id {id} {{\n")), "{config}");
        }
    }
}
