//! The host's stand-ins for the hardware: an arena of bytes for physical memory, and a TLB ([`tlb`]) that keeps every translation
//! and every way to a table that it is allowed to keep until it is flushed. Tests only.

mod threads;
mod tlb;

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::cell::Cell;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

pub use threads::SharedArena;
pub use tlb::{ModelTlb, Stale};

use super::address::{FrameRange, PAGE_SIZE, Pfn, PhysAddr, VirtAddr};
use super::frame::{FrameAllocator, InDescriptor};
use super::hardware::{FrameWords, PhysicalMemory};
use super::kernel_map::{KernelConfig, KernelMemory};
use super::page_table::{Levels, OwnedRange, PageTable, TableFrames, Tables};
use super::tlb::Tlb;

/// Frames 0 to `frames` as host memory; those from `high` on are high memory, which has no address that stays.
pub struct Arena {
    words: *mut FrameWords,
    frames: u64,
    high: u64,
    /// A frame of high memory is being looked at.
    busy: Cell<bool>,
}

impl Arena {
    /// Memory of `frames` frames, full of zeros.
    pub fn new(frames: u64) -> Self {
        // SAFETY: the layout is not empty.
        let words = unsafe { alloc_zeroed(Self::layout(frames)) }.cast();
        Arena {
            words,
            frames,
            high: frames,
            busy: Cell::new(false),
        }
    }

    /// The same, with high memory from frame `high` on.
    pub fn with_high_memory(frames: u64, high: u64) -> Self {
        let mut arena = Self::new(frames);
        arena.high = high;
        arena
    }

    fn layout(frames: u64) -> Layout {
        Layout::from_size_align((frames * PAGE_SIZE) as usize, PAGE_SIZE as usize).unwrap()
    }

    /// The `count` frames behind the root of [`page_table`](Self::page_table), for tables.
    pub fn tables(&self, count: u64) -> ArenaTables<'_> {
        ArenaTables {
            arena: self,
            next: Pfn(1),
            end: Pfn(1 + count),
        }
    }

    /// A page table whose root is frame 0.
    pub fn page_table(&self) -> PageTable<&Arena> {
        // SAFETY: the arena covers all frames, is zero at the start, and tests share it as atomics only.
        unsafe { PageTable::new(self, Pfn(0), Levels::Four) }
    }

    /// All addresses of [`page_table`](Self::page_table).
    pub fn owned_range(&self) -> OwnedRange<&Arena> {
        // SAFETY: tests have one at a time.
        unsafe { self.page_table().own_all() }
    }

    /// A kernel whose root table is frame 0, whose other frames are those of `frames`, and whose RAM is `ram`.
    pub fn kernel_memory<'a, 'm>(
        &'a self,
        ram: &'m [FrameRange],
        frames: FrameAllocator<'m>,
        tlb: Tlb<&'a ModelTlb>,
    ) -> KernelMemory<'m, ModelConfig<'a>> {
        assert!(
            frames.present_frames() < self.frames,
            "frame 0 is the root table"
        );
        // SAFETY: the arena covers all frames, and tests share them as atomics only.
        unsafe { KernelMemory::new(self, ram, frames, self.page_table(), tlb) }
    }

    /// Reads the word at a physical address.
    pub fn read(&self, address: PhysAddr) -> u64 {
        self.word(address).load(Ordering::Relaxed)
    }

    /// Writes the word at a physical address.
    pub fn write(&self, address: PhysAddr, value: u64) {
        self.word(address).store(value, Ordering::Relaxed);
    }

    fn word(&self, address: PhysAddr) -> &AtomicU64 {
        assert!(address.frame().0 < self.frames, "{address} is not there");
        &self.frame(address.frame())[(address.0 % PAGE_SIZE / 8) as usize]
    }

    /// The words of a frame of the arena.
    fn frame(&self, frame: Pfn) -> &FrameWords {
        assert!(frame.0 < self.frames, "{frame:?} is no frame of the arena");
        // SAFETY: within the allocation, as just checked.
        let words = unsafe { self.words.add(frame.0 as usize) };
        // SAFETY: as above; tests share the arena as atomics only.
        unsafe { &*words }
    }
}

/// The owner of a range that nobody else has: a test has no two owners of one address.
pub fn own<M: PhysicalMemory + Copy>(
    table: &PageTable<M>,
    range: Range<VirtAddr>,
) -> OwnedRange<M> {
    // SAFETY: as said.
    unsafe { table.own_range(&range) }
}

/// What the kernel's memory is made of in tests.
pub struct ModelConfig<'a>(PhantomData<&'a Arena>);

impl<'a> KernelConfig for ModelConfig<'a> {
    type Memory = &'a Arena;
    type Tlb = &'a ModelTlb;
    type Buddy = InDescriptor;
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: allocated with the same layout.
        unsafe { dealloc(self.words.cast(), Self::layout(self.frames)) };
    }
}

// SAFETY: the allocation has room for `frames` frames, checked at each access, and stays until the arena is dropped.
unsafe impl PhysicalMemory for Arena {
    unsafe fn words(&self, frame: Pfn) -> &FrameWords {
        assert!(frame.0 < self.high, "{frame:?} is not covered");
        self.frame(frame)
    }

    unsafe fn with_words<R>(&self, frame: Pfn, work: impl FnOnce(&FrameWords) -> R) -> R {
        let words = self.frame(frame);
        let high = frame.0 >= self.high;
        assert!(!(high && self.busy.replace(true)), "two at a time");
        let result = work(words);
        if high {
            self.busy.set(false);
        }
        result
    }
}

/// Table frames out of a range of the arena, which is zero from the start and never taken back.
pub struct ArenaTables<'a> {
    pub arena: &'a Arena,
    pub next: Pfn,
    pub end: Pfn,
}

impl TableFrames for ArenaTables<'_> {
    fn allocate_tables(&mut self, count: u64) -> Option<Tables> {
        if count > self.end.0 - self.next.0 {
            return None;
        }
        let mut tables = Tables::NONE;
        for _ in 0..count {
            // SAFETY: the frame is zero and nobody else's.
            unsafe { tables.push(self.next, &self.arena) };
            self.next = self.next.add(1);
        }
        Some(tables)
    }

    /// Those that were taken last.
    fn give_back(&mut self, mut tables: Tables) {
        // SAFETY: the frames came from here.
        while let Some(frame) = unsafe { tables.pop(&self.arena) } {
            self.next.0 -= 1;
            assert_eq!(frame, self.next);
        }
    }
}
