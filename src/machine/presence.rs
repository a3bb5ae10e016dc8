//! Whether a frame is RAM, and whether a framebuffer has pixels: what is written there comes back.

use core::arch::asm;

use crate::boot::framebuffer::Framebuffer;
use crate::boot::info::IDENTITY_END;
use crate::cpu::invalidate::invlpg;
use crate::mm::address::{PAGE_SIZE, PageSize, Pfn, VirtAddr};
use crate::mmio;

unsafe extern "C" {
    /// The boot stretch's page directories of the first 4 GiB, one behind the other (`boot/entry.s`).
    static mut boot_pd: [u64; 4 * 512];
}

/// Where higher memory is looked at: the last 2 MiB of the boot stretch's mapping, in which the firmware's ROM lies.
const WINDOW: u64 = IDENTITY_END - WINDOW_BYTES;
const WINDOW_BYTES: u64 = PageSize::Size2M.bytes();
/// A present, writable leaf of 2 MiB.
const LEAF: u64 = 0x83;

/// Whether what is written to the frame comes back. Its content stays as it was.
///
/// # Safety
///
/// Called in the boot stretch, while nobody uses the frame, nor the firmware's ROM.
#[inline(never)]
#[expect(
    clippy::multiple_unsafe_ops_per_block,
    reason = "the entry is changed and put back"
)]
pub(super) unsafe fn answers(frame: Pfn) -> bool {
    let address = frame.address().0;
    if address < WINDOW {
        // SAFETY: the boot stretch maps what lies below; the rest is the caller's promise.
        return unsafe { keeps(address) };
    }
    let offset = address % WINDOW_BYTES;
    // SAFETY: the boot tables are in force and are only changed here; nobody uses the window (the caller's promise), and it is as it was
    // when this returns.
    unsafe {
        let entry = (&raw mut boot_pd)
            .cast::<u64>()
            .add((WINDOW / WINDOW_BYTES) as usize);
        let usual = entry.read_volatile();
        entry.write_volatile((address - offset) | LEAF);
        invlpg(VirtAddr(WINDOW));
        let keeps = keeps(WINDOW + offset);
        entry.write_volatile(usual);
        invlpg(VirtAddr(WINDOW));
        keeps
    }
}

/// Whether the first word of the page keeps what is written to it.
///
/// # Safety
///
/// The page is mapped, writable and nobody's.
#[expect(
    clippy::multiple_unsafe_ops_per_block,
    reason = "the word is changed and put back"
)]
unsafe fn keeps(page: u64) -> bool {
    debug_assert!(page.is_multiple_of(PAGE_SIZE));
    let word = page as *mut u64;
    // SAFETY: the caller's promise. The line is written back and dropped before it is read, as a cache keeps what memory does not.
    unsafe {
        let before = word.read_volatile();
        word.write_volatile(!before);
        asm!("clflush [{}]", "mfence", in(reg) word, options(nostack, preserves_flags));
        let keeps = word.read_volatile() == !before;
        word.write_volatile(before);
        keeps
    }
}

/// Whether the first and the last pixel of a framebuffer change when they are written to, as those of a screen do: what a loader names
/// may be ROM, or nothing. They stay as they were.
///
/// # Safety
///
/// All of the framebuffer is mapped at `address`, for writing, and nobody uses it.
#[inline(never)]
pub(super) unsafe fn of_pixels(address: VirtAddr, framebuffer: &Framebuffer) -> bool {
    framebuffer.ends().into_iter().all(|at| {
        // SAFETY: the caller's promise.
        let byte = unsafe { mmio::at::<u8>(address, at) };
        let before = byte.read();
        byte.write(!before);
        // So that it is not read from where writes are combined.
        // SAFETY: a fence.
        unsafe { asm!("mfence", options(nostack, preserves_flags)) };
        let changes = byte.read() != before;
        byte.write(before);
        changes
    })
}
