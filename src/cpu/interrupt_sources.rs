//! Masks what could interrupt at its source.
//!
//! With RFLAGS.IF clear nothing interrupts, but an interrupt that is pending meanwhile can slow the CPU down (nanoBench found
//! it on Ice Lake). So the sources themselves are masked: the two 8259s and the I/O APICs here, what the local APIC has in
//! [`apic::local_vectors`](super::apic::local_vectors). Nothing that is masked here was ever switched on by the image: it is what firmware and loader left.

use x86::io::outb;

use crate::mm::address::VirtAddr;
use crate::mmio;

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
