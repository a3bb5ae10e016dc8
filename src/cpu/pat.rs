//! The page attribute table: the register that says which memory type each index in a leaf selects (Intel SDM volume 3, 13.12).

use x86::msr::{IA32_PAT, rdmsr, wrmsr};

use crate::mm::page_table::MemoryType;

/// Loads the table that [`MemoryType`] is written for.
///
/// # Safety
///
/// The CPU has a PAT, and no mapping in use selects a type by an index that changes: this is so while all of them are as the boot
/// tables have them, index 0 alone, which stays write-back. Every CPU has to load the same.
pub unsafe fn load() {
    // SAFETY: the register exists, and by the caller's promise nothing depends on the entries that change.
    unsafe { wrmsr(IA32_PAT, MemoryType::PAT) };
}

/// What the register holds.
///
/// # Safety
///
/// The CPU has a PAT.
#[must_use]
pub unsafe fn read() -> u64 {
    // SAFETY: the register exists (the caller's promise), and reading it has no effect.
    unsafe { rdmsr(IA32_PAT) }
}
