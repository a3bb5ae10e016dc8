//! The machine of a Linux process: what stands behind the seams of [`mm`](crate::mm) where there is no ring 0.
//!
//! ```text
//! machine        brings it up, and hands the application one `Machine`
//! arena          physical memory: one mapping, in which frame n lies at offset n * 4096
//! tlb            the TLB seam: counts and checks each flush, logs it, and executes none
//! invalidate     the seam under the name that the CPU's instructions have
//! walk           a page walk in software, as a CPU does it: present, permissions, accessed and dirty bits
//! address_space  the root that such a walk begins at
//! probe          accesses by virtual address, for proofs: through that walk and a TLB that forgets only what was flushed
//! pages          memory of the process itself, where a case has to access an area's pages directly
//! cpus           CPUs: threads, each pinned to a core
//! per_cpu        what each CPU has of its own
//! log            the log, on standard output
//! ```
//!
//! The modules have the names and the functions of those that they stand in for, so that the application is the same source. No table
//! of the suite is ever in CR3: an address of the layout means nothing to the CPU, and cases that access one directly are not run.

pub mod address_space;
pub mod arena;
pub mod cpus;
pub mod invalidate;
pub mod log;
pub mod machine;
pub mod pages;
pub mod per_cpu;
pub mod probe;
pub mod tlb;
pub mod walk;
