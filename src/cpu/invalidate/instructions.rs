//! What every CPU has: INVLPG, a CR3 reload, CR4.PGE off and on.

use core::arch::asm;

use crate::cpu::registers::{CR4_PGE, cr3, cr4, write_cr3, write_cr4};
use crate::mm::address::VirtAddr;

/// INVLPG: drops the translations of one page, global or not, and this context's paging-structure caches.
#[inline(always)]
pub fn invlpg(address: VirtAddr) {
    // SAFETY: dropping a translation changes no mapping; INVLPG of any address is allowed at CPL 0.
    unsafe { asm!("invlpg [{}]", in(reg) address.0, options(nostack, preserves_flags)) };
}

/// A CR3 reload: drops every translation of the context in force that is not global.
#[inline(always)]
pub fn reload_cr3() {
    // SAFETY: the value is the one in force.
    unsafe { write_cr3(cr3()) };
}

/// CR4.PGE off and on again: drops every translation, global ones included, of every context.
#[inline(always)]
pub fn toggle_pge() {
    let value = cr4();
    // SAFETY: only PGE changes, until the next instruction.
    unsafe { write_cr4(value & !CR4_PGE) };
    // SAFETY: every bit is written back as it was read.
    unsafe { write_cr4(value) };
}

/// Drops everything from this CPU's TLB, global translations included, on a CPU of any kind.
pub fn flush_everything() {
    if cr4() & CR4_PGE == 0 {
        reload_cr3();
    } else {
        toggle_pge();
    }
}

/// Empties this CPU's caches and TLB: what is accessed next comes from memory.
pub fn evict() {
    // SAFETY: WBINVD writes back what it drops.
    unsafe { asm!("wbinvd", options(nostack, preserves_flags)) };
    flush_everything();
}
