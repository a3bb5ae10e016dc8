//! One page at a time, out of a row of pages whose PT is there: what a single edit or look costs where others follow.
//!
//! An edit of one page is shorter than what a bracket around one operation resolves. So as many operations as the batch, each on the
//! next page of the row, are timed at once: they may overlap as far as the CPU lets them. What each does to its page, and the proof
//! of it, is an [`Edit`].

#[cfg(target_os = "none")]
use pagemark::cpu::invalidate::invlpg;
use pagemark::cpu::probe::PageFaultError;
use pagemark::mm::address::{PAGE_SIZE, PageSize, PhysAddr, VirtAddr};
use pagemark::mm::page_table::{ChangeError, MapError, Protection, Translation};

use super::window::{Contiguous, Window};
use crate::cases::proof;
use crate::harness::case::{Case, Failure, expect_eq};

/// Operations in the smaller bracket.
const BATCH: u32 = 64;
/// Pages of a row.
pub const ROW: u64 = 2 * BATCH as u64;
/// Where in its page the address lies that is translated.
const OFFSET: u64 = 0x123;

type Row<'m> = Window<'m, Contiguous>;

/// What is done to one page.
pub trait Edit: Sized {
    /// Why it may fail.
    type Error: core::error::Error + Copy;
    /// Whether the pages are mapped, and written to, before.
    const MAPPED: bool;
    /// Whether they are mapped afterwards.
    const STAYS: bool;

    /// Forgets what earlier operations found.
    fn begin(&mut self) {}

    /// The last step before the operations, after the pages were read and written to.
    fn ready(&mut self, _row: &mut Row<'_>) -> Result<(), Failure> {
        Ok(())
    }

    /// The operation, on the page with this number, which lies at `page`.
    fn edit(&mut self, row: &mut Row<'_>, page: VirtAddr, number: u64) -> Result<(), Self::Error>;

    /// Proves the operation on one page.
    fn prove(&self, row: &mut Row<'_>, number: u64) -> Result<(), Failure>;
}

/// A row of pages, and which comes next.
pub struct One<'m, E: Edit> {
    row: Row<'m>,
    edit: E,
    next: u64,
    outcome: Result<(), E::Error>,
}

impl<'m, E: Edit> One<'m, E> {
    pub const fn new(row: Row<'m>, edit: E) -> Self {
        One {
            row,
            edit,
            next: 0,
            outcome: Ok(()),
        }
    }

    pub fn into_row(self) -> Row<'m> {
        self.row
    }

    fn unmap(&mut self, start: VirtAddr, pages: u64) -> Result<(), Failure> {
        if pages > 0 {
            let pending = self.row.machine.scratch.unmap(start, pages)?;
            pending.flush(&self.row.machine.kernel.tlb);
        }
        Ok(())
    }
}

impl<E: Edit> Case for One<'_, E> {
    fn prepare(&mut self) -> Result<(), Failure> {
        self.next = 0;
        self.edit.begin();
        if E::MAPPED {
            self.row.map()?;
            // Translations that the operations have to drop; that of the first page, which a proof looks at, is the youngest.
            for number in (0..self.row.pages).rev() {
                self.row.expect_frame(0, number)?;
                self.row.write(number)?;
            }
            self.edit.ready(&mut self.row)?;
        }
        Ok(())
    }

    fn operation(&mut self) {
        let number = self.next;
        self.next = number + 1;
        let page = VirtAddr(self.row.start.0 + number * PAGE_SIZE);
        if let Err(error) = self.edit.edit(&mut self.row, page, number) {
            self.outcome = Err(error);
        }
    }

    fn batch(&self) -> u32 {
        BATCH
    }

    fn verify(&mut self) -> Result<(), Failure> {
        self.outcome?;
        // Also of an operation that was left out.
        self.edit.prove(&mut self.row, 0)
    }

    fn restore(&mut self) -> Result<(), Failure> {
        self.outcome?;
        let (done, pages) = (self.next, self.row.pages);
        let mapped = match (E::MAPPED, E::STAYS) {
            (true, true) => 0..pages,
            (true, false) => done..pages,
            (false, true) => 0..done,
            (false, false) => 0..0,
        };
        self.unmap(self.row.page(mapped.start), mapped.end - mapped.start)
    }
}

/// Maps the page.
pub struct Map;

impl Edit for Map {
    type Error = MapError;
    const MAPPED: bool = false;
    const STAYS: bool = true;

    #[inline(always)]
    fn edit(&mut self, row: &mut Row<'_>, page: VirtAddr, number: u64) -> Result<(), MapError> {
        let frame = row.frame(number);
        let (frames, protection) = (frame..frame.add(1), Protection::READ_WRITE);
        let (scratch, tables) = (&mut row.machine.scratch, &mut row.machine.kernel.tables());
        scratch.map(page, frames, protection, PageSize::Size4K, tables)
    }

    fn prove(&self, row: &mut Row<'_>, number: u64) -> Result<(), Failure> {
        let leaf = row.machine.scratch.translate(row.page(number));
        expect_eq!(
            "a leaf",
            leaf.map(|leaf| leaf.size()),
            Some(PageSize::Size4K)
        );
        row.expect_frame(0, number)?;
        proof::expect_fault(row.page(number + 1), PageFaultError::empty())
    }
}

/// Maps the page to its frame of the second set.
pub struct Remap;

