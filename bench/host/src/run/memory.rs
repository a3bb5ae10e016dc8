//! Whether a machine has the RAM that the image and its loader need, before it is started.

use std::path::Path;

use super::Request;
use crate::image::NeededMemory;

const MIB: u64 = 1 << 20;
/// RAM that UEFI firmware and GRUB need to start the image, in bytes: OVMF 2022.11 (Debian 12) stops or GRUB finds no memory with
/// 48 MiB, and both work with 64.
const UEFI: u64 = 64 * MIB;

/// A machine that is too small.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooLittleMemory {
    /// For the image.
    #[error(
        "--mem: the image needs {} MiB of RAM, {} MiB of them free beside its own {} KiB, and the machine has {} KiB",
        .needed.total().div_ceil(MIB), .needed.free.div_ceil(MIB), .needed.own >> 10, .bytes >> 10
    )]
    Image {
        /// Bytes of the machine.
        bytes: u64,
        /// What its file says.
        needed: NeededMemory,
    },
    /// For the firmware.
    #[error("--mem: UEFI firmware needs {} MiB of RAM, and the machine has {} KiB", UEFI / MIB, .bytes >> 10)]
    Firmware {
        /// Bytes of the machine.
        bytes: u64,
    },
}

impl Request {
    /// Refuses a machine on which `image` cannot start. An image whose file does not say what it needs says so itself.
    ///
    /// # Errors
    ///
    /// The machine has too little RAM.
    pub fn check_memory(&self, image: &Path) -> Result<(), TooLittleMemory> {
        let Some(bytes) = bytes(&self.memory) else {
            return Ok(());
        };
        match NeededMemory::read(image) {
            Some(needed) if bytes < needed.total() => Err(TooLittleMemory::Image { bytes, needed }),
            _ if self.uefi && bytes < UEFI => Err(TooLittleMemory::Firmware { bytes }),
            _ => Ok(()),
        }
    }
}

/// A size as QEMU's `-m` has it, in bytes: without a suffix it is in MiB.
pub(super) fn bytes(size: &str) -> Option<u64> {
    let digits = size.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = match &size[digits.len()..] {
        "k" | "K" => 1 << 10,
        "" | "m" | "M" => MIB,
        "g" | "G" => 1 << 30,
        "t" | "T" => 1 << 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_as_qemu_has_them() {
        for (size, expected) in [
            ("64", Some(64 << 20)),
            ("64k", Some(64 << 10)),
            ("64M", Some(64 << 20)),
            ("2g", Some(2 << 30)),
            ("1T", Some(1 << 40)),
            ("1x", None),
            ("M", None),
            ("99999999999999999999G", None),
        ] {
            assert_eq!(bytes(size), expected, "{size}");
        }
    }

    #[test]
    fn the_numbers_are_reported() {
        let needed = NeededMemory {
            own: (3 << 20) / 2,
            free: 24 << 20,
        };
        let message = TooLittleMemory::Image {
            bytes: 1 << 20,
            needed,
        };
        assert_eq!(
            message.to_string(),
            "--mem: the image needs 26 MiB of RAM, 24 MiB of them free beside its own 1536 KiB, and the machine has 1024 KiB"
        );
    }
}
