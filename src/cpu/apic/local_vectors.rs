//! The local APIC's own interrupts: its local vector table and the TSC deadline, which are masked for good.

use raw_cpuid::CpuId;
use x86::apic::xapic::{
    XAPIC_LVT_CMCI, XAPIC_LVT_ERROR, XAPIC_LVT_LINT0, XAPIC_LVT_LINT1, XAPIC_LVT_PMI,
    XAPIC_LVT_THERMAL, XAPIC_LVT_TIMER, XAPIC_VERSION,
};
use x86::msr::{IA32_APIC_BASE, IA32_TSC_DEADLINE};

use super::{BASE_ADDRESS, BASE_ENABLED, BASE_X2APIC, msr};
use crate::cpu::probe::{read_msr, write_msr};
use crate::mm::address::{PhysAddr, VirtAddr};
use crate::mmio;

/// Entries in the order of their numbers. Bits 23 to 16 of the version register are the number of the last one that is there.
const LVT: [u32; 7] = [
    XAPIC_LVT_TIMER,
    XAPIC_LVT_LINT0,
    XAPIC_LVT_LINT1,
    XAPIC_LVT_ERROR,
    XAPIC_LVT_PMI,
    XAPIC_LVT_THERMAL,
    XAPIC_LVT_CMCI,
];
const LVT_MASKED: u32 = 1 << 16;

/// The way to the local vector table, which is in the local APIC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LocalVectors {
    /// There is none, or it is off: it interrupts nobody.
    Absent,
    /// A page of registers at this address.
    Page(PhysAddr),
    /// Model-specific registers.
    X2apic,
}

impl LocalVectors {
    /// Bytes of the page.
    pub const BYTES: u64 = 0x400;

    /// This CPU's.
    #[must_use]
    pub fn of_this_cpu() -> Self {
        let has_apic = CpuId::new()
            .get_feature_info()
            .is_some_and(|info| info.has_apic());
        match read_msr(IA32_APIC_BASE).filter(|_| has_apic) {
            Some(base) if base & BASE_ENABLED == 0 => LocalVectors::Absent,
            Some(base) if base & BASE_X2APIC != 0 => LocalVectors::X2apic,
            Some(base) => LocalVectors::Page(PhysAddr(base & BASE_ADDRESS)),
            None => LocalVectors::Absent,
        }
    }

    /// Masks every entry of the local vector table and disarms the deadline. `page` is where the page is mapped, if it is one.
    ///
    /// # Safety
    ///
    /// This is the APIC of the CPU that runs, and `page` maps its registers, uncached.
    pub unsafe fn mask(self, page: Option<VirtAddr>) {
        let has_deadline = CpuId::new()
            .get_feature_info()
            .is_some_and(|info| info.has_tsc_deadline());
        if has_deadline {
            // SAFETY: a deadline of 0 disarms the timer, which nobody uses.
            unsafe { write_msr(IA32_TSC_DEADLINE, 0) };
        }
        match (self, page) {
            (LocalVectors::X2apic, _) => {
                let version = read_msr(msr(XAPIC_VERSION)).unwrap_or(0) as u32;
                for offset in entries(version) {
                    if let Some(entry) = read_msr(msr(offset)) {
                        // SAFETY: the entry stays as it is, but masked.
                        unsafe { write_msr(msr(offset), entry | u64::from(LVT_MASKED)) };
                    }
                }
            }
            (LocalVectors::Page(_), Some(page)) => {
                // SAFETY: the page is mapped (the caller's promise); each entry stays as it is, but masked.
                let register = |offset: u32| unsafe { mmio::at::<u32>(page, offset.into()) };
                for offset in entries(register(XAPIC_VERSION).read()) {
                    register(offset).update(|entry| entry | LVT_MASKED);
                }
            }
            (LocalVectors::Absent | LocalVectors::Page(_), _) => {}
        }
    }
}

/// The offsets of the LVT entries that an APIC of this version has.
fn entries(version: u32) -> impl Iterator<Item = u32> {
    let last = (version >> 16 & 0xff) as usize;
    LVT.into_iter().take(last + 1)
}
