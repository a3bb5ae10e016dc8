//! Frames outside the direct map: each CPU reaches one at a time, through its own slot of the fixmap (2.4's `kmap_atomic`).

use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use spin::Once;

use super::direct_map::DirectMap;
use super::invalidate::LocalTlb;
use super::per_cpu;
use crate::mm::address::Pfn;
use crate::mm::fixmap::{Fixmap, FixmapSlot};
use crate::mm::hardware::FrameWords;
use crate::mm::page_table::Protection;
use crate::mm::tlb::Tlb;

/// High memory, and the way to it.
#[derive(Debug)]
pub struct HighMemory {
    first: Pfn,
    fixmap: Fixmap<DirectMap>,
    local: Tlb<LocalTlb>,
    /// For each CPU, whether it is at work on a frame.
    busy: [AtomicBool; FixmapSlot::CPUS as usize],
}

static HIGH_MEMORY: Once<HighMemory> = Once::new();

impl HighMemory {
    /// Makes the frames from `first` on reachable. The first call counts.
    pub fn start(first: Pfn, fixmap: Fixmap<DirectMap>, local: Tlb<LocalTlb>) {
        let busy = [const { AtomicBool::new(false) }; FixmapSlot::CPUS as usize];
        HIGH_MEMORY.call_once(|| HighMemory {
            first,
            fixmap,
            local,
            busy,
        });
    }

    /// The way to `frame`, if it is one of high memory.
    #[inline(always)]
    pub fn of(frame: Pfn) -> Option<&'static HighMemory> {
        HIGH_MEMORY.get().filter(|high| frame >= high.first)
    }

    /// Calls `work` with the words of a frame of high memory.
    ///
    /// # Panics
    ///
    /// If `work` does so again: a CPU has one slot. On a CPU that has none, of which a layout with high memory starts no other.
    ///
    /// # Safety
    ///
    /// As for [`crate::mm::hardware::PhysicalMemory::with_words`].
    pub unsafe fn with_words<R>(&self, frame: Pfn, work: impl FnOnce(&FrameWords) -> R) -> R {
        let cpu = per_cpu::current().number();
        assert!(
            !self.busy[cpu].swap(true, Relaxed),
            "{frame:?} of high memory was asked for while another one is in use"
        );
        let Some(slot) = FixmapSlot::of_cpu(cpu as u8) else {
            unreachable!("the fixmap has a slot for each CPU")
        };
        let address = self
            .fixmap
            .set(slot, frame, Protection::READ_WRITE, &self.local);
        // SAFETY: the slot shows the frame until it is cleared below, and no other CPU sets it; the frame is shared as atomics
        // (the caller's promise).
        let result = work(unsafe { &*(address.0 as *const FrameWords) });
        self.fixmap.clear(slot, &self.local);
        self.busy[cpu].store(false, Relaxed);
        result
    }
}
