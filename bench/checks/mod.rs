//! What must hold of the machine itself, whatever is measured: its mappings before the first case, its frames after the last.

pub mod cpus;
pub mod direct_map;
pub mod frames;
pub mod mappings;
pub mod shootdown;
pub mod tables;
pub mod vmalloc;
mod vmallocinfo;
