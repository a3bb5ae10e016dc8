//! Whether one INVLPG drops everything, as it does where a hypervisor backs large pages with small ones.

use core::ptr;

use pagemark::cpu::invalidate::{flush_everything, invlpg};
use pagemark::cpu::tsc;
use pagemark::mm::address::{PAGE_SIZE, VirtAddr};
use pagemark_verdict::{Reloads, fractured};

const PAGES: usize = 32;
/// Of each state the least ticks of so many tries: what disturbs only adds.
const TRIES: u32 = 15;

#[repr(align(4096))]
#[derive(Clone, Copy)]
struct Page(#[expect(dead_code, reason = "read by its address")] [u8; PAGE_SIZE as usize]);

/// Zeros that could be written to, though nobody does, and so no part of the image's file.
static mut PAGES_TO_READ: [Page; PAGES + 1] = [Page([0; PAGE_SIZE as usize]); PAGES + 1];

/// Reads the pages but the first, and tells how many ticks that took.
fn read_all() -> u64 {
    let start = tsc::read();
    let first = (&raw const PAGES_TO_READ).cast::<Page>();
    for page in 1..=PAGES {
        // SAFETY: a read within the static, which nobody writes; it has to happen.
        unsafe { ptr::read_volatile(first.add(page).cast::<u8>()) };
    }
    tsc::read() - start
}

/// Looks; `None` where nothing can be seen.
pub(super) fn look() -> Option<bool> {
    let other = VirtAddr(&raw const PAGES_TO_READ as u64);
    let mut reloads = Reloads {
        warm: u64::MAX,
        after_invlpg: u64::MAX,
        after_flush: u64::MAX,
    };
    for _ in 0..TRIES {
        read_all();
        reloads.warm = reloads.warm.min(read_all());
        invlpg(other);
        reloads.after_invlpg = reloads.after_invlpg.min(read_all());
        flush_everything();
        reloads.after_flush = reloads.after_flush.min(read_all());
    }
    fractured(reloads)
}
