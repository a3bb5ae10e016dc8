//! Accesses that may fault, through the software TLB and page walk: how a check proves that an address is, or is not, mapped as it
//! should be. Memory of the process that a case got from [`super::pages`] is accessed as it is.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

pub use crate::cpu::page_fault::{PageFault, PageFaultError};
use crate::mm::address::{PAGE_SIZE, PhysAddr, VirtAddr};

use super::walk::{Access, walker};
use super::{pages, tlb};

/// A process reads no model-specific register.
#[must_use]
pub const fn read_msr(_: u32) -> Option<u64> {
    None
}

/// A process writes no model-specific register.
///
/// # Safety
///
/// None is needed: nothing is written.
pub const unsafe fn write_msr(_: u32, _: u64) -> bool {
    false
}

/// The word that an access reaches.
fn word(address: VirtAddr, access: Access) -> Result<&'static AtomicU64, PageFault> {
    let place = if pages::contain(address) {
        address
    } else {
        let fault = |error| PageFault { address, error };
        let translation = tlb::translate(address, access).map_err(fault)?;
        if !walker().is_ram(translation.frame) {
            let error = PageFaultError::PRESENT | PageFaultError::RESERVED;
            return Err(fault(access.error() | error));
        }
        let offset = address.0 % PAGE_SIZE;
        walker().place(PhysAddr(translation.frame.address().0 + offset))
    };
    assert!(place.0.is_multiple_of(8), "{address} is no word's");
    // SAFETY: RAM of the arena or pages of the process, mapped for good; words there are shared as atomics by proofs.
    Ok(unsafe { &*(place.0 as *const AtomicU64) })
}

/// Reads the word at `address`, or reports the fault.
///
/// # Errors
///
/// The page fault that the read met.
pub fn read(address: VirtAddr) -> Result<u64, PageFault> {
    word(address, Access::Read).map(|word| word.load(Relaxed))
}

/// Writes the word at `address`, or reports the fault.
///
/// # Errors
///
/// The page fault that the write met.
///
/// # Safety
///
/// If the page is writable, the caller owns the word.
pub unsafe fn write(address: VirtAddr, value: u64) -> Result<(), PageFault> {
    word(address, Access::Write).map(|word| word.store(value, Relaxed))
}

/// Fetches from `address`, or reports the fault. Nothing is executed.
///
/// # Errors
///
/// The page fault that the fetch met.
///
/// # Safety
///
/// None is needed.
pub unsafe fn fetch(address: VirtAddr) -> Result<(), PageFault> {
    let fault = |error| PageFault { address, error };
    tlb::translate(address, Access::Fetch)
        .map(|_| ())
        .map_err(fault)
}
