//! Masks what could interrupt at its source.
//!
//! With RFLAGS.IF clear nothing interrupts, but an interrupt that is pending meanwhile can slow the CPU down (nanoBench found
//! it on Ice Lake). So the sources themselves are masked: the two 8259s and the I/O APICs here, what the local APIC has in
//! `apic::local_vectors`. Nothing that is masked here was ever switched on by the image: it is what firmware and loader left.

use volatile::VolatilePtr;
#[cfg(target_os = "none")]
use x86::io::outb;

use crate::mm::address::VirtAddr;
use crate::mmio;

/// Masks every interrupt of the two 8259s. A machine without them does not decode the ports.
#[cfg(target_os = "none")]
pub fn mask_8259() {
    const DATA: [u16; 2] = [0x21, 0xa1];
    for port in DATA {
        // SAFETY: no interrupt of theirs is used.
        unsafe { outb(port, 0xff) };
    }
}

/// Registers of an I/O APIC (82093AA datasheet, 3.2), which are reached through an index and a window.
#[derive(Clone, Copy, Debug)]
pub struct IoApicRegisters(VirtAddr);

/// Registers by index: the version, and two words of each entry.
const VERSION: u32 = 1;
const FIRST_ENTRY: u32 = 0x10;
/// Of an entry's lower word: masked, and delivered as an NMI, on an edge, to a CPU by its number. The CPU is in the highest byte.
const MASKED: u32 = 1 << 16;
const NMI: u32 = 0b100 << 8;

impl IoApicRegisters {
    /// The registers that are mapped there.
    ///
    /// # Safety
    ///
    /// They are an I/O APIC's, mapped uncached for as long as the value is used, and nobody else uses them.
    #[must_use]
    pub const unsafe fn new(registers: VirtAddr) -> Self {
        IoApicRegisters(registers)
    }

    /// The register of this index.
    fn at(self, index: u32) -> VolatilePtr<'static, u32> {
        // SAFETY: the registers are mapped and ours (the promise to `new`).
        let select = unsafe { mmio::at::<u32>(self.0, 0) };
        select.write(index);
        // SAFETY: as above.
        unsafe { mmio::at(self.0, 0x10) }
    }

    /// How many lines it has.
    #[must_use]
    pub fn lines(self) -> u32 {
        (self.at(VERSION).read() >> 16 & 0xff) + 1
    }

    /// Masks every entry.
    pub fn mask(self) {
        for entry in 0..self.lines() {
            self.at(FIRST_ENTRY + 2 * entry)
                .update(|entry| entry | MASKED);
        }
    }

    /// Has an edge of a line be an NMI of the CPU with this number.
    pub fn deliver_nmi(self, line: u32, cpu: u8) {
        let entry = FIRST_ENTRY + 2 * line;
        self.at(entry).write(NMI | MASKED);
        self.at(entry + 1).write(u32::from(cpu) << 24);
        self.at(entry).write(NMI);
    }
}

/// Bytes of an I/O APIC's registers.
pub const IO_APIC_BYTES: u64 = 0x20;
