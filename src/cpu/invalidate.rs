//! The instructions that drop translations from this CPU's TLB, and the machine's side of the TLB seam.
//!
//! Intel SDM volume 3, 5.10.4 (which operation invalidates what), and volume 2 for INVLPG and INVPCID.

use core::arch::asm;

use super::features::Features;
use super::registers::{CR4_PGE, cr3, cr4, write_cr3, write_cr4};
use crate::mm::address::{PageSize, VirtAddr};
use crate::mm::hardware::TlbInvalidate;

/// INVLPG: drops the translations of one page, global or not, and this context's paging-structure caches.
#[inline(always)]
pub fn invlpg(address: VirtAddr) {
    // SAFETY: dropping a translation changes no mapping; INVLPG of any address is allowed at CPL 0.
    unsafe { asm!("invlpg [{}]", in(reg) address.0, options(nostack, preserves_flags)) };
}

/// A CR3 reload: drops every translation that is not global.
#[inline(always)]
pub fn reload_cr3() {
    // SAFETY: the value is the one in force.
    unsafe { write_cr3(cr3()) };
}

/// CR4.PGE off and on again: drops every translation, global ones included, of every context.
#[inline(always)]
pub fn toggle_pge() {
    let value = cr4();
    // SAFETY: only PGE changes, and only for two instructions; every other bit is written back as read.
    unsafe {
        write_cr4(value & !CR4_PGE);
        write_cr4(value);
    }
}

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

/// INVPCID of context 0 (the only one while CR4.PCIDE is clear).
///
/// # Safety
///
/// The CPU has INVPCID; elsewhere the instruction is undefined (#UD).
#[inline(always)]
pub unsafe fn invpcid(kind: InvpcidType, address: VirtAddr) {
    let descriptor = [0u64, address.0];
    // SAFETY: the caller vouches for the instruction; the descriptor is 16 bytes with zeros where zeros are required.
    unsafe {
        asm!("invpcid {}, [{}]", in(reg) kind as u64, in(reg) &raw const descriptor, options(nostack, readonly, preserves_flags));
    }
}

/// How this CPU drops everything, global translations included: the cheapest way it has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum FlushAll {
    Invpcid,
    TogglePge,
    /// Without PGE nothing is global, and a CR3 reload drops all.
    ReloadCr3,
}

/// The TLB of the one CPU that runs.
#[derive(Clone, Copy, Debug)]
pub struct LocalTlb {
    flush_all: FlushAll,
}

impl LocalTlb {
    /// The TLB of a CPU with these features.
    #[must_use]
    pub fn new(features: &Features) -> Self {
        let flush_all = if features.invpcid {
            FlushAll::Invpcid
        } else if features.global_pages {
            FlushAll::TogglePge
        } else {
            FlushAll::ReloadCr3
        };
        LocalTlb { flush_all }
    }
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

/// The switch that leaves flushes out, for tests of the proofs that look for them. Only in images that are built for that.
#[cfg(feature = "mutation")]
mod left_out {
    use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    static LEAVE_OUT: AtomicBool = AtomicBool::new(false);
    static LEFT_OUT: AtomicU64 = AtomicU64::new(0);

    /// Whether the flush that is due is left out; counts it if so.
    pub(super) fn this_one() -> bool {
        let leave_out = LEAVE_OUT.load(Ordering::Relaxed);
        LEFT_OUT.fetch_add(u64::from(leave_out), Ordering::Relaxed);
        leave_out
    }

    /// Does `work` with all of its flushes left out, and tells how many those were.
    pub fn leave_out(work: impl FnOnce()) -> u64 {
        let before = LEFT_OUT.load(Ordering::Relaxed);
        LEAVE_OUT.store(true, Ordering::Relaxed);
        work();
        LEAVE_OUT.store(false, Ordering::Relaxed);
        LEFT_OUT.load(Ordering::Relaxed) - before
    }
}

/// Without the feature no flush can be left out, and none costs anything for that.
#[cfg(not(feature = "mutation"))]
mod left_out {
    #[inline(always)]
    pub(super) fn this_one() -> bool {
        false
    }

    /// Does `work`, with all of its flushes.
    pub fn leave_out(work: impl FnOnce()) -> u64 {
        work();
        0
    }
}

pub use left_out::leave_out;

impl TlbInvalidate for LocalTlb {
    #[inline]
    fn flush_pages(&self, start: VirtAddr, pages: u64, size: PageSize) {
        if left_out::this_one() {
            return;
        }
        let mut address = start.0;
        for _ in 0..pages {
            invlpg(VirtAddr(address));
            address += size.bytes();
        }
    }

    #[inline]
    fn flush_all(&self) {
        if left_out::this_one() {
            return;
        }
        match self.flush_all {
            // SAFETY: chosen only where CPUID reports the instruction.
            FlushAll::Invpcid => unsafe { invpcid(InvpcidType::All, VirtAddr(0)) },
            FlushAll::TogglePge => toggle_pge(),
            FlushAll::ReloadCr3 => reload_cr3(),
        }
    }
}
