//! What the loader told us, by either door, made into one [`BootInfo`]; and the command line as typed options.
//!
//! `entry` is the code that runs before Rust. The readers look at physical memory through the identity mapping of the boot
//! stretch; on the host the same code reads structures that a test has built.

pub mod command_line;
#[cfg(target_os = "none")]
pub mod entry;
pub mod framebuffer;
pub mod info;
pub mod multiboot2;
pub mod pvh;

pub use info::{BootError, BootInfo, Loader};

/// Reads what the loader left: `magic` tells the door, `address` is the physical address of its structure.
///
/// # Errors
///
/// What is wrong with the boot information.
///
/// # Safety
///
/// `magic` and `address` are what the loader handed over, its structures are as it left them, and the first
/// [`info::IDENTITY_END`] bytes of memory can be read at their own addresses.
pub unsafe fn read(magic: u32, address: u32) -> Result<BootInfo, BootError> {
    match magic {
        // SAFETY: the caller's promise.
        multiboot2::MAGIC => unsafe { multiboot2::read(u64::from(address)) },
        // SAFETY: the caller's promise.
        pvh::MAGIC => unsafe { pvh::read(u64::from(address)) },
        other => Err(BootError::Magic(other)),
    }
}
