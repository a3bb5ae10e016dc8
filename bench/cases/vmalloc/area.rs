//! Whole areas: addresses, frames and entries; and on freeing whatever the policy does at once.

use pagemark::cpu::probe::PageFaultError;
use pagemark::mm::address::{PAGE_SIZE, PageSize, VirtAddr};
use pagemark::mm::vmalloc::{Area, AreaSearch, Contents, Freeing, VfreeError, VmallocError};

use super::Region;
use crate::cases::proof;
use crate::harness::case::{Case, Failure, expect_eq};

/// What is called, and with what.
#[derive(Clone, Copy)]
pub(super) enum Call {
    /// `vmalloc`.
    Ordinary(u64),
    /// `vmalloc_huge`.
    Huge(u64),
}

impl Call {
    #[inline(always)]
    fn alloc<S: AreaSearch<Contents = Contents>, P: Freeing>(
        self,
        region: &mut Region<'_, S, P>,
    ) -> Result<Area, VmallocError> {
        match self {
            Call::Ordinary(bytes) => region.vmalloc.vmalloc(bytes, region.kernel),
            Call::Huge(bytes) => region.vmalloc.vmalloc_huge(bytes, region.kernel),
        }
    }
}

pub(super) struct Alloc<'m, S, P> {
    pub(super) region: Region<'m, S, P>,
    pub(super) call: Call,
    pub(super) area: Option<Result<Area, VmallocError>>,
    /// The leaves that must be behind the first page.
    pub(super) size: PageSize,
}

impl<S: AreaSearch<Contents = Contents>, P: Freeing> Case for Alloc<'_, S, P> {
    fn operation(&mut self) {
        self.area = Some(self.call.alloc(&mut self.region));
    }

    /// What is written through the area is in its frames, on every page; the guard page behind it faults.
    fn verify(&mut self) -> Result<(), Failure> {
        let area = match &self.area {
            Some(Ok(area)) => area,
            // `restore` returns the error.
            Some(Err(_)) => return Ok(()),
            None => return Err(Failure::new(format_args!("no area was asked for"))),
        };
        for offset in (0..area.bytes()).step_by(PAGE_SIZE as usize) {
            let address = VirtAddr(area.start().0 + offset);
            let mark = 0x766d_616c_6c6f_0000 + offset;
            // SAFETY: the area is ours.
            unsafe { proof::write(address, mark)? };
            expect_eq!("a word in its frame", self.region.word(address)?, mark);
        }
        let leaf = self.region.kernel.table.translate(area.start());
        expect_eq!("leaf", leaf.map(|leaf| leaf.size()), Some(self.size));
        proof::expect_fault(area.guard_page(), PageFaultError::empty())
    }

    fn restore(&mut self) -> Result<(), Failure> {
        if let Some(area) = self.area.take() {
            self.region.vmalloc.vfree(area?, self.region.kernel)?;
        }
        Ok(())
    }
}

pub(super) struct Free<'m, S, P> {
    pub(super) region: Region<'m, S, P>,
    pub(super) call: Call,
    pub(super) start: VirtAddr,
    pub(super) pages: u64,
    pub(super) free_before: u64,
    pub(super) area: Option<Area>,
    pub(super) outcome: Result<(), VfreeError>,
}

impl<S: AreaSearch<Contents = Contents>, P: Freeing> Case for Free<'_, S, P> {
    fn prepare(&mut self) -> Result<(), Failure> {
        self.free_before = self.region.frames();
        let area = self.call.alloc(&mut self.region)?;
        self.start = area.start();
        self.pages = area.bytes() / PAGE_SIZE;
        // A translation that has to be dropped.
        proof::read(self.start)?;
        self.area = Some(area);
        Ok(())
    }

    fn operation(&mut self) {
        if let Some(area) = self.area.take() {
            self.outcome = self.region.vmalloc.vfree(area, self.region.kernel);
        }
    }

    fn verify(&mut self) -> Result<(), Failure> {
        let frames = self.region.frames();
        expect_eq!("frames after vfree", frames, self.free_before);
        let again = self.region.vmalloc.vfree_at(self.start, self.region.kernel);
        let address = self.start;
        let waits = Err(VfreeError::AlreadyFreed { address });
        if again != waits {
            expect_eq!("a second vfree", again, Err(VfreeError::NoArea { address }));
        }
        self.region.vmalloc.purge(self.region.kernel);
        self.region.expect_absent(self.start, self.pages)
    }

    fn restore(&mut self) -> Result<(), Failure> {
        Ok(self.outcome?)
    }
}
