//! A zone to measure on: 128 MiB of frames that no machine has, with metadata in real memory.
//!
//! The allocator never touches the frames it manages, so both back ends, whole zones and aged ones, stand side by side on a
//! machine of any size, and every run starts from the same state.

use pagemark::machine::Machine;
use pagemark::mm::address::{FrameRange, Order, Pfn};
use pagemark::mm::frame::{BlockList, Buddy, FrameAllocator, Gfp, SharedFrames, ZoneKind};

use super::metadata::with_metadata;
use crate::harness::case::{Failure, expect_eq};
use crate::harness::random::Random;

/// Frames of the zone.
pub(super) const FRAMES: u64 = 32 << 10;
/// The frames: above anything that the zones below NORMAL could claim.
pub(super) static RANGES: [FrameRange; 1] = [Pfn(1 << 32)..Pfn((1 << 32) + FRAMES)];
const ZONES: [(ZoneKind, Pfn); 1] = [(ZoneKind::Normal, Pfn(u64::MAX))];

/// Runs `work` on a zone whose frames are all free and alive. Afterwards all of them have to be free again.
pub(in crate::cases) fn with_zone<B: Buddy>(
    machine: &mut Machine,
    work: impl for<'z> FnOnce(&SharedFrames<'z, B>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    with_metadata::<B>(machine, &RANGES, &ZONES, |metadata| {
        let mut zone = FrameAllocator::new(&RANGES, &ZONES, metadata)?;
        zone.bring_to_life();
        let zone = SharedFrames::new(zone);
        work(&zone)?;
        let zone = zone.into_inner();
        zone.validate()?;
        expect_eq!("free frames of the zone", zone.free_frames(), FRAMES);
        Ok(())
    })
}

/// Lists that [`Age`] keeps blocks on.
const LISTS: usize = 64;

/// What a zone has lived through: a random mix of allocations and frees of small blocks, the live ones on lists.
pub(super) struct Age {
    lists: [BlockList; LISTS],
    random: Random,
}

impl Age {
    /// Steps until a zone counts as aged.
    pub(super) const STEPS: u32 = 20_000;

    /// Ages a zone.
    pub(super) fn of<B: Buddy>(zone: &SharedFrames<'_, B>) -> Result<Self, Failure> {
        let mut age = Age {
            lists: [const { BlockList::EMPTY }; LISTS],
            random: Random::new(),
        };
        for _ in 0..Self::STEPS {
            age.step(zone)?;
        }
        Ok(age)
    }

    /// Allocates a block of order 0 to 3, smaller ones more often, or frees one, as chance has it: on average half of the
    /// zone is taken.
    pub(super) fn step<B: Buddy>(&mut self, zone: &SharedFrames<'_, B>) -> Result<(), Failure> {
        let random = self.random.next();
        let mut zone = zone.lock();
        let list = &mut self.lists[(random >> 8) as usize % LISTS];
        let taken = FRAMES - zone.free_frames();
        if (random >> 32) % FRAMES >= taken {
            let order = (random >> 16 | 8).trailing_zeros() as u8;
            let block = zone.alloc_pages(Gfp::KERNEL, Order::new(order).unwrap_or(Order::ZERO))?;
            zone.push(list, block)?;
        } else if let Some(block) = zone.pop(list) {
            zone.free(block)?;
        }
        Ok(())
    }

    /// Frees every block.
    pub(super) fn end<B: Buddy>(self, zone: &SharedFrames<'_, B>) -> Result<(), Failure> {
        for list in self.lists {
            zone.lock().free_list(list)?;
        }
        Ok(())
    }
}
