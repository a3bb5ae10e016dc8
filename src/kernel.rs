//! The memory system of this machine: the floors of [`mm`](crate::mm) over the hardware's seams, with the policies that are the
//! default.

use crate::cpu::direct_map::DirectMap;
#[cfg(hosted)]
use crate::hosted::tlb::ProcessTlb as MachineTlb;
use crate::mm::frame::InDescriptor;
use crate::mm::kernel_map::{KernelConfig, KernelMemory};
use crate::mm::page_table::OwnedRange;
use crate::mm::vmalloc::{Contents, GapTree, Lazy, Vmalloc};
#[cfg(target_os = "none")]
use crate::smp::tlbs::MachineTlb;

/// What the kernel's memory is made of on this machine.
#[derive(Debug)]
pub enum OnMachine {}

impl KernelConfig for OnMachine {
    type Memory = DirectMap;
    type Tlb = MachineTlb;
    type Buddy = InDescriptor;
}

/// The kernel's memory on this machine.
pub type Kernel = KernelMemory<'static, OnMachine>;

/// Kernel addresses of this machine, with the right to edit the entries for them.
pub type Addresses = OwnedRange<DirectMap>;

/// The vmalloc region of this machine.
pub type VmallocRegion = Vmalloc<OnMachine, GapTree<'static, Contents>, Lazy>;
