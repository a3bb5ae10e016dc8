//! The code that runs before Rust (`boot/*.s`), assembled into the image, and what it leaves behind.

use core::arch::global_asm;

// One unit, as the parts share names.
global_asm!(
    include_str!("../../boot/headers.s"),
    include_str!("../../boot/entry.s"),
    include_str!("../../boot/five_levels.s"),
    include_str!("../../boot/trampoline.s"),
    options(att_syntax)
);

unsafe extern "C" {
    static entry_ticks: u64;
}

/// The TSC at the image's entry, in ticks.
#[must_use]
pub fn ticks_at_entry() -> u64 {
    // SAFETY: the entry code wrote it before any Rust ran, and nothing writes it again.
    unsafe { entry_ticks }
}
