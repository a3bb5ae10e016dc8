//! The machine's side of the physical-memory seam: a window in which frame `n` lies at `base + n * 4096`.
//!
//! During the boot stretch the window is the identity mapping of the first 4 GiB, from then on the direct map. Frames of high
//! memory, which are not in it, are reached by `HighMemory`.

#[cfg(target_os = "none")]
use super::high_memory::HighMemory;
use crate::mm::address::{PAGE_SHIFT, Pfn, VirtAddr, WORDS_PER_PAGE};
use crate::mm::hardware::{FrameWords, PhysicalMemory};
use core::arch::asm;

/// A linear window onto physical memory.
#[derive(Clone, Copy, Debug)]
pub struct DirectMap {
    base: VirtAddr,
}

impl DirectMap {
    /// The identity mapping that the boot page tables hold.
    pub const IDENTITY: DirectMap = DirectMap { base: VirtAddr(0) };

    /// The window at `base`.
    ///
    /// # Safety
    ///
    /// For as long as the value is used, every frame that is asked for is mapped there, readable and writable.
    #[must_use]
    pub const unsafe fn new(base: VirtAddr) -> Self {
        DirectMap { base }
    }

    /// Where the frame's first byte lies.
    #[inline(always)]
    #[must_use]
    pub const fn address(self, frame: Pfn) -> VirtAddr {
        VirtAddr(self.base.0 + (frame.0 << PAGE_SHIFT))
    }
}

// SAFETY: the window is linear and stays, so each frame has one address in it; high memory has its own way.
unsafe impl PhysicalMemory for DirectMap {
    #[inline(always)]
    unsafe fn words(&self, frame: Pfn) -> &FrameWords {
        // SAFETY: the frame is mapped here (the constructor's promise), 4 KiB aligned, and shared as atomics (the caller's).
        unsafe { &*(self.address(frame).0 as *const FrameWords) }
    }

    // A process has no high memory.
    #[cfg(target_os = "none")]
    #[inline]
    unsafe fn with_words<R>(&self, frame: Pfn, work: impl FnOnce(&FrameWords) -> R) -> R {
        match HighMemory::of(frame) {
            // SAFETY: the caller's promise is the same.
            Some(high) => unsafe { high.with_words(frame, work) },
            // SAFETY: what is not high memory is covered; the rest is the caller's promise.
            None => work(unsafe { self.words(frame) }),
        }
    }

    /// REP STOSQ: the fewest instructions, and fast on every CPU that has ERMS.
    #[inline]
    unsafe fn zero(&self, frame: Pfn) {
        let clear = |words: &FrameWords| {
            // SAFETY: the caller owns the frame alone; the direction flag is clear by the ABI.
            unsafe {
                asm!(
                    "rep stosq",
                    inout("rcx") WORDS_PER_PAGE => _,
                    inout("rdi") words.as_ptr() => _,
                    in("rax") 0,
                    options(nostack, preserves_flags),
                );
            }
        };
        // SAFETY: the caller's promise is the same.
        unsafe { self.with_words(frame, clear) }
    }
}
