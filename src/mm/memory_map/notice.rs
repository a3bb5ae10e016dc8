//! What was repaired in the loader's map, for the log.

use core::fmt;

use super::Line;
use super::ranges::MADE;
use crate::mm::address::PhysAddr;

/// A repair that was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Notice {
    /// A line of no bytes was dropped.
    Empty(Line),
    /// A line ran over the end of the 64-bit address space and was cut there.
    Wraps(Line),
    /// A line ended beyond the CPU's physical addresses, which end at `limit`, and was cut there.
    BeyondPhysical {
        /// The line.
        line: Line,
        /// First byte that cannot be addressed.
        limit: u64,
    },
    /// A line starts below the one before it; the lines were sorted.
    Unsorted(Line),
    /// Two lines claim the same bytes; the stronger kind got them.
    Overlap(Line, Line),
    /// There are more ranges than can be held; the smallest of them are not used.
    TooManyRanges {
        /// Frames of RAM.
        ram: u64,
        /// Of these, and of RAM that is used, frames that are free.
        free: u64,
    },
    /// A usable line claims memory of adapters, and of the BIOS; it is not used.
    Adapters {
        /// Its first byte.
        start: PhysAddr,
        /// The byte behind its last.
        end: PhysAddr,
    },
    /// RAM that the caller knows of lies where no line has any.
    Added {
        /// Its first byte.
        start: PhysAddr,
        /// The byte behind its last.
        end: PhysAddr,
    },
    /// What a usable line claims does not keep what is written to it; it is not used.
    Absent {
        /// Its first byte.
        start: PhysAddr,
        /// The byte behind its last.
        end: PhysAddr,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::Empty(line) => write!(f, "memory map: {line} is empty; dropped"),
            Notice::Wraps(line) => write!(
                f,
                "memory map: {line} wraps; cut at the end of the address space"
            ),
            Notice::BeyondPhysical { line, limit } => {
                write!(
                    f,
                    "memory map: {line} ends beyond the CPU's {limit:#x}; cut there"
                )
            }
            Notice::Unsorted(line) => write!(f, "memory map: {line} is out of order; sorted"),
            Notice::Overlap(first, second) => {
                write!(
                    f,
                    "memory map: {first} and {second} overlap; the stronger kind holds"
                )
            }
            Notice::TooManyRanges { ram, free } => {
                write!(
                    f,
                    "memory map: more than {MADE} ranges; the smallest are not used, {ram} frames of RAM and {free} free ones"
                )
            }
            Notice::Adapters { start, end } => write!(
                f,
                "memory map: a usable line claims {start} to {end}, which adapters and the BIOS have; not used"
            ),
            Notice::Added { start, end } => write!(
                f,
                "memory map: the image lies at {start} to {end}, where no line has RAM"
            ),
            Notice::Absent { start, end } => write!(
                f,
                "memory map: no RAM answers from {start} to {end}, which a usable line claims; not used"
            ),
        }
    }
}
