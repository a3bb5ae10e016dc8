//! Address spaces on the machine: CR3, and the page fault of a root that misses an entry of the reference table.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use spin::Once;

use super::direct_map::DirectMap;
use super::pcid;
use super::probe::PageFaultError;
use super::registers::cr3;
use crate::mm::address::{Pfn, PhysAddr, VirtAddr};
use crate::mm::address_space::Loadable;
use crate::mm::page_table::Reference;
use crate::mm::tlb::{Contexts, Pcid, Switch};

/// Bits 51 to 12 of CR3: the root. Those below are the PCID, or how the root is cached.
const ROOT: u64 = 0x000f_ffff_ffff_f000;

static REFERENCE: Once<Reference<DirectMap>> = Once::new();
/// Entries that page faults have copied.
static PROPAGATED: AtomicU64 = AtomicU64::new(0);

/// Makes `reference` what page faults copy from. The first call counts.
pub fn start(reference: Reference<DirectMap>) {
    REFERENCE.call_once(|| reference);
}

/// What page faults copy from, and look into.
#[must_use]
pub fn reference() -> Option<Reference<DirectMap>> {
    REFERENCE.get().copied()
}

/// Entries that page faults have copied so far.
#[must_use]
pub fn propagated() -> u64 {
    PROPAGATED.load(Relaxed)
}

/// Puts a root into CR3, as PCID 0. Translations of the PCID that are not global are dropped.
///
/// # Safety
///
/// It is the root of the reference table, or of an address space that stays until another one is in use.
pub unsafe fn switch_to(root: Pfn) {
    // SAFETY: every root has the kernel half of the reference table, so what runs now stays mapped as it is.
    unsafe { pcid::load(root, Pcid(0), false) };
}

/// Loads an address space on this CPU, whose contexts these are: what the TLB holds of it stays if it is still true, and is
/// dropped if not.
///
/// # Safety
///
/// The space stays until another root is in use. The contexts are of this CPU, and keep translations apart only if PCIDs are
/// [`enabled`](pcid::enabled); between them and CR3 comes nothing else but [`leave`].
#[inline(always)]
pub unsafe fn enter(space: Loadable<'_>, contexts: &mut Contexts) {
    let (pcid, keep) = match contexts.switch_to(space.context()) {
        Switch::Nothing => return,
        Switch::Keep(pcid) => (pcid, true),
        Switch::Flush(pcid) => (pcid, false),
    };
    // SAFETY: as for `switch_to`; PCIDs are enabled where the contexts say so. What is kept is true, and nothing uses what another
    // CPU changes meanwhile before it is dropped.
    unsafe { pcid::load(space.root(), pcid, keep) };
    if keep && contexts.changed_meanwhile(space.context()) {
        // SAFETY: as above.
        unsafe { pcid::load(space.root(), pcid, false) };
    }
}

/// Loads the reference table, at `root`, again.
///
/// # Safety
///
/// As for [`enter`].
pub unsafe fn leave(root: Pfn, contexts: &mut Contexts) {
    contexts.leave();
    // SAFETY: the reference table maps everything.
    unsafe { switch_to(root) };
}

/// For the page fault: whether the root in CR3 missed an entry for `address` and has got it now, so that the access can be done
/// again. Takes no lock: it may strike anywhere.
pub(super) fn propagate(address: VirtAddr, error: u64) -> bool {
    let error = PageFaultError::from_bits_retain(error);
    if error.intersects(PageFaultError::PRESENT | PageFaultError::USER) {
        return false;
    }
    let root = PhysAddr(cr3() & ROOT).frame();
    let Some(reference) = REFERENCE.get() else {
        return false;
    };
    // SAFETY: what is in CR3 is the reference table or the root of an address space.
    let propagated = root != reference.root() && unsafe { reference.propagate(root, address) };
    PROPAGATED.fetch_add(u64::from(propagated), Relaxed);
    propagated
}
