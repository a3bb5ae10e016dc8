//! 512 single frames in one request, and given back as one list.

use pagemark::mm::address::Order;
use pagemark::mm::frame::{BlockList, Buddy, BulkError, FreeError, Gfp, SharedFrames};

use crate::harness::case::{Case, Failure, expect_eq};

/// Frames of the request.
const FRAMES: u64 = 512;

fn take<B: Buddy>(zone: &SharedFrames<'_, B>) -> Result<BlockList, BulkError> {
    zone.lock().alloc_bulk(Gfp::KERNEL, FRAMES, Order::ZERO)
}

/// Takes the frames.
pub(super) struct Alloc<'a, 'z, B> {
    pub(super) zone: &'a SharedFrames<'z, B>,
    pub(super) list: Option<Result<BlockList, BulkError>>,
}

impl<B: Buddy> Case for Alloc<'_, '_, B> {
    fn operation(&mut self) {
        self.list = Some(take(self.zone));
    }

    fn verify(&mut self) -> Result<(), Failure> {
        match &self.list {
            Some(Ok(list)) => {
                expect_eq!("blocks on the list", list.blocks(), FRAMES);
                let zone = self.zone.lock();
                expect_eq!("blocks", zone.blocks(list).count() as u64, FRAMES);
                Ok(())
            }
            // `restore` returns the error.
            Some(Err(_)) => Ok(()),
            None => Err(Failure::new(format_args!("no frames were asked for"))),
        }
    }

    fn restore(&mut self) -> Result<(), Failure> {
        if let Some(list) = self.list.take() {
            self.zone.lock().free_list(list?)?;
        }
        Ok(())
    }
}

/// Gives the frames back.
pub(super) struct Free<'a, 'z, B> {
    pub(super) zone: &'a SharedFrames<'z, B>,
    pub(super) list: BlockList,
    pub(super) outcome: Result<(), FreeError>,
    pub(super) free_before: u64,
}

impl<B: Buddy> Case for Free<'_, '_, B> {
    fn prepare(&mut self) -> Result<(), Failure> {
        self.free_before = self.zone.lock().free_frames();
        self.list = take(self.zone)?;
        Ok(())
    }

    fn operation(&mut self) {
        let list = core::mem::replace(&mut self.list, BlockList::EMPTY);
        self.outcome = self.zone.lock().free_list(list);
    }

    fn verify(&mut self) -> Result<(), Failure> {
        let free = self.zone.lock().free_frames();
        expect_eq!("free frames", free, self.free_before);
        Ok(())
    }

    fn restore(&mut self) -> Result<(), Failure> {
        Ok(self.outcome?)
    }
}
