//! Pages that are mapped by the page fault of their first touch, from frames that were set aside for them.

use spin::Mutex;

use super::direct_map::DirectMap;
use super::probe::PageFaultError;
use crate::mm::address::{FrameRange, PAGE_SIZE, VirtAddr};
use crate::mm::page_table::{FixedPt, Protection};

/// Pages and the frames for them: slot `n` of the PT gets frame `n`.
#[derive(Clone, Debug)]
pub struct Demand {
    /// The PT of the pages, from its first slot on.
    pub pt: FixedPt<DirectMap>,
    /// As many frames as there are pages.
    pub frames: FrameRange,
}

static DEMAND: Mutex<Option<Demand>> = Mutex::new(None);

/// From now on page faults map these pages, in place of those before; `None` for none any more.
///
/// # Safety
///
/// The frames are the caller's, and nobody else writes to them while they are mapped.
pub unsafe fn set(demand: Option<Demand>) {
    *DEMAND.lock() = demand;
}

/// For the page fault: whether the page was one of these and is mapped now, so that the access can be done again.
pub(super) fn map(address: VirtAddr, error: u64) -> bool {
    let error = PageFaultError::from_bits_retain(error);
    if error.intersects(PageFaultError::PRESENT | PageFaultError::USER) {
        return false;
    }
    // Not waited for: the holder of the lock may be what this fault interrupted.
    let Some(guard) = DEMAND.try_lock() else {
        return false;
    };
    let Some(Demand { pt, frames }) = &*guard else {
        return false;
    };
    let slot = address.0.wrapping_sub(pt.address(0).0) / PAGE_SIZE;
    let pages = (frames.end.0 - frames.start.0).min(pt.slots() as u64);
    if slot >= pages || pt.is_set(slot as usize) {
        return false;
    }
    pt.set(
        slot as usize,
        frames.start.add(slot),
        Protection::READ_WRITE,
    );
    true
}
