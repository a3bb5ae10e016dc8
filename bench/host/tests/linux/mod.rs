//! A Debian Linux that tests run programs in, booted under QEMU's translator: the kernel and all that is in its initial file
//! system come from Debian's packages, unpacked under `target/debian`, and from this host's QEMU.
//!
//! The host's own KVM is never used. [`Tree`] is the initial file system, [`Linux`] the machine; the script `run` of a [`Tree`] is
//! what Linux does, by the shell functions of `init`.

mod guest;
mod packages;
mod tree;

pub use guest::{Linux, SILENCE, Said};
pub use packages::Packages;
pub use tree::Tree;