impl Edit for Remap {
    type Error = ChangeError;
    const MAPPED: bool = true;
    const STAYS: bool = true;

    #[inline(always)]
    fn edit(&mut self, row: &mut Row<'_>, page: VirtAddr, number: u64) -> Result<(), ChangeError> {
        let frame = row.second_frame(number);
        let pending = row.machine.scratch.remap(page, frame..frame.add(1))?;
        pending.flush(&row.machine.kernel.tlb);
        Ok(())
    }

    fn prove(&self, row: &mut Row<'_>, number: u64) -> Result<(), Failure> {
        row.expect_frame(1, number)?;
        row.expect_frame(0, number + 1)
    }
}

/// Takes the right to write away.
pub struct Protect;

impl Edit for Protect {
    type Error = ChangeError;
    const MAPPED: bool = true;
    const STAYS: bool = true;

    #[inline(always)]
    fn edit(&mut self, row: &mut Row<'_>, page: VirtAddr, _: u64) -> Result<(), ChangeError> {
        let pending = row.machine.scratch.protect(page, 1, Protection::READ)?;
        pending.flush(&row.machine.kernel.tlb);
        Ok(())
    }

    fn prove(&self, row: &mut Row<'_>, number: u64) -> Result<(), Failure> {
        // SAFETY: a page that can be written to after all is ours.
        unsafe { proof::expect_read_only(row.page(number))? };
        row.write(number + 1)
    }
}

/// Unmaps the page.
pub struct Unmap;

impl Edit for Unmap {
    type Error = ChangeError;
    const MAPPED: bool = true;
    const STAYS: bool = false;

    #[inline(always)]
    fn edit(&mut self, row: &mut Row<'_>, page: VirtAddr, _: u64) -> Result<(), ChangeError> {
        let pending = row.machine.scratch.unmap(page, 1)?;
        pending.flush(&row.machine.kernel.tlb);
        Ok(())
    }

    fn prove(&self, row: &mut Row<'_>, number: u64) -> Result<(), Failure> {
        proof::expect_fault(row.page(number), PageFaultError::empty())?;
        row.expect_frame(0, number + 1)
    }
}

/// Translates an address in the page.
#[derive(Default)]
pub struct Translate(Option<Translation>);

impl Edit for Translate {
    type Error = ChangeError;
    const MAPPED: bool = true;
    const STAYS: bool = true;

    fn begin(&mut self) {
        self.0 = None;
    }

    #[inline(always)]
    fn edit(&mut self, row: &mut Row<'_>, page: VirtAddr, _: u64) -> Result<(), ChangeError> {
        self.0 = row.machine.scratch.translate(VirtAddr(page.0 + OFFSET));
        Ok(())
    }

    fn prove(&self, row: &mut Row<'_>, number: u64) -> Result<(), Failure> {
        let frame = PhysAddr(row.frame(number).address().0 + OFFSET);
        let expected = Translation::new(frame, PageSize::Size4K, Protection::READ_WRITE);
        expect_eq!("the translation", self.0, Some(expected));
        Ok(())
    }
}

/// Finds out whether the page was written to, and starts over.
#[derive(Default)]
pub struct Harvest {
    /// Pages that had been.
    dirty: u64,
}

impl Edit for Harvest {
    type Error = ChangeError;
    const MAPPED: bool = true;
    const STAYS: bool = true;

    fn begin(&mut self) {
        self.dirty = 0;
    }

    #[inline(always)]
    fn edit(&mut self, row: &mut Row<'_>, page: VirtAddr, _: u64) -> Result<(), ChangeError> {
        let dirty = &mut self.dirty;
        let pending = row
            .machine
            .scratch
            .harvest(page, 1, |_, usage| *dirty += u64::from(usage.dirty))?;
        pending.flush(&row.machine.kernel.tlb);
        Ok(())
    }

    fn prove(&self, row: &mut Row<'_>, number: u64) -> Result<(), Failure> {
        let page = row.page(number);
        let dirty = |row: &mut Row<'_>| -> Result<u64, Failure> {
            let mut again = Harvest::default();
            again.edit(row, page, number)?;
            Ok(again.dirty)
        };
        expect_eq!("dirty pages at first", self.dirty, 1);
        // A translation that was kept would let the write pass without setting the bit.
        row.write(number)?;
        expect_eq!("dirty pages after a write", dirty(row)?, 1);
        expect_eq!("dirty pages after none", dirty(row)?, 0);
        Ok(())
    }
}

/// Drops the page's translation, which the TLB has: INVLPG alone, of a translation that is there.
#[cfg(target_os = "none")]
pub struct DropPresent;

#[cfg(target_os = "none")]
impl Edit for DropPresent {
    type Error = ChangeError;
    const MAPPED: bool = true;
    const STAYS: bool = true;

    /// The pages lead to other frames, and the TLB does not know: the drop is owed.
    fn ready(&mut self, row: &mut Row<'_>) -> Result<(), Failure> {
        row.remap_without_flush()
    }

    #[inline(always)]
    fn edit(&mut self, _: &mut Row<'_>, page: VirtAddr, _: u64) -> Result<(), ChangeError> {
        invlpg(page);
        Ok(())
    }

    fn prove(&self, row: &mut Row<'_>, number: u64) -> Result<(), Failure> {
        row.expect_frame(1, number)
    }
}
