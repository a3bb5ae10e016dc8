//! The memory system, in floors; each knows only those below it.
//!
//! ```text
//! 6  vmalloc      areas of the vmalloc region, population, freeing
//! 5  kernel_map   the kernel's own page table: identity (boot only), direct map, image (W^X), stacks
//!    kmap         a window onto frames outside the direct map; many share one flush
//!    fixmap       slots at addresses known at compile time
//!    address_space  roots of their own, whose kernel half follows the kernel's page table
//! 4  tlb          what must be flushed, where, and when
//!    shootdown    a flush on every CPU: two protocols
//! 3  page_table   entries, levels, cursor over a range; map, unmap, protect, translate
//! 2  frame        frame descriptors, buddy, zones and watermarks, boot-time allocator
//! 1  layout       where every virtual region lies; pure arithmetic
//! 0  memory_map   the loader's map made sane; pure
//! -  address      physical and virtual addresses, frame numbers, orders: the words all floors share
//! -  slots        a vector in borrowed memory
//! -  hardware     the two seams to the machine: physical memory as bytes, and TLB invalidation
//! -  left_out     flushes left out, to put proofs to the proof
//! ```
//!
//! All of it compiles on the host, where `model` stands in for the hardware in tests.

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
pub mod shootdown;
pub mod slots;
pub mod tlb;
pub mod vmalloc;
