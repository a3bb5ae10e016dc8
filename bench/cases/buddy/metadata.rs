//! Memory for the metadata of an allocator that is measured: an area of vmalloc, as it may be larger than any block.

use core::slice;
use core::sync::atomic::AtomicU64;

use pagemark::machine::{Machine, pages_of};
use pagemark::mm::address::FrameRange;
use pagemark::mm::frame::{Buddy, Descriptor, FrameAllocator, Metadata, MetadataSize, ZoneEnds};

use crate::harness::case::Failure;

/// Bytes of an allocator's metadata.
pub(super) const fn bytes(size: MetadataSize) -> u64 {
    (size.descriptors * size_of::<Descriptor>() + size.words * size_of::<AtomicU64>()) as u64
}

/// Runs `work` with the metadata of an allocator over `ranges`.
pub(super) fn with_metadata<B: Buddy>(
    machine: &mut Machine,
    ranges: &[FrameRange],
    zones: &ZoneEnds,
    work: impl for<'b> FnOnce(Metadata<'b>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let size = FrameAllocator::<B>::metadata_size(ranges, zones)?;
    with_memory(machine, size, work)
}

/// Runs `work` with memory for metadata of this size.
pub(super) fn with_memory(
    machine: &mut Machine,
    size: MetadataSize,
    work: impl for<'b> FnOnce(Metadata<'b>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let area = machine.vmalloc.vmalloc(bytes(size), &mut machine.kernel)?;
    let pages = pages_of(&area).map_err(|reason| Failure::new(format_args!("{reason}")))?;
    let descriptors = pages.0 as *mut Descriptor;
    let words = descriptors.wrapping_add(size.descriptors).cast();
    let metadata = Metadata {
        // SAFETY: the area is ours until it is freed below, and large enough for the descriptors and then the words; any bits are valid
        // values of both.
        descriptors: unsafe { slice::from_raw_parts_mut(descriptors, size.descriptors) },
        // SAFETY: as above.
        words: unsafe { slice::from_raw_parts_mut(words, size.words) },
    };
    let result = work(metadata);
    machine.vmalloc.vfree(area, &mut machine.kernel)?;
    result
}
