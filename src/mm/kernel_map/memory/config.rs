//! What a kernel's memory is made of, as types: one parameter in place of three.

use crate::mm::frame::Buddy;
use crate::mm::hardware::{PhysicalMemory, TlbInvalidate};

/// The types that [`KernelMemory`](super::KernelMemory) is put together from: the seams to the machine, and a policy.
pub trait KernelConfig {
    /// Physical memory as bytes.
    type Memory: PhysicalMemory + Copy;
    /// The TLBs of all CPUs.
    type Tlb: TlbInvalidate;
    /// How the frame allocator knows buddies.
    type Buddy: Buddy;
}
