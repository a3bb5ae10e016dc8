//! Unmapping what hands nothing back: entries are cleared without a look at each.
//!
//! Who unmaps frames that stay somebody else's has no use for the entries' old values: the [`Mapping`] says which range it is, and
//! accessed and dirty bits concern only those who reuse a frame. What is left to check is what a store could break: every entry of
//! a PD has to lead to a PT, or be a large leaf of the range, and the PT has to have as many present entries as the range, by its
//! count.
//!
//! So a page of the range that was unmapped by its address, behind its owner's back, is found if too few others are mapped
//! beside it. It is a fault in the kernel, not bad input, and debug builds look for it. It leaves the count too low, which is
//! why a PT's entries are looked at before it leaves the tree.

use crate::mm::hardware::PhysicalMemory;
use crate::mm::page_table::edit::change::{Edit, Leaves, Unmap};
use crate::mm::page_table::format::entries;
use crate::mm::page_table::walk::cursor::Look;
use crate::mm::page_table::{ChangeError, Mapping, OwnedRange};
use crate::mm::tlb::PendingFlush;

impl<M: PhysicalMemory> OwnedRange<M> {
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
        match self.change(mapping.start(), mapping.pages(), LetGo) {
            Ok(pending) => Ok(pending),
            Err(error) => Err((error, mapping)),
        }
    }
}

struct LetGo;

impl Edit for LetGo {
    const LOOK: Look = Look::AtCount;

    #[inline]
    fn edit(&mut self, leaves: Leaves<'_>) {
        debug_assert!(
            entries::all_present(leaves.entries),
            "a page was unmapped behind its owner's back"
        );
        Unmap.edit(leaves);
    }
}
