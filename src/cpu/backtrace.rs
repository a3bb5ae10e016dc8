//! Who called whom, without frame pointers: every word on the stack that is a return address.
//!
//! Hot paths keep no frame pointers, so the stack is scanned instead. A word counts if it points into the image's text just
//! behind a call instruction, or is where an exception struck. Stale ones may be among them, which the host tool sorts out by
//! the image's code.

use arrayvec::ArrayVec;

use super::{exceptions, per_cpu};
use crate::mm::address::VirtAddr;

/// Most return addresses that are kept.
pub const DEPTH: usize = 32;

unsafe extern "C" {
    static text_start: u8;
    static text_end: u8;
}

/// Whether `address` lies behind a call in the text: E8 rel32, or FF /2 in its forms of 2, 3, 6 and 7 bytes.
fn follows_call(address: u64) -> bool {
    let text = &raw const text_start as u64 + 8..&raw const text_end as u64;
    if !text.contains(&address) {
        return false;
    }
    // SAFETY: the seven bytes before the address lie in the text, which is readable and never written.
    let before: [u8; 7] = unsafe { *((address - 7) as *const [u8; 7]) };
    let indirect = |opcode: usize| before[opcode] == 0xff && before[opcode + 1] & 0x38 == 0x10;
    before[2] == 0xe8 || indirect(5) || indirect(4) || indirect(1) || indirect(0)
}

/// The return addresses on the running stack, innermost first.
#[inline(never)]
#[must_use]
pub fn return_addresses() -> ArrayVec<u64, DEPTH> {
    let here = 0u64;
    let mut word = VirtAddr(&raw const here as u64 & !7);
    let mut addresses = ArrayVec::new();
    let Some(stack) = per_cpu::this()
        .stacks()
        .into_iter()
        .find(|stack| stack.range.contains(&word))
    else {
        return addresses;
    };
    let interrupted = exceptions::interrupted();
    while word < stack.range.end && !addresses.is_full() {
        // SAFETY: the word lies on a stack, above the running function's frame.
        let value = unsafe { (word.0 as *const u64).read_volatile() };
        if follows_call(value) || Some(value) == interrupted {
            addresses.push(value);
        }
        word.0 += 8;
    }
    addresses
}
