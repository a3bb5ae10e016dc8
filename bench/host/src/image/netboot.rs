//! What a TFTP or HTTP server hands out: GRUB for BIOS and for UEFI, its configuration, and the image without what is not loaded.
//!
//! ```text
//! boot/grub/i386-pc/core.0             what a BIOS's PXE starts
//! boot/grub/x86_64-efi/core.efi        what UEFI starts
//! boot/grub/grub.cfg                   the same for both
//! boot/pagemark, pagemark-no-screen    the image
//! machines/default.cfg                 the command line of every machine that has no file of its own
//! ```
//!
//! The folder can be written again, with a new image: files of machines stay as they are.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::{MenuEntry, grub_file};

/// GRUB's configuration, as people read and change it.
const CONFIG: &str = include_str!("../../../../boot/netboot.cfg");
/// What the configuration uses beside what GRUB's core has; the modules that these need come with them.
const MODULES: &str = "normal multiboot2 serial terminal test smbios echo all_video configfile net tftp http reboot halt ls cat";

/// What a BIOS's PXE starts, from the folder.
pub const BIOS_FILE: &str = "boot/grub/i386-pc/core.0";
/// What UEFI starts.
pub const UEFI_FILE: &str = "boot/grub/x86_64-efi/core.efi";

/// Writes the folder with `image`. `command_line` is that of machines without a file of their own; none leaves
/// `machines/default.cfg` as it is, where it is.
///
/// # Errors
///
/// grub-mknetdir or its modules are missing, the folder cannot be written, or a word cannot be passed on.
pub fn netboot(image: &Path, command_line: &[String], folder: &Path) -> Result<()> {
    let unwritable = |path: &Path| format!("{} cannot be written", path.display());
    let machines = folder.join("machines");
    fs::create_dir_all(&machines).with_context(|| unwritable(&machines))?;
    let output = Command::new("grub-mknetdir")
        .arg(format!("--net-directory={}", folder.display()))
        .args(["--subdir=boot/grub", "--fonts=", "--locales=", "--themes="])
        .arg(format!("--install-modules={MODULES}"))
        // Within the core: UEFI's HTTP boot starts it without TFTP.
        .arg("--modules=http")
        .output()
        .context("grub-mknetdir cannot be started; scripts/setup.sh installs it")?;
    let messages = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "grub-mknetdir ended with {}:\n{messages}",
        output.status
    );
    // grub-mknetdir writes what it has the modules for.
    for (file, package) in [
        (BIOS_FILE, "grub-pc-bin"),
        (UEFI_FILE, "grub-efi-amd64-bin"),
    ] {
        ensure!(
            folder.join(file).is_file(),
            "GRUB's modules for {file} are missing (Debian's package {package}); scripts/setup.sh installs them"
        );
    }
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, bytes).with_context(|| unwritable(&path))
    };
    write("boot/grub/grub.cfg", CONFIG.as_bytes())?;
    write("boot/pagemark", &grub_file(image, MenuEntry::Screen)?)?;
    write(
        "boot/pagemark-no-screen",
        &grub_file(image, MenuEntry::NoScreen)?,
    )?;
    if !command_line.is_empty() || !machines.join("default.cfg").exists() {
        write(
            "machines/default.cfg",
            machine_config(command_line)?.as_bytes(),
        )?;
    }
    Ok(())
}

/// The file of one machine, which hands the image the words of `command_line`.
///
/// # Errors
///
/// A word has a character that GRUB makes something of.
pub fn machine_config(command_line: &[String]) -> Result<String> {
    for word in command_line {
        let odd =
            |character: &char| character.is_control() || "\"'\\$`;&|<>{}".contains(*character);
        if let Some(odd) = word.chars().find(odd) {
            bail!("GRUB cannot pass on {word:?}: it holds {odd:?}");
        }
    }
    Ok(format!("set words=\"{}\"\n", command_line.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_passed_on_or_refused() {
        let config = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            machine_config(&words)
        };
        assert_eq!(
            config(&["suite=full", "only=tlb/*"]).unwrap(),
            "set words=\"suite=full only=tlb/*\"\n"
        );
        for odd in ["a=$b", "a=\"b", "a\nb", "a;b", "a=b\\"] {
            assert!(
                config(&[odd])
                    .unwrap_err()
                    .to_string()
                    .contains("cannot pass on"),
                "{odd}"
            );
        }
    }
}
