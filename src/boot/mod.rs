//! What the loader told us, by either door, made into one [`BootInfo`]; and the command line as typed options.
//!
//! `entry` is the code that runs before Rust. The readers look at physical memory through the identity mapping of the boot
//! stretch; on the host the same code reads structures that a test has built.

pub mod command_line;
#[cfg(target_os = "none")]
pub mod entry;
pub mod info;
pub mod multiboot2;
pub mod pvh;

pub use info::{BootError, BootInfo, Loader};
