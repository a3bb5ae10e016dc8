//! The core's rate beside the TSC's, without a counter: additions, each to the result of the one before, of which every CPU executes one a
//! cycle.

use std::arch::asm;

use pagemark::cpu::tsc;

/// Additions of a chain.
const ADDITIONS: u64 = 20_000;
/// Chains, of which the fastest counts: an interrupt only makes one longer.
const CHAINS: u32 = 5;

/// Core cycles in 1,000 ticks, now.
pub(super) fn cycles_per_1000_ticks() -> Option<u64> {
    let fastest = (0..CHAINS).map(|_| ticks_of_a_chain()).min()?;
    (ADDITIONS * 1000).checked_div(fastest)
}

fn ticks_of_a_chain() -> u64 {
    let start = tsc::read();
    // SAFETY: additions to a register.
    unsafe {
        asm!(
            "2:",
            ".rept 20",
            "add {sum}, {sum}",
            ".endr",
            "dec {loops}",
            "jnz 2b",
            sum = inout(reg) 1u64 => _,
            loops = inout(reg) ADDITIONS / 20 => _,
            options(nomem, nostack),
        );
    }
    tsc::read() - start
}
