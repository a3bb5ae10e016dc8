//! Makes the caches' state before a round the same in a process, whatever ran before it.
//!
//! Without it a case is one of two: whether its page tables and metadata are in the L2 depends on which case ran before, and a median
//! between two groups of rounds differs from run to run. So one line after the other of more memory than an L2 holds is read before each
//! round, outside of what is timed, and the case takes [`SETTLING`] samples that are not kept.

/// Samples behind the reads, which are not kept.
pub const SETTLING: u32 = 2;

/// Bytes that are read: four times the L2 of today's cores, and more pages than their L1 TLBs hold.
const BYTES: usize = 4 << 20;
const LINE: usize = 64;

/// The memory that is read before each round.
pub struct Reset(Vec<u8>);

impl Reset {
    /// Takes the memory for good.
    pub fn new() -> Self {
        // Ones, as untouched zeros of a process share one frame.
        Reset(vec![1; BYTES])
    }

    /// Reads it.
    pub fn apply(&self) {
        let lines = self.0.iter().step_by(LINE);
        core::hint::black_box(lines.fold(0_u8, |sum, &byte| sum.wrapping_add(byte)));
    }
}
