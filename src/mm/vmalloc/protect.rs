//! What an area allows (`set_memory_ro`, `_rw`, `_x`), and areas of code.
//!
//! Memory is never writable and executable at once (W^X), by whatever address: before an area becomes executable the direct map's
//! aliases of its frames become read-only, on every CPU, and they become writable again only after every CPU has dropped the
//! executable translations. The frames of an area whose protection was changed are free after the flush, never before.

use super::vfree::is_executable;
use super::{
    Area, AreaSearch, Contents, Freeing, Kind, Owned, ProtectError, Request, Vmalloc, VmallocError,
};
use crate::mm::address::VirtAddr;
use crate::mm::frame::BlockList;
use crate::mm::kernel_map::{KernelConfig, KernelMemory};
use crate::mm::page_table::{Mapping, OwnedRange, Protection};

impl<C: KernelConfig, S: AreaSearch<Contents = Contents>, P: Freeing> Vmalloc<C, S, P> {
    /// Gives all pages of the area that starts at `address` another protection, on every CPU.
    ///
    /// # Errors
    ///
    /// No area of vmalloc starts there, there is no frame for a table that splits a leaf of the direct map, or the area's pages were
    /// unmapped behind vmalloc's back. No protection has changed.
    pub fn protect(
        &mut self,
        address: VirtAddr,
        protection: Protection,
        kernel: &mut KernelMemory<'_, C>,
    ) -> Result<(), ProtectError> {
        let slot = self.areas.slot_of(address);
        let area = slot.and_then(|slot| self.areas.area_at(address, slot));
        let ours = |area: &Owned<'_, Contents>| {
            let contents = area.contents();
            contents.is_some_and(|contents| contents.kind() == Kind::Vmalloc)
        };
        let Some((place, contents)) = area.filter(ours).and_then(Owned::take) else {
            return Err(ProtectError::NoArea { address });
        };
        let (contents, outcome) = match into_flushed(contents, kernel) {
            Ok(mut mapping) => {
                let outcome = protect_pages(&mut self.owned, &mut mapping, protection, kernel);
                (Contents::Flushed(mapping), outcome)
            }
            Err(contents) => (contents, Err(ProtectError::NoArea { address })),
        };
        self.areas.put_back(place, contents);
        outcome
    }

    /// An area of code: it becomes executable once the direct map's aliases of its frames are read-only.
    #[cold]
    #[inline(never)]
    pub(super) fn serve_code(
        &mut self,
        request: Request,
        kernel: &mut KernelMemory<'_, C>,
    ) -> Result<Area, VmallocError> {
        let data = request.protection(Protection::READ);
        let area = self.serve_any(data, true, kernel)?;
        match self.protect(area.start(), request.protection, kernel) {
            Ok(()) => Ok(area),
            Err(error) => {
                // Just allocated, so that it can only go back.
                let _ = self.vfree(area, kernel);
                Err(error.into())
            }
        }
    }
}

/// The mapping of an area of vmalloc as one whose frames wait for the flush.
fn into_flushed<C: KernelConfig>(
    contents: Contents,
    kernel: &mut KernelMemory<'_, C>,
) -> Result<Mapping<BlockList>, Contents> {
    match contents {
        Contents::Frames(mapping) | Contents::Flushed(mapping) => Ok(mapping),
        Contents::Block(mapping) => Ok(mapping.with_backing(|block| {
            let mut list = BlockList::EMPTY;
            // The block is the area's, so that it is no other list's.
            let pushed = kernel.frames.push(&mut list, block);
            debug_assert_eq!(pushed, Ok(()));
            list
        })),
        other => Err(other),
    }
}

/// Gives the pages of an area this protection, and the direct map's aliases what goes with it.
fn protect_pages<C: KernelConfig>(
    owned: &mut OwnedRange<C::Memory>,
    mapping: &mut Mapping<BlockList>,
    protection: Protection,
    kernel: &mut KernelMemory<'_, C>,
) -> Result<(), ProtectError> {
    let [was, becomes] = [is_executable(mapping, kernel), protection.is_executable()];
    if becomes && !was {
        kernel
            .split_aliases(mapping.backing())
            .map_err(ProtectError::Aliases)?;
        kernel
            .protect_aliases(mapping.backing(), Protection::READ)
            .map_err(ProtectError::Pages)?;
    }
    let changed = owned
        .protect_owned(mapping, protection)
        .map(|pending| pending.flush(&kernel.tlb));
    // They stay read-only beside code alone; what failed has left the pages as they were.
    let code = if changed.is_ok() { becomes } else { was };
    if !code && (was || becomes) {
        kernel
            .protect_aliases(mapping.backing(), Protection::READ_WRITE)
            .map_err(ProtectError::Pages)?;
    }
    changed.map_err(ProtectError::Pages)
}
