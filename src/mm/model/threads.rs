//! Memory that threads share, for tests with a thread for each CPU. There are no TLBs.

use std::marker::PhantomData;
use std::sync::atomic::AtomicU64;
use std::vec::Vec;

use crate::mm::address::{FrameRange, PageSize, Pfn, VirtAddr, WORDS_PER_PAGE};
use crate::mm::frame::{FrameAllocator, InDescriptor};
use crate::mm::hardware::{FrameWords, PhysicalMemory, TlbInvalidate};
use crate::mm::kernel_map::{KernelConfig, KernelMemory};
use crate::mm::page_table::{Levels, PageTable};
use crate::mm::tlb::Tlb;

/// Frames from number 0 on, full of zeros.
pub struct SharedArena(Vec<FrameWords>);

impl SharedArena {
    pub fn new(frames: u64) -> Self {
        let zero = |_| [const { AtomicU64::new(0) }; WORDS_PER_PAGE];
        SharedArena((0..frames).map(zero).collect())
    }

    /// The first word of a frame.
    pub fn word(&self, frame: Pfn) -> &AtomicU64 {
        &self.0[frame.0 as usize][0]
    }

    /// A page table whose root is frame 0.
    pub fn page_table(&self) -> PageTable<&SharedArena> {
        // SAFETY: all frames are there, zero at the start, and shared as atomics only.
        unsafe { PageTable::new(self, Pfn(0), Levels::Four) }
    }

    /// A kernel whose root table is frame 0, and whose other frames are those of `frames`.
    pub fn kernel_memory<'a, 'm>(
        &'a self,
        ram: &'m [FrameRange],
        frames: FrameAllocator<'m>,
    ) -> KernelMemory<'m, ThreadsConfig<'a>> {
        // SAFETY: all frames are there, and shared as atomics only.
        unsafe { KernelMemory::new(self, ram, frames, self.page_table(), Tlb::new(NoTlb, 33)) }
    }
}

// SAFETY: the frames stay where they are.
unsafe impl PhysicalMemory for SharedArena {
    unsafe fn words(&self, frame: Pfn) -> &FrameWords {
        &self.0[frame.0 as usize]
    }
}

/// Nothing to flush.
pub struct NoTlb;

impl TlbInvalidate for NoTlb {
    fn flush_pages(&self, _: VirtAddr, _: u64, _: PageSize) {}

    fn flush_all(&self) {}
}

/// What the kernel's memory is made of in tests with threads.
pub struct ThreadsConfig<'a>(PhantomData<&'a SharedArena>);

impl<'a> KernelConfig for ThreadsConfig<'a> {
    type Memory = &'a SharedArena;
    type Tlb = NoTlb;
    type Buddy = InDescriptor;
}
