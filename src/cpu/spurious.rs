//! Spurious page faults: the TLB forbade what the table allows by now.
//!
//! Where an entry comes to allow more, no flush is owed: a CPU may still act on what it has in the TLB, but then the fault itself
//! drops that, and the access is done again (Intel SDM volume 3, 5.10.4.3; Linux's `spurious_kernel_fault`).

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::address_space;
use super::probe::PageFaultError;
use crate::mm::address::VirtAddr;

static SEEN: AtomicU64 = AtomicU64::new(0);

/// Spurious page faults so far.
#[must_use]
pub fn seen() -> u64 {
    SEEN.load(Relaxed)
}

/// Whether an access of the kernel to its own half, which faulted like this, is allowed by the reference table as it is now.
///
/// A fault for another reason than presence, writing or fetching never is: doing the access again would not end it.
#[must_use]
pub fn is_spurious(address: VirtAddr, error: PageFaultError) -> bool {
    let known = PageFaultError::PRESENT | PageFaultError::WRITE | PageFaultError::FETCH;
    if !error.contains(PageFaultError::PRESENT) || !known.contains(error) {
        return false;
    }
    let allowed = address_space::reference().and_then(|table| table.protection(address));
    allowed.is_some_and(|allowed| {
        (!error.contains(PageFaultError::WRITE) || allowed.is_writable())
            && (!error.contains(PageFaultError::FETCH) || allowed.is_executable())
    })
}

/// For the page fault: whether it was spurious, so that the access can be done again.
pub(super) fn retry(address: VirtAddr, error: u64) -> bool {
    let spurious = is_spurious(address, PageFaultError::from_bits_retain(error));
    SEEN.fetch_add(u64::from(spurious), Relaxed);
    spurious
}
