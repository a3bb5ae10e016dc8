//! The image's file: built by cargo, packed into an ISO with GRUB, and read for its symbols.

mod backtrace;
mod build;
mod grub;
mod inlined;
mod iso;
mod loadable;
mod memory;
mod netboot;
mod no_screen;
mod revision;
mod symbols;

pub use backtrace::{Frame, backtrace};
pub use build::{Origin, Program, TEXT_OFFSETS, Variant, build};
pub use inlined::Inlined;
pub use iso::{Firmware, MenuEntry, firmware, grub_config, grub_file, pack};
pub use memory::NeededMemory;
pub use netboot::{BIOS_FILE, UEFI_FILE, machine_config, netboot};
pub use revision::build_revision;
pub use symbols::Symbols;
