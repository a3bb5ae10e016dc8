//! vmap and vunmap of frames that do not follow on each other.

use pagemark::mm::address::{PAGE_SIZE, Pfn, VirtAddr};
use pagemark::mm::page_table::Protection;
use pagemark::mm::vmalloc::{Area, AreaSearch, Contents, Freeing, VfreeError, VmapError};

use super::Region;
use crate::cases::proof;
use crate::harness::case::{Case, Failure, expect_eq};

pub(super) struct Vmap<'m, S, P> {
    pub(super) region: Region<'m, S, P>,
    pub(super) frames: &'m [Pfn],
    pub(super) area: Option<Result<Area, VmapError>>,
}

impl<S: AreaSearch<Contents = Contents>, P: Freeing> Case for Vmap<'_, S, P> {
    fn operation(&mut self) {
        let (frames, protection) = (self.frames, Protection::READ_WRITE);
        self.area = Some(
            self.region
                .vmalloc
                .vmap(frames, protection, self.region.kernel),
        );
    }

    /// Every page leads to its own frame, by what can be read there.
    fn verify(&mut self) -> Result<(), Failure> {
        let area = match &self.area {
            Some(Ok(area)) => area,
            // `restore` returns the error.
            Some(Err(_)) => return Ok(()),
            None => return Err(Failure::new(format_args!("nothing was mapped"))),
        };
        for (number, frame) in (0..).zip(self.frames) {
            let address = VirtAddr(area.start().0 + number * PAGE_SIZE);
            // SAFETY: the frames are ours.
            unsafe { proof::write(address, frame.0)? };
            expect_eq!("a word in its frame", self.region.word(address)?, frame.0);
            let page = self.region.vmalloc.vmalloc_to_page(address);
            expect_eq!("the frame", page, Some(*frame));
        }
        Ok(())
    }

    fn restore(&mut self) -> Result<(), Failure> {
        if let Some(area) = self.area.take() {
            self.region.vmalloc.vunmap(area?, self.region.kernel)?;
        }
        Ok(())
    }
}

pub(super) struct Vunmap<'m, S, P> {
    pub(super) region: Region<'m, S, P>,
    pub(super) frames: &'m [Pfn],
    pub(super) start: VirtAddr,
    pub(super) free_before: u64,
    pub(super) area: Option<Area>,
    pub(super) outcome: Result<(), VfreeError>,
}

impl<S: AreaSearch<Contents = Contents>, P: Freeing> Case for Vunmap<'_, S, P> {
    fn prepare(&mut self) -> Result<(), Failure> {
        self.free_before = self.region.frames();
        let protection = Protection::READ_WRITE;
        let area = self
            .region
            .vmalloc
            .vmap(self.frames, protection, self.region.kernel)?;
        self.start = area.start();
        // A translation that has to be dropped.
        proof::read(self.start)?;
        self.area = Some(area);
        Ok(())
    }

    fn operation(&mut self) {
        if let Some(area) = self.area.take() {
            self.outcome = self.region.vmalloc.vunmap(area, self.region.kernel);
        }
    }

    fn verify(&mut self) -> Result<(), Failure> {
        let frames = self.region.frames();
        expect_eq!("frames after vunmap", frames, self.free_before);
        self.region.vmalloc.purge(self.region.kernel);
        self.region
            .expect_absent(self.start, self.frames.len() as u64)
    }

    fn restore(&mut self) -> Result<(), Failure> {
        Ok(self.outcome?)
    }
}
