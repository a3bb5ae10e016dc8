//! CPUs by number, and what a shootdown needs of the hardware.

use core::fmt;

use super::mask::{BITS, MAX_CPUS};
use crate::mm::hardware::TlbInvalidate;

/// A CPU by its number: the boot CPU is 0, and the others follow as they were started.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct CpuId(u16);

impl CpuId {
    /// The CPU that the machine was started on.
    pub const BOOT: CpuId = CpuId(0);

    /// The CPU with this number; `None` if there cannot be one.
    #[must_use]
    pub const fn new(number: usize) -> Option<CpuId> {
        if number < MAX_CPUS {
            Some(CpuId(number as u16))
        } else {
            None
        }
    }

    /// The CPU with this number, of which only the bits count that a number has.
    #[inline]
    #[must_use]
    pub const fn from_low_bits(number: usize) -> CpuId {
        CpuId((number % MAX_CPUS) as u16)
    }

    /// Its number, below [`MAX_CPUS`].
    #[inline]
    #[must_use]
    pub const fn number(self) -> usize {
        self.0 as usize
    }

    /// The word of a set that has its bit.
    #[inline]
    #[must_use]
    pub const fn word(self) -> usize {
        self.number() / BITS
    }

    /// Its bit in that word.
    #[inline]
    #[must_use]
    pub const fn bit(self) -> u64 {
        1 << (self.number() % BITS)
    }
}

impl fmt::Display for CpuId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a shootdown needs of the hardware. Everything is about the CPU that asks.
pub trait Cpus {
    /// The TLB of one CPU.
    type Local: TlbInvalidate;

    /// The TLB of this CPU.
    fn local(&self) -> &Self::Local;

    /// This CPU.
    fn current(&self) -> CpuId;

    /// How many words the sets have, so that each CPU that may be online has a bit: 1 for up to [`BITS`] CPUs. Never changes while
    /// more than one CPU is online.
    fn words(&self) -> usize;

    /// A word of the set of CPUs that may hold translations: those that are online, this one included. While no other one is,
    /// word 0 is 0; else it has the boot CPU.
    fn online(&self, word: usize) -> u64;

    /// Interrupts a CPU, whatever it does: it calls [`Protocol::respond`](super::Protocol::respond) after what this CPU wrote
    /// before is visible to it.
    fn interrupt(&self, cpu: CpuId);

    /// How long a wait has lasted; its default is one that begins.
    type Wait: Default;

    /// One turn of a loop that waits. False once it has lasted longer than a CPU takes to answer that ever does.
    #[must_use]
    fn pause(&self, wait: &mut Self::Wait) -> bool;
}

/// How many words sets have, as a type: the usual one word costs what a word costs.
pub(super) trait Words: Copy {
    /// A word for each.
    type Set: AsRef<[u64]> + AsMut<[u64]>;

    /// How many there are.
    fn count(self) -> usize;

    /// A set of no CPU.
    fn none(self) -> Self::Set;

    /// Where a CPU's bit is, and the bit.
    fn place(self, cpu: CpuId) -> (usize, u64);
}

/// One word.
#[derive(Clone, Copy)]
pub(super) struct OneWord;

impl Words for OneWord {
    type Set = [u64; 1];

    #[inline]
    fn count(self) -> usize {
        1
    }

    #[inline]
    fn none(self) -> [u64; 1] {
        [0]
    }

    #[inline]
    fn place(self, cpu: CpuId) -> (usize, u64) {
        (0, cpu.bit())
    }
}

/// This many words.
#[derive(Clone, Copy)]
pub(super) struct ManyWords(pub usize);

impl Words for ManyWords {
    type Set = [u64; super::mask::WORDS];

    fn count(self) -> usize {
        self.0.min(super::mask::WORDS)
    }

    fn none(self) -> Self::Set {
        [0; super::mask::WORDS]
    }

    fn place(self, cpu: CpuId) -> (usize, u64) {
        (cpu.word(), cpu.bit())
    }
}
