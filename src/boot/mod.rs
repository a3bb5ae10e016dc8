//! What the loader says, by either door, made into one [`BootInfo`]; and the command line as typed options.
//!
//! `entry` is the code that runs before Rust. What the loader left is input: the readers look at it through
//! [`ReadPhysical`], which is the identity mapping of the boot stretch on the machine and bytes of a test on the host. What makes a
//! run impossible is an error; whatever else is wrong costs what it concerns, and is a complaint.

pub mod command_line;
#[cfg(target_os = "none")]
pub mod entry;
pub mod framebuffer;
pub mod info;
pub mod multiboot2;
pub mod pvh;

pub use info::{BootComplaint, BootError, BootInfo, Loader};

use crate::firmware::physical::ReadPhysical;

/// Reads what the loader left in `memory`: `magic` identifies the boot protocol, `address` is the physical address of its structure.
///
/// # Errors
///
/// What makes a run impossible.
pub fn read<M: ReadPhysical>(
    memory: &M,
    magic: u32,
    address: u32,
) -> Result<BootInfo<'_>, BootError> {
    match magic {
        multiboot2::MAGIC => multiboot2::read(memory, address.into()),
        pvh::MAGIC => pvh::read(memory, address.into()),
        other => Err(BootError::Magic(other)),
    }
}
