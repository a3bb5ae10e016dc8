//! Five levels of page tables: 57 bits of virtual address instead of 48 (Intel SDM volume 3, 5.1.2, LA57).

use x86::msr::{IA32_GS_BASE, rdmsr, wrmsr};

use super::registers::cr4;

/// CR4.LA57, bit 12: the root is a PML5.
const CR4_LA57: u64 = 1 << 12;

unsafe extern "C" {
    fn enter_five_levels();
}

/// Whether this CPU walks five levels.
#[must_use]
pub fn active() -> bool {
    cr4() & CR4_LA57 != 0
}

/// Puts a fifth level on top of the boot tables. All that they map stays where it is, and so does the direct access to the
/// first 4 GiB. An exception on the way resets the machine.
///
/// # Safety
///
/// The CPU has LA57, and this is the boot stretch of the boot CPU: CR3 holds the boot tables, interrupts are off, and neither
/// global translations nor PCIDs are in use.
pub unsafe fn enter() {
    // SAFETY: every CPU with long mode has the register.
    let gs = unsafe { rdmsr(IA32_GS_BASE) };
    // SAFETY: the caller's promise; the code keeps all registers that a C function has to keep.
    unsafe { enter_five_levels() };
    // SAFETY: GS may lose the upper half of its base outside 64-bit mode; this is the base that it had.
    unsafe { wrmsr(IA32_GS_BASE, gs) };
}
