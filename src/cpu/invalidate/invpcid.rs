//! INVPCID: the translations of one context or of all, whichever is in force (Intel SDM volume 2).

use core::arch::asm;

use crate::mm::address::VirtAddr;

/// The types of INVPCID.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub enum InvpcidType {
    /// One address of one context, not global.
    Address = 0,
    /// One context, except global translations.
    Context = 1,
    /// Every context, global translations included.
    All = 2,
    /// Every context, except global translations.
    AllNonGlobal = 3,
}

/// INVPCID. The types that name no context ignore `pcid`, those that name no address ignore `address`.
///
/// # Safety
///
/// The CPU has INVPCID: elsewhere the instruction is undefined (#UD). `pcid` is 0 while CR4.PCIDE is clear, and below 4,096
/// otherwise; for type [`Address`](InvpcidType::Address), `address` is canonical. Anything else raises #GP.
#[inline(always)]
pub unsafe fn invpcid(kind: InvpcidType, pcid: u16, address: VirtAddr) {
    let descriptor = [u64::from(pcid), address.0];
    // SAFETY: the caller's promise; the descriptor is 16 bytes with zeros where zeros are required.
    unsafe {
        asm!("invpcid {}, [{}]", in(reg) kind as u64, in(reg) &raw const descriptor, options(nostack, readonly, preserves_flags));
    }
}
