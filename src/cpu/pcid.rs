//! Process-context identifiers: translations of several roots side by side in one TLB (Intel SDM volume 3, 5.10.1).

use super::features::Features;
use super::registers::{cr4, write_cr3, write_cr4};
use crate::mm::address::Pfn;
use crate::mm::tlb::Pcid;

/// CR4.PCIDE, bit 17: bits 11 to 0 of CR3 are the PCID.
const CR4_PCIDE: u64 = 1 << 17;
/// Bit 63 of what is written to CR3: the translations of the PCID stay.
const KEEP: u64 = 1 << 63;

/// Switches PCIDs on, if this CPU has them. Without global pages it does not: the kernel's own translations would then be kept
/// in every context apart, and dropped from one alone.
///
/// # Safety
///
/// Bits 11 to 0 of CR3 are clear.
pub unsafe fn enable(features: &Features) {
    if features.pcid && features.global_pages {
        // SAFETY: the CPU has the bit, and the rest is the caller's promise.
        unsafe { switch_on() };
    }
}

/// Switches PCIDs on: on a CPU like another one that has [them on](enabled).
///
/// # Safety
///
/// The CPU has PCIDs and runs in 64-bit mode. Bits 11 to 0 of CR3 are clear.
pub unsafe fn switch_on() {
    // SAFETY: the CPU has the bit, in 64-bit mode it may be set, and CR3 names PCID 0 (the caller's promise).
    unsafe { write_cr4(cr4() | CR4_PCIDE) };
}

/// Whether this CPU keeps the translations of several roots apart.
#[must_use]
pub fn enabled() -> bool {
    cr4() & CR4_PCIDE != 0
}

/// Puts a root into CR3 under a PCID. Its translations that are not global stay with `keep`, and are dropped without.
///
/// # Safety
///
/// The root maps the running code, its stack and all that is reachable, as they are mapped now. With anything but PCID 0, or
/// with `keep`, PCIDs are [`enabled`]; with `keep`, no translation of this PCID contradicts the root's tables.
#[inline(always)]
pub unsafe fn load(root: Pfn, pcid: Pcid, keep: bool) {
    let keep = if keep { KEEP } else { 0 };
    // SAFETY: the caller's promise.
    unsafe { write_cr3(root.address().0 | u64::from(pcid.0) | keep) };
}
