//! CR0, CR3 and CR4 as raw words.
//!
//! The `x86` crate reads CR4 through a type that drops the bits it does not know, so that writing the value back would clear
//! them; these two registers are therefore read and written here, whole.

use core::arch::asm;

/// CR4.PGE, bit 7: global entries survive a CR3 reload. Clearing it drops every translation, global ones included.
pub const CR4_PGE: u64 = 1 << 7;

/// CR0.CD, bit 30: nothing is cached.
pub const CR0_CD: u64 = 1 << 30;

/// CR0, all bits.
#[must_use]
pub fn cr0() -> u64 {
    let value;
    // SAFETY: reading CR0 at CPL 0 has no effect.
    unsafe { asm!("mov {}, cr0", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// CR3: the physical address of the root table, and with PCID the context in bits 11..0.
#[inline(always)]
#[must_use]
pub fn cr3() -> u64 {
    let value;
    // SAFETY: reading CR3 at CPL 0 has no effect.
    unsafe { asm!("mov {}, cr3", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// Writes CR3.
///
/// # Safety
///
/// `value` names a root table that maps the running code, its stack and all that is reachable, as they are mapped now.
#[inline(always)]
pub unsafe fn write_cr3(value: u64) {
    // SAFETY: the caller's promise. Not `nomem`: accesses must not move across a change of mappings.
    unsafe { asm!("mov cr3, {}", in(reg) value, options(nostack, preserves_flags)) };
}

/// CR4, all bits.
#[inline(always)]
#[must_use]
pub fn cr4() -> u64 {
    let value;
    // SAFETY: reading CR4 at CPL 0 has no effect.
    unsafe { asm!("mov {}, cr4", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// Writes CR4.
///
/// # Safety
///
/// Only bits that the CPU has, and none that the running code depends on, are changed.
#[inline(always)]
pub unsafe fn write_cr4(value: u64) {
    // SAFETY: the caller's promise. Not `nomem`: a change of PGE flushes the TLB.
    unsafe { asm!("mov cr4, {}", in(reg) value, options(nostack, preserves_flags)) };
}
