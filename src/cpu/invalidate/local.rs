//! This CPU's TLB behind the memory system's seam: each flush by the cheapest instruction that the CPU has for it.

use super::instructions::{invlpg, reload_cr3, toggle_pge};
use super::invpcid::{InvpcidType, invpcid};
use crate::cpu::features::Features;
use crate::mm::address::{PageSize, VirtAddr};
use crate::mm::hardware::TlbInvalidate;
use crate::mm::left_out;

/// How this CPU drops everything, global translations included: the cheapest way it has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum FlushAll {
    Invpcid,
    TogglePge,
    /// Without PGE nothing is global, and a CR3 reload drops all.
    ReloadCr3,
}

/// The TLB of the one CPU that runs.
#[derive(Clone, Copy, Debug)]
pub struct LocalTlb {
    flush_all: FlushAll,
}

impl LocalTlb {
    /// The TLB of a CPU with these features.
    #[must_use]
    pub fn new(features: &Features) -> Self {
        let flush_all = if features.invpcid {
            FlushAll::Invpcid
        } else if features.global_pages {
            FlushAll::TogglePge
        } else {
            FlushAll::ReloadCr3
        };
        LocalTlb { flush_all }
    }
}

impl TlbInvalidate for LocalTlb {
    #[inline]
    fn flush_pages(&self, start: VirtAddr, pages: u64, size: PageSize) {
        if left_out::skips_this_flush() {
            return;
        }
        let mut address = start.0;
        for _ in 0..pages {
            invlpg(VirtAddr(address));
            address += size.bytes();
        }
    }

    #[inline]
    fn flush_all(&self) {
        if left_out::skips_this_flush() {
            return;
        }
        match self.flush_all {
            // SAFETY: chosen only where CPUID reports the instruction.
            FlushAll::Invpcid => unsafe { invpcid(InvpcidType::All, 0, VirtAddr(0)) },
            FlushAll::TogglePge => toggle_pge(),
            FlushAll::ReloadCr3 => reload_cr3(),
        }
    }

    #[inline]
    fn flush_context(&self) {
        if !left_out::skips_this_flush() {
            reload_cr3();
        }
    }
}
