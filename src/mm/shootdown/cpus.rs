//! CPUs by number, sets of them, and what a shootdown needs of the hardware.

use core::fmt;

use crate::mm::hardware::TlbInvalidate;

/// Most CPUs that are used: as many as a set has bits.
pub const MAX_CPUS: usize = 64;

/// A CPU by its number: the boot CPU is 0, and the others follow as they were started.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct CpuId(u8);

impl CpuId {
    /// The CPU that the machine was started on.
    pub const BOOT: CpuId = CpuId(0);

    /// The CPU with this number; `None` if there cannot be one.
    #[must_use]
    pub const fn new(number: usize) -> Option<CpuId> {
        if number < MAX_CPUS {
            Some(CpuId(number as u8))
        } else {
            None
        }
    }

    /// Its number, below [`MAX_CPUS`].
    #[inline(always)]
    #[must_use]
    pub const fn number(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for CpuId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A set of CPUs.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct CpuMask(u64);

impl CpuMask {
    /// No CPU.
    pub const EMPTY: CpuMask = CpuMask(0);

    /// Just this one.
    #[inline(always)]
    #[must_use]
    pub const fn of(cpu: CpuId) -> Self {
        CpuMask(1 << cpu.0)
    }

    /// The set whose word this is: bit n for CPU n.
    #[inline(always)]
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        CpuMask(bits)
    }

    /// The set as a word: bit n for CPU n.
    #[inline(always)]
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether there is none.
    #[inline(always)]
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many there are.
    #[must_use]
    pub const fn count(self) -> u32 {
        self.0.count_ones()
    }

    /// Whether this one is among them.
    #[inline(always)]
    #[must_use]
    pub const fn contains(self, cpu: CpuId) -> bool {
        self.0 & 1 << cpu.0 != 0
    }

    /// These and one more.
    #[inline(always)]
    #[must_use]
    pub const fn with(self, cpu: CpuId) -> Self {
        CpuMask(self.0 | 1 << cpu.0)
    }

    /// These but for `others`.
    #[inline(always)]
    #[must_use]
    pub const fn without(self, others: CpuMask) -> Self {
        CpuMask(self.0 & !others.0)
    }
}

impl IntoIterator for CpuMask {
    type Item = CpuId;
    type IntoIter = Members;

    #[inline(always)]
    fn into_iter(self) -> Members {
        Members(self.0)
    }
}

/// The CPUs of a set, lowest number first.
#[derive(Clone, Debug)]
pub struct Members(u64);

impl Iterator for Members {
    type Item = CpuId;

    #[inline(always)]
    fn next(&mut self) -> Option<CpuId> {
        if self.0 == 0 {
            return None;
        }
        let number = self.0.trailing_zeros();
        self.0 &= self.0 - 1;
        Some(CpuId(number as u8))
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

    /// The others that may hold translations: those that are online.
    fn others(&self) -> CpuMask;

    /// Interrupts a CPU, whatever it does: it calls [`Protocol::respond`](super::Protocol::respond) after what this CPU wrote
    /// before is visible to it.
    fn interrupt(&self, cpu: CpuId);

    /// The body of a loop that waits.
    fn pause(&self);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn a_set_gives_back_what_was_put_in() {
        let cpus = [0, 4, 15, 63].map(|number| CpuId::new(number).unwrap());
        let set = cpus.into_iter().fold(CpuMask::EMPTY, CpuMask::with);
        assert_eq!(set.into_iter().collect::<Vec<_>>(), cpus);
        assert_eq!(set.count(), 4);
        let rest = set.without(CpuMask::of(cpus[1]));
        assert!(set.contains(cpus[1]) && !rest.contains(cpus[1]) && rest.contains(cpus[2]));
        assert!(set.without(set).is_empty());
        assert_eq!(CpuId::new(MAX_CPUS), None);
    }
}
