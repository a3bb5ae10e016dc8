//! What must hold of the machine itself, whatever is measured: its mappings before the first case, its frames after the last.

#[cfg(target_os = "none")]
pub mod cpus;
pub mod direct_map;
pub mod frames;
#[cfg(target_os = "none")]
pub mod mappings;
#[cfg(target_os = "none")]
pub mod shootdown;
pub mod tables;
pub mod vmalloc;
mod vmallocinfo;
#[cfg(target_os = "none")]
pub mod walks;
