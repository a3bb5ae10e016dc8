//! INVLPGB and TLBSYNC: AMD's flush of every CPU's TLB at once, without an interrupt (APM volume 3; CPUID 8000_0008H, EBX bit 3).

use core::arch::asm;

use crate::cpu::features::Features;
use crate::mm::address::{PageSize, VirtAddr};
use crate::mm::hardware::TlbInvalidate;
use crate::mm::left_out;
use crate::mm::tlb::{Operands, portions};

/// INVLPGB with these words.
///
/// # Safety
///
/// The CPU has the instruction, and the count in ECX does not exceed what CPUID says.
#[inline(always)]
unsafe fn invlpgb(operands: Operands) {
    let Operands { rax, ecx } = operands;
    // SAFETY: the caller's promise; dropping translations changes no mapping.
    unsafe {
        asm!("invlpgb", in("rax") rax, in("ecx") ecx, in("edx") 0, options(nostack, preserves_flags));
    }
}

/// TLBSYNC: waits until all CPUs have done what this CPU's INVLPGBs asked for.
///
/// # Safety
///
/// The CPU has the instruction.
#[inline(always)]
unsafe fn tlbsync() {
    // SAFETY: the caller's promise.
    unsafe { asm!("tlbsync", options(nostack, preserves_flags)) };
}

/// The TLBs of all CPUs of a machine that has INVLPGB.
#[derive(Clone, Copy, Debug)]
pub struct BroadcastTlb {
    /// Pages that one INVLPGB takes.
    most: u16,
}

impl BroadcastTlb {
    /// All TLBs of the machine, if its CPUs have INVLPGB.
    #[must_use]
    pub fn new(features: &Features) -> Option<Self> {
        features.invlpgb.then_some(BroadcastTlb {
            most: features.invlpgb_pages,
        })
    }
}

impl TlbInvalidate for BroadcastTlb {
    #[inline]
    fn flush_pages(&self, start: VirtAddr, pages: u64, size: PageSize) {
        if left_out::skips_this_flush() {
            return;
        }
        for portion in portions(start, pages, size, self.most) {
            // SAFETY: CPUID reports the instruction (`new`), and how many pages it takes.
            unsafe { invlpgb(portion.operands()) };
        }
        // SAFETY: CPUID reports the instruction (`new`).
        unsafe { tlbsync() };
    }

    #[inline]
    fn flush_all(&self) {
        if left_out::skips_this_flush() {
            return;
        }
        // SAFETY: CPUID reports the instruction (`new`).
        unsafe { invlpgb(Operands::ALL) };
        // SAFETY: as above.
        unsafe { tlbsync() };
    }

    #[inline]
    fn reaches_others(&self) -> bool {
        true
    }
}
