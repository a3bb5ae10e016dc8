//! Blocks filled with zeros.

use super::*;
use crate::mm::address::{PAGE_SIZE, PhysAddr};
use crate::mm::model::Arena;

#[test]
fn every_byte_of_a_zeroed_block_is_zero_and_no_other() {
    let ranges = [Pfn(1)..Pfn(64)];
    let arena = Arena::new(64);
    let words = || (0..64 * PAGE_SIZE).step_by(8).map(PhysAddr);
    for address in words() {
        arena.write(address, u64::MAX);
    }
    let mut storage = Storage::new::<InDescriptor>(&ranges, &ONE_ZONE);
    let mut allocator: FrameAllocator<'_> =
        FrameAllocator::new(&ranges, &ONE_ZONE, storage.metadata()).unwrap();
    // SAFETY: the arena covers the frames, and they are the allocator's.
    let block = unsafe { allocator.alloc_zeroed(ALL, order(2), &&arena) }.unwrap();
    let first = block.pfn();
    for address in words() {
        let inside = (first..first.add(4)).contains(&address.frame());
        assert_eq!(arena.read(address) == 0, inside, "{address:?}");
    }
    allocator.free(block).unwrap();
    // SAFETY: as above.
    let none = unsafe { allocator.alloc_zeroed(ALL, order(6), &&arena) };
    assert_eq!(none, Err(AllocError::OutOfFrames { order: order(6) }));
    assert_eq!(allocator.free_frames(), 63);
}
