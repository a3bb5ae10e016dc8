//! Floor 7: kmap, a window of slots through which frames outside the direct map are seen (the book's chapter 9).
//!
//! Only the classic layout has such frames; of all others kmap is their address in the direct map, as in 2.4. A slot is cleared
//! late: one flush for a whole turn of the window instead of one for each kunmap, which is where lazy vunmap comes from.
//! 2.4 sleeps when every slot is in use; there is nobody to wait for here, so that it is an error.

#![forbid(unsafe_code)]

mod window;

#[cfg(test)]
mod tests;

pub use window::Slot;

use core::{error, fmt};

use super::address::{PAGE_SIZE, Pfn, VirtAddr};
use super::hardware::{PhysicalMemory, TlbInvalidate};
use super::layout::{Layout, Region};
use super::page_table::{FixedPt, Protection};
use super::tlb::{PendingFlush, Tlb};
use window::Window;

/// A frame that can be reached at an address until the value is given back. Dropping it leaves the slot in use for ever.
#[must_use = "the slot stays in use unless it is given back"]
#[derive(PartialEq, Eq, Debug)]
pub struct Kmapped {
    address: VirtAddr,
}

impl Kmapped {
    /// Where the frame's first byte lies.
    #[must_use]
    pub const fn address(&self) -> VirtAddr {
        self.address
    }

    /// Gives up the value but not the slot, which [`Kmap::unmap_at`] gives back by its address.
    #[must_use = "the slot stays in use unless somebody remembers its address"]
    pub const fn into_raw(self) -> VirtAddr {
        self.address
    }
}

/// Why a frame was not mapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KmapError {
    /// Every slot has a user.
    Full {
        /// How many there are.
        slots: usize,
    },
    /// The frame lies outside the direct map, and this layout has no window.
    NoWindow {
        /// The frame.
        frame: Pfn,
    },
}

impl fmt::Display for KmapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KmapError::Full { slots } => write!(f, "kmap: all {slots} slots are in use"),
            KmapError::NoWindow { frame } => {
                write!(
                    f,
                    "kmap of {frame:?}, which no window of this layout can show"
                )
            }
        }
    }
}

impl error::Error for KmapError {}

/// Why an address was not given back. Nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KunmapError {
    /// It lies neither in the window nor in the direct map, or is not the start of a page.
    NotKmap {
        /// The address.
        address: VirtAddr,
    },
    /// The slot has no user: given back before, or never mapped.
    NotMapped {
        /// The address.
        address: VirtAddr,
    },
}

impl fmt::Display for KunmapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KunmapError::NotKmap { address } => {
                write!(f, "kunmap of {address}, which is no address of kmap")
            }
            KunmapError::NotMapped { address } => {
                write!(f, "kunmap of {address}, whose slot nobody uses")
            }
        }
    }
}

impl error::Error for KunmapError {}

/// The window, and the direct map beside it.
#[derive(Debug)]
pub struct Kmap<'m, M> {
    direct_map: Region,
    window: Option<(FixedPt<M>, Window<'m>)>,
}

impl<'m, M: PhysicalMemory> Kmap<'m, M> {
    /// kmap in this layout, with the PT of its window, if it has one, and the state of its slots.
    pub fn new(layout: &Layout, window: Option<(FixedPt<M>, &'m mut [Slot])>) -> Self {
        Kmap {
            direct_map: layout.direct_map,
            window: window.map(|(pt, slots)| {
                let count = pt.slots().min(slots.len());
                (pt, Window::new(&mut slots[..count]))
            }),
        }
    }

    /// An address at which the frame can be read and written.
    ///
    /// # Errors
    ///
    /// Every slot is in use, or there are none.
    #[inline]
    pub fn map<I: TlbInvalidate>(
        &mut self,
        frame: Pfn,
        tlb: &Tlb<I>,
    ) -> Result<Kmapped, KmapError> {
        let address = VirtAddr(self.direct_map.start.0.wrapping_add(frame.address().0));
        if self.is_direct_mapped(address) {
            return Ok(Kmapped { address });
        }
        let (pt, window) = self.window.as_mut().ok_or(KmapError::NoWindow { frame })?;
        let slot = match window.use_again(frame) {
            Some(slot) => slot,
            None => {
                let slot = next_slot(pt, window, frame, tlb)?;
                pt.set(slot, frame, Protection::READ_WRITE);
                slot
            }
        };
        Ok(Kmapped {
            address: pt.address(slot),
        })
    }

    /// Gives a mapping back. The slot stays mapped until the window's turn is over.
    #[inline]
    pub fn unmap(&mut self, mapped: Kmapped) -> Result<(), KunmapError> {
        self.unmap_at(mapped.address)
    }

    /// Gives the mapping at `address` back; of an address in the direct map that is nothing.
    ///
    /// # Errors
    ///
    /// It is no address of kmap's, or nobody uses it.
    #[inline]
    pub fn unmap_at(&mut self, address: VirtAddr) -> Result<(), KunmapError> {
        if !address.is_aligned(PAGE_SIZE) {
            return Err(KunmapError::NotKmap { address });
        }
        if self.is_direct_mapped(address) {
            return Ok(());
        }
        let not_kmap = KunmapError::NotKmap { address };
        let (pt, window) = self.window.as_mut().ok_or(not_kmap)?;
        let slot = slot_at(pt, window, address).ok_or(not_kmap)?;
        window
            .release(slot)
            .map_err(|_| KunmapError::NotMapped { address })
    }

    /// Slots that have users.
    #[must_use]
    pub fn used(&self) -> usize {
        self.window.as_ref().map_or(0, |(_, window)| {
            let used = |slot: &usize| window.users(*slot) > 0;
            (0..window.len()).filter(used).count()
        })
    }

    const fn is_direct_mapped(&self, address: VirtAddr) -> bool {
        self.direct_map.start.0 <= address.0 && address.0 < self.direct_map.end.0
    }
}

fn slot_at<M: PhysicalMemory>(
    pt: &FixedPt<M>,
    window: &Window<'_>,
    address: VirtAddr,
) -> Option<usize> {
    let slot = address.0.checked_sub(pt.address(0).0)? / PAGE_SIZE;
    usize::try_from(slot)
        .ok()
        .filter(|&slot| slot < window.len())
}

/// A clear slot for `frame`; where the turn is over, the next one starts with a flush.
fn next_slot<M: PhysicalMemory, I: TlbInvalidate>(
    pt: &FixedPt<M>,
    window: &mut Window<'_>,
    frame: Pfn,
    tlb: &Tlb<I>,
) -> Result<usize, KmapError> {
    if let Some(slot) = window.give(frame) {
        return Ok(slot);
    }
    let mut pending: Option<PendingFlush> = None;
    window.turn(|slot| {
        let cleared = pt.clear(slot);
        pending = Some(match pending.take() {
            Some(pending) => pending.merge(cleared),
            None => cleared,
        });
    });
    if let Some(pending) = pending {
        pending.flush(tlb);
    }
    let slots = window.len();
    window.give(frame).ok_or(KmapError::Full { slots })
}
