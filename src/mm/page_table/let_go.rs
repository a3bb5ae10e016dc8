//! Unmapping what hands nothing back: entries are cleared without a look at them.
//!
//! Whoever unmaps frames that stay somebody else's has no use for the entries' old values: which range it is says the
//! [`Mapping`], and accessed and dirty bits concern only those who reuse a frame. What is left to check is what a store could
//! break. It is in the PD: every entry there has to lead to a PT, not to be a large leaf, and the PT has to have as many
//! present entries as the range, by its count. Any other range is unmapped with a look at every entry, and the error says which
//! is wrong.
//!
//! So a page of the range that was unmapped by its address, behind its owner's back, is found if too few others are mapped
//! beside it. It is a fault in the kernel, not bad input, and debug builds look for it. It leaves the count too low, which is
//! why a PT's entries are looked at before it leaves the tree.

use super::change::{Unmap, change_in_pt};
use super::entry::Entry;
use super::pt::Pt;
use super::{ChangeError, Mapping, PageTable, entries};
use crate::mm::address::{PageSize, VirtAddr};
use crate::mm::hardware::PhysicalMemory;
use crate::mm::tlb::PendingFlush;

impl<M: PhysicalMemory> PageTable<M> {
    /// Takes a mapping apart that owns no frames: nothing but its addresses waits for the flush.
    ///
    /// # Errors
    ///
    /// As for [`unmap_owned`](Self::unmap_owned), but a page that is not mapped any more may go unnoticed.
    #[inline]
    pub fn unmap_borrowed(
        &mut self,
        mapping: Mapping<()>,
    ) -> Result<PendingFlush, (ChangeError, Mapping<()>)> {
        let (start, pages) = (mapping.start(), mapping.pages());
        let result = if let Some(pt) = self.page_in_last_pt(start, pages) {
            change_in_pt(start, pt, Unmap).map(drop)
        } else if self.let_go(start, pages) {
            Ok(())
        } else {
            self.let_go_elsewhere(start, pages)
        };
        match result {
            Ok(()) => Ok(PendingFlush::new(start, pages, PageSize::Size4K)),
            Err(error) => Err((error, mapping)),
        }
    }

    /// Clears the entries of a range that lies in the PD that was edited last, in PTs that have so many pages. `false`, and
    /// nothing changed, of any other.
    #[inline(never)]
    fn let_go(&self, start: VirtAddr, pages: u64) -> bool {
        if let Some(pt) = self.entries_in_last_pt(start, pages) {
            return let_go_of([pt]);
        }
        let range = self.range_in_last_pd(start, pages);
        match range.and_then(|range| self.two_pts_of(range)) {
            Some((one, other)) => let_go_of([one, other]),
            None => self.let_go_of_parts(start, pages),
        }
    }

    /// [`let_go`](Self::let_go) of any number of parts.
    #[inline(never)]
    fn let_go_of_parts(&self, start: VirtAddr, pages: u64) -> bool {
        let Some(range) = self.range_in_last_pd(start, pages) else {
            return false;
        };
        let mut parts = range;
        if !parts.all(|part| part.is_live()) {
            return false;
        }
        for part in range {
            if let Entry::Table(frame) = part.read() {
                clear(self.entries_of(&part, frame));
            }
        }
        true
    }

    /// [`let_go`](Self::let_go) of a range that lies in no PD or not in the one that was edited last, or is not as it should be.
    #[cold]
    #[inline(never)]
    fn let_go_elsewhere(&mut self, start: VirtAddr, pages: u64) -> Result<(), ChangeError> {
        if self.range_in_last_pd(start, pages).is_none() {
            self.remember_pd(start);
            if self.let_go(start, pages) {
                return Ok(());
            }
        }
        // What it owes is no more than is owed for as many pages of 4 KiB.
        self.change(start, pages, Unmap).map(drop)
    }
}

/// Clears the entries of all, if each PT has so many.
#[inline]
fn let_go_of<const N: usize>(pts: [Pt<'_>; N]) -> bool {
    let live = pts
        .iter()
        .all(|pt| pt.live.get() >= pt.entries.len() as u64);
    if live {
        pts.into_iter().for_each(clear);
    }
    live
}

#[inline]
fn clear(pt: Pt<'_>) {
    debug_assert!(
        pt.all_present(),
        "a page was unmapped behind its owner's back"
    );
    entries::clear_many(pt.entries);
    pt.live.sub(pt.entries.len() as u64);
}
