//! Masks what could interrupt at its source.
//!
//! With RFLAGS.IF clear nothing interrupts, but an interrupt that is pending meanwhile can slow the CPU down (nanoBench found
//! it on Ice Lake). So the sources themselves are masked: the two 8259s, the local APIC's local vector table, its TSC
//! deadline, and the I/O APICs. Nothing that is masked here was ever switched on by the image: it is what firmware and loader left.

use raw_cpuid::CpuId;
use x86::io::outb;

use super::probe::{read_msr, write_msr};
use crate::mm::address::{PhysAddr, VirtAddr};
use crate::mmio;

/// IA32_APIC_BASE: where the local APIC is, and in which mode (Intel SDM volume 3, 12.4.3).
const APIC_BASE: u32 = 0x1b;
const APIC_BASE_X2APIC: u64 = 1 << 10;
const APIC_BASE_ENABLED: u64 = 1 << 11;
const APIC_BASE_ADDRESS: u64 = 0x000f_ffff_ffff_f000;
/// IA32_TSC_DEADLINE.
const TSC_DEADLINE: u32 = 0x6e0;
/// The first x2APIC register; register `n` at offset `16 n` of the page is MSR 800H + n.
const X2APIC: u32 = 0x800;
/// The version register: bits 23 to 16 are the number of the last LVT entry.
const VERSION: u32 = 0x30;
/// LVT entries in the order of their numbers: timer, LINT0, LINT1, error, performance counters, thermal, CMCI.
const LVT: [u32; 7] = [0x320, 0x350, 0x360, 0x370, 0x340, 0x330, 0x2f0];
const LVT_MASKED: u32 = 1 << 16;

/// Masks every interrupt of the two 8259s. A machine without them does not decode the ports.
pub fn mask_8259() {
    const DATA: [u16; 2] = [0x21, 0xa1];
    for port in DATA {
        // SAFETY: no interrupt of theirs is used.
        unsafe { outb(port, 0xff) };
    }
}

/// Masks every entry of an I/O APIC (82093AA datasheet, 3.2): its registers are reached through an index and a window.
///
/// # Safety
///
/// `registers` maps an I/O APIC's, uncached, and nobody else uses it.
pub unsafe fn mask_io_apic(registers: VirtAddr) {
    const VERSION: u32 = 1;
    const FIRST_ENTRY: u32 = 0x10;
    const MASKED: u32 = 1 << 16;
    // SAFETY: the registers are mapped and ours (the caller's promise); each entry stays as it is, but masked.
    let (index, window) = unsafe {
        (
            mmio::at::<u32>(registers, 0),
            mmio::at::<u32>(registers, 0x10),
        )
    };
    index.write(VERSION);
    let last = window.read() >> 16 & 0xff;
    for entry in 0..=last {
        index.write(FIRST_ENTRY + 2 * entry);
        window.update(|entry| entry | MASKED);
    }
}

/// Bytes of an I/O APIC's registers.
pub const IO_APIC_BYTES: u64 = 0x20;

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
        match read_msr(APIC_BASE).filter(|_| has_apic) {
            Some(base) if base & APIC_BASE_ENABLED == 0 => LocalVectors::Absent,
            Some(base) if base & APIC_BASE_X2APIC != 0 => LocalVectors::X2apic,
            Some(base) => LocalVectors::Page(PhysAddr(base & APIC_BASE_ADDRESS)),
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
            unsafe { write_msr(TSC_DEADLINE, 0) };
        }
        match (self, page) {
            (LocalVectors::X2apic, _) => {
                let register = |offset: u32| X2APIC + offset / 16;
                let version = read_msr(register(VERSION)).unwrap_or(0) as u32;
                for offset in entries(version) {
                    if let Some(entry) = read_msr(register(offset)) {
                        // SAFETY: the entry stays as it is, but masked.
                        unsafe { write_msr(register(offset), entry | u64::from(LVT_MASKED)) };
                    }
                }
            }
            (LocalVectors::Page(_), Some(page)) => {
                // SAFETY: the page is mapped (the caller's promise); each entry stays as it is, but masked.
                let register = |offset: u32| unsafe { mmio::at::<u32>(page, offset.into()) };
                for offset in entries(register(VERSION).read()) {
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
