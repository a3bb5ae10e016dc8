//! INVLPGB and TLBSYNC: AMD's flush of every CPU's TLB at once, without an interrupt (APM volume 3; CPUID 8000_0008H, EBX bit 3).

use core::arch::asm;

use crate::cpu::features::Features;
use crate::mm::address::{PageSize, VirtAddr};
use crate::mm::hardware::TlbInvalidate;
use crate::mm::tlb::portions;

/// RAX bit 0: RAX names a page.
const VIRTUAL_ADDRESS: u64 = 1 << 0;
/// RAX bit 3: global translations, too.
const GLOBAL: u64 = 1 << 3;
/// ECX bit 31: the pages are 2 MiB apart.
const STRIDE_2M: u32 = 1 << 31;

/// INVLPGB with these words. Without ASID and PCID bits in RAX it reaches the translations of all contexts.
///
/// # Safety
///
/// The CPU has the instruction, and the count in ECX does not exceed what CPUID says.
#[inline(always)]
unsafe fn invlpgb(rax: u64, ecx: u32) {
    // SAFETY: the caller's promise; dropping translations changes no mapping.
    unsafe {
        asm!(".byte 0x0f, 0x01, 0xfe", in("rax") rax, in("ecx") ecx, in("edx") 0, options(nostack, preserves_flags));
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
    unsafe { asm!(".byte 0x0f, 0x01, 0xff", options(nostack, preserves_flags)) };
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
        if super::left_out::this_one() {
            return;
        }
        // There is no stride of 1 GiB: such leaves go one by one.
        let (stride, most) = match size {
            PageSize::Size4K => (0, self.most),
            PageSize::Size2M => (STRIDE_2M, self.most),
            PageSize::Size1G => (STRIDE_2M, 1),
        };
        // SAFETY: CPUID reports the instructions (`new`), and how many pages they take.
        unsafe {
            for portion in portions(start, pages, size.bytes(), most) {
                let more = u32::from(portion.pages - 1);
                invlpgb(portion.start.0 | VIRTUAL_ADDRESS | GLOBAL, stride | more);
            }
            tlbsync();
        }
    }

    #[inline]
    fn flush_all(&self) {
        if super::left_out::this_one() {
            return;
        }
        // SAFETY: CPUID reports the instructions (`new`).
        unsafe {
            invlpgb(GLOBAL, 0);
            tlbsync();
        }
    }

    #[inline]
    fn reaches_others(&self) -> bool {
        true
    }
}
