//! Tests of the whole allocator, a file for each question.

mod as_it_lies;
#[cfg(not(loom))]
mod at_once;
mod bad_input;
#[cfg(not(loom))]
mod cached_zones;
mod failures;
#[cfg(loom)]
mod interleavings;
mod model;
#[cfg(not(loom))]
mod shared;
mod soak;
#[cfg(not(loom))]
mod tree;
mod validate;
mod vectors;
mod zeroed;
mod zones;

use super::descriptor::ALLOCATED;
use super::*;
use core::iter;
use std::vec::Vec;

/// Metadata on the host, filled with junk as on a machine.
pub(super) struct Storage {
    descriptors: Vec<Descriptor>,
    words: Vec<AtomicU64>,
}

/// A word that looks like an allocated frame to code that reads it too early.
const JUNK: u64 = ALLOCATED;

impl Storage {
    pub(super) fn new<B: Buddy>(ranges: &[FrameRange], zones: &ZoneEnds) -> Storage {
        let size = FrameAllocator::<B>::metadata_size(ranges, zones).unwrap();
        let junk = || {
            let descriptor = Descriptor::default();
            descriptor.set(JUNK);
            descriptor
        };
        Storage {
            descriptors: iter::repeat_with(junk).take(size.descriptors).collect(),
            words: (0..size.words).map(|_| AtomicU64::new(u64::MAX)).collect(),
        }
    }

    pub(super) fn metadata(&mut self) -> Metadata<'_> {
        Metadata {
            descriptors: &mut self.descriptors,
            words: &mut self.words,
        }
    }
}

pub(super) fn order(order: u8) -> Order {
    Order::new(order).unwrap()
}

/// One zone, for tests that are not about zones.
pub(super) const ONE_ZONE: [(ZoneKind, Pfn); 1] = [(ZoneKind::Normal, Pfn(u64::MAX))];

/// The flags of a test that wants the last frame, too.
pub(super) const ALL: Gfp = Gfp::KERNEL.union(Gfp::MEMALLOC);
