//! From the words on a panicking image's stack that look like return addresses to who called whom.
//!
//! The image keeps no frame pointers and scans its stack, so stale words are among what it sends. The image's code tells most
//! of them apart: a return address lies behind a call, and the function that a direct call names has to be the one that the
//! next inner frame is in. A word that is linked so to a frame further in shows that everything between was stale.

use super::Symbols;

/// A frame of the backtrace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The address that the image sent.
    pub address: u64,
    /// An address inside the instruction that was running: a return address itself may lie behind its function.
    pub inside: u64,
    /// A call in the code leads from here to the frame before. Without it, it may be a leftover on the stack.
    pub linked: bool,
}

/// What lies before an address in the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    /// A call of the function at this address.
    Call(u64),
    /// A call through a register or memory.
    IndirectCall,
    /// No call: the instruction at the address was interrupted by an exception.
    Other,
}

/// Opcode E8 with its 32-bit distance, or FF /2 in the lengths that it comes in.
fn before(symbols: &Symbols, address: u64) -> Option<Before> {
    let code: [u8; 7] = symbols.code(address.checked_sub(7)?, 7)?.try_into().ok()?;
    if code[2] == 0xe8 {
        let distance = i32::from_le_bytes([code[3], code[4], code[5], code[6]]);
        let target = address.wrapping_add_signed(distance.into());
        if symbols.function(target).is_some() {
            return Some(Before::Call(target));
        }
    }
    let indirect = |at: usize| code[at] == 0xff && code[at + 1] & 0x38 == 0x10;
    let any = [5, 4, 1, 0].into_iter().any(indirect);
    Some(if any {
        Before::IndirectCall
    } else {
        Before::Other
    })
}

/// The frames behind `addresses`, innermost first: those that calls link, and behind them what could not be linked, if the links
/// do not lead out to the function `outermost`.
pub fn backtrace(symbols: &Symbols, addresses: &[u64], outermost: &str) -> Vec<Frame> {
    let mut frames: Vec<Frame> = Vec::new();
    let mut unlinked = Vec::new();
    for &address in addresses {
        let Some(before) = before(symbols, address) else {
            continue;
        };
        let inside = if before == Before::Other {
            address
        } else {
            address - 1
        };
        let frame = Frame {
            address,
            inside,
            linked: true,
        };
        match before {
            Before::Call(target) if !frames.is_empty() => {
                let callee = symbols.function(target);
                match frames
                    .iter()
                    .rposition(|inner| symbols.function(inner.inside) == callee)
                {
                    Some(inner) => {
                        frames.truncate(inner + 1);
                        unlinked.clear();
                        frames.push(frame);
                    }
                    None => unlinked.push(Frame {
                        linked: false,
                        ..frame
                    }),
                }
            }
            _ => frames.push(frame),
        }
    }
    // A call through a register links only if a later frame leads on from it.
    let complete = |frame: &Frame| {
        symbols
            .name(frame.inside)
            .is_some_and(|name| name.starts_with(outermost))
    };
    match frames.iter().position(complete) {
        Some(last) => frames.truncate(last + 1),
        None => frames.append(&mut unlinked),
    }
    frames
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three functions of 16 bytes each: `outer` calls `middle` calls `inner`; `stale` calls nobody who is running.
    fn symbols() -> Symbols {
        let mut code = vec![0x90; 0x50];
        let mut call = |at: usize, target: i32| {
            code[at] = 0xe8;
            code[at + 1..at + 5].copy_from_slice(&(target - (at as i32 + 5)).to_le_bytes());
        };
        call(0x02, 0x10);
        call(0x12, 0x20);
        call(0x32, 0x40);
        code[0x48] = 0xff;
        code[0x49] = 0xd0;
        let names = [
            (0x00, "outer"),
            (0x10, "middle"),
            (0x20, "inner"),
            (0x30, "stale"),
            (0x40, "other"),
        ];
        let functions = names.map(|(at, name)| (0x1000 + at, 0x10, name.to_owned()));
        Symbols::of_parts(functions.into(), vec![(0x1000, code)])
    }

    fn linked(addresses: &[u64]) -> Vec<(u64, bool)> {
        let frames = backtrace(&symbols(), addresses, "outer");
        frames
            .iter()
            .map(|frame| (frame.address, frame.linked))
            .collect()
    }

    #[test]
    fn stale_words_between_linked_frames_are_dropped() {
        // `inner` was interrupted at 0x1024; a stale direct and a stale indirect call lie on the stack.
        let stack = [0x1024, 0x1037, 0x104a, 0x1017, 0x1037, 0x1007, 0x1037];
        assert_eq!(
            linked(&stack),
            [(0x1024, true), (0x1017, true), (0x1007, true)]
        );
    }

    #[test]
    fn where_the_links_end_the_rest_is_reported_as_doubtful() {
        assert_eq!(linked(&[0x1024, 0x1037]), [(0x1024, true), (0x1037, false)]);
        assert_eq!(linked(&[0x9000]), []);
    }
}
