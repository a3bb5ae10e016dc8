//! Blame: which functions execute how many instructions more in one image than in another, within the samples of a case.
//!
//! QEMU runs the case once more in each image and stops at both ends of every bracket ([`gdb`]). Between these, and nowhere else,
//! it logs each instruction that it executes ([`trace`]): boot, proofs and whatever else a run does are millions of instructions that
//! nobody asks for. The ELF file's debug information names the functions, those among them that the compiler inlined; where it has none,
//! its symbols do.

mod gdb;
mod profile;
mod trace;

pub use profile::{Profile, differences};
pub use trace::profile;
