//! Floor 7: the kernel's own page table, and the memory that the kernel works with once CR3 holds it.
//!
//! ```text
//! map            the direct map and the image in a new table
//! boot_tables    tables for it, before there is a frame allocator
//! audit          a look at every leaf of a live table
//! memory         afterwards: frames, page table and TLB together, with caches of frames and of tables
//! ```
//!
//! The boot stretch runs on the tables of `boot/entry.s`, which also map the first 4 GiB at their own addresses. The table
//! built here has no such identity half: once CR3 holds it, address 0 faults. This is what 2.4 does by `pagetable_init` and
//! `zap_low_mappings` (the book's section 3.6), but for W^X and for the largest pages.

mod audit;
mod boot_tables;
mod map;
mod memory;

pub use audit::{Audit, writable_code};
pub use boot_tables::BootTables;
pub use map::{KernelMapError, Section, build};
pub use memory::{Aliases, KernelConfig, KernelMemory, KernelTables};
