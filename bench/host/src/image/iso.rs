//! Packs the image with GRUB into one hybrid ISO: it boots on BIOS and on UEFI, from a CD and from a USB stick.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::loadable::loadable;
use super::no_screen::without_screen;

/// GRUB's configuration, as people read and change it.
const CONFIG: &str = include_str!("../../../../boot/grub.cfg");
/// The line of [`CONFIG`] that says which entry starts.
const DEFAULT: &str = "set default=screen\n";

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
    let output = Command::new("grub-mkrescue")
        .arg("-o")
        .args([iso, tree.path()])
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
    Ok(())
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
