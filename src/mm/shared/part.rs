//! A CPU's part of the memory system: a cache of frames, and chunks of addresses for the small sizes.

use spin::Mutex;

use super::chunk::{Chunk, Freed};
use crate::mm::address::Order;
use crate::mm::frame::{Batched, FrameCache};
use crate::mm::kernel_map::{KernelConfig, KernelMemory};

/// Sizes that have chunks: blocks of the orders below this.
pub(super) const SIZES: usize = 4;
/// Chunks that a size can have.
pub(super) const CHUNKS: usize = 4;

/// One CPU's part. It has cache lines of its own.
#[repr(align(128))]
pub struct Part<'m, C: KernelConfig> {
    /// What that CPU alone uses. To take it is one exchange, which waits for nobody: who finds it taken does without.
    pub(super) own: Mutex<Own<'m, C::Memory>>,
    /// The places of its chunks that any CPU has freed.
    pub(super) freed: [[Freed; CHUNKS]; SIZES],
}

/// What the CPU of a part alone uses.
pub(super) struct Own<'m, M> {
    pub(super) frames: FrameCache<'m, Batched>,
    pub(super) chunks: [[Option<Chunk<M>>; CHUNKS]; SIZES],
    /// The chunk of each size that served last.
    last: [usize; SIZES],
}

impl<'m, C: KernelConfig> Part<'m, C> {
    /// A part with nothing in it, on a machine of `cpus` CPUs.
    #[must_use]
    pub fn new(kernel: &KernelMemory<'m, C>, cpus: usize) -> Self {
        Part {
            own: Mutex::new(Own {
                frames: FrameCache::over(&kernel.frames, cpus as u64),
                chunks: [const { [const { None }; CHUNKS] }; SIZES],
                last: [0; SIZES],
            }),
            freed: [const { [const { Freed::none() }; CHUNKS] }; SIZES],
        }
    }
}

impl<M> Own<'_, M> {
    /// Takes a place for a block of `order`. Returns the chunk's number and the place's.
    #[inline]
    pub(super) fn take(&mut self, order: Order) -> Option<(usize, usize)> {
        let size = usize::from(order.get());
        let last = self.last[size];
        let place = self.chunks[size][last].as_mut().and_then(Chunk::take);
        match place {
            Some(place) => Some((last, place)),
            None => self.take_elsewhere(size),
        }
    }

    #[cold]
    #[inline(never)]
    fn take_elsewhere(&mut self, size: usize) -> Option<(usize, usize)> {
        for (number, chunk) in self.chunks[size].iter_mut().enumerate() {
            if let Some(place) = chunk.as_mut().and_then(Chunk::take) {
                self.last[size] = number;
                return Some((number, place));
            }
        }
        None
    }
}
