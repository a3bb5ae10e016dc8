//! The memory system of this machine: the floors of [`mm`](crate::mm) over the hardware's seams, with the policies that are the
//! default.

use crate::cpu::direct_map::DirectMap;
#[cfg(hosted)]
use crate::hosted::tlb::ProcessTlb as MachineTlb;
use crate::mm::kernel_map::KernelMemory;
use crate::mm::vmalloc::{Contents, GapTree, Lazy, Vmalloc};
#[cfg(target_os = "none")]
use crate::smp::tlbs::MachineTlb;

/// The kernel's memory on this machine.
pub type Kernel = KernelMemory<'static, DirectMap, MachineTlb>;

/// The vmalloc region of this machine.
pub type VmallocRegion = Vmalloc<GapTree<'static, Contents>, Lazy>;
