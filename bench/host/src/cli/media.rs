//! What other machines boot from: `iso` and `netboot`.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;

use super::run::{Image, words};
use crate::image::{self, MenuEntry};
use crate::run;
use crate::style::print;

/// `pagemark iso`.
#[derive(Args, Debug)]
pub struct Iso {
    /// Where to write it [default: target/pagemark/pagemark.iso]; the image for an installed GRUB lies beside it, as .elf
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// A word for the image's command line; may be given again
    #[arg(long, value_name = "KEY=VALUE")]
    pub append: Vec<String>,
    /// Start the menu's second entry, which leaves the screen alone: for a BIOS whose VESA extension stops GRUB
    #[arg(long)]
    pub no_screen: bool,
    /// The image
    #[command(flatten)]
    pub image: Image,
}

/// `pagemark netboot`.
#[derive(Args, Debug)]
#[command(after_help = "\
A machine's command line stands in FOLDER/machines/NAME.cfg, as `set words=\"suite=full machine=rack7\"`; NAME is the address of its network card, 52:54:00:12:34:56, or the UUID in its SMBIOS. machines/default.cfg serves all others. Written again, a folder gets the new image; the files of machines stay.")]
pub struct Netboot {
    /// The folder
    #[arg(value_name = "FOLDER")]
    pub folder: PathBuf,
    /// A word for the command line of machines without a file of their own; may be given again
    #[arg(long, value_name = "KEY=VALUE")]
    pub append: Vec<String>,
    /// The image
    #[command(flatten)]
    pub image: Image,
}

pub(super) fn write_iso(options: Iso) -> Result<u8> {
    let image = options.image.origin().file()?;
    let iso = match options.output {
        Some(path) => path,
        None => run::kept_files()?.join("pagemark.iso"),
    };
    let entry = match options.no_screen {
        true => MenuEntry::NoScreen,
        false => MenuEntry::Screen,
    };
    // For a GRUB that is installed already.
    let elf = iso.with_extension("elf");
    if elf == iso {
        bail!(
            "{}: .elf is the extension of the file beside the ISO",
            iso.display()
        );
    }
    std::fs::write(&elf, image::grub_file(&image, entry)?)
        .with_context(|| format!("{} cannot be written", elf.display()))?;
    image::pack(&image, &words(&options.append), entry, &iso)?;
    print(&format!(
        "{iso}\n\nTo write it to a USB stick, all of which is overwritten (lsblk names the device):\n  \
         sudo dd if={iso} of=/dev/sdX bs=4M conv=fsync status=progress\n\n\
         For a GRUB that is installed already (docs/real-machines.md has the menu entry):\n  \
         sudo cp {elf} /boot/\n",
        iso = iso.display(),
        elf = elf.display()
    ))?;
    Ok(0)
}

pub(super) fn write_netboot(options: Netboot) -> Result<u8> {
    let image = options.image.origin().file()?;
    image::netboot(&image, &words(&options.append), &options.folder)?;
    print(&format!(
        "{folder}\n\nA DHCP server names {bios} for BIOS (client architecture 0) and\n{uefi} for UEFI (7 and 9; 16 by HTTP); a TFTP or HTTP server hands out the folder.\n\
         What each machine runs: {folder}/machines/*.cfg\n",
        folder = options.folder.display(),
        bios = image::BIOS_FILE,
        uefi = image::UEFI_FILE,
    ))?;
    Ok(0)
}
