//! The memory system, in floors. Each uses only those below it, and modules of one floor do not use each other, but for `tlb`,
//! which has its atomics from `shootdown`.
//!
//! ```text
//! 9  shared       kernel memory and vmalloc for all CPUs at once: a part for each over one lock
//! 8  vmalloc      areas of the vmalloc region, population, freeing
//! 7  kernel_map   frames, page table and TLBs put together; the kernel's own map: identity (boot only), direct map,
//!                 image (W^X), stacks
//!    kmap         a window onto frames outside the direct map; many share one flush
//!    fixmap       slots at addresses known at compile time
//! 6  address_space  roots of their own, whose kernel half follows the kernel's page table
//! 5  page_table   format: what an entry is; walk: one cursor over a range; edit: map, unmap, protect, each once
//! 4  tlb          what must be flushed, where, and when
//!    shootdown    a flush on every CPU: two protocols
//! 3  frame        frame descriptors; zones by three back ends, two behind a lock and one without; per-CPU caches
//! 2  layout       where every virtual region lies; pure arithmetic
//! 1  memory_map   the loader's map made sane; pure
//! 0  address      physical and virtual addresses, frame numbers, orders: the words all floors share
//!    slots        a vector in borrowed memory
//!    hardware     two seams to the machine: physical memory as bytes, and TLB invalidation. The third is `shootdown::Cpus`: the
//!                 other CPUs
//!    left_out     flushes left out, which proofs have to notice
//! ```
//!
//! All of it compiles on the host, where `model` stands in for the hardware in tests. `docs/architecture.md` follows a page through
//! the floors.

pub mod address;
pub mod address_space;
pub mod fixmap;
pub mod frame;
pub mod hardware;
pub mod kernel_map;
pub mod kmap;
pub mod layout;
pub mod left_out;
pub mod memory_map;
#[cfg(test)]
mod model;
pub mod page_table;
pub mod shared;
pub mod shootdown;
pub mod slots;
pub mod tlb;
pub mod vmalloc;
