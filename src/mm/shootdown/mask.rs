//! Sets of CPUs: bitmaps of as many words as the machine's CPUs need.

use core::sync::atomic::Ordering::Relaxed;

use super::CpuId;
use super::sync::AtomicU64;

/// Most CPUs that are used. Under `loom` a word has room for two, so that three CPUs need two words.
pub const MAX_CPUS: usize = if cfg!(all(test, loom)) { 4 } else { 1024 };
/// CPUs that one word of a set has room for.
pub const BITS: usize = if cfg!(all(test, loom)) { 2 } else { 64 };
/// Most words of a set.
pub const WORDS: usize = MAX_CPUS / BITS;

/// A set of CPUs.
#[derive(Clone, Debug)]
pub struct CpuMask {
    words: [u64; WORDS],
    /// Words behind these are 0. At least 1.
    used: usize,
}

impl Default for CpuMask {
    fn default() -> Self {
        Self::EMPTY
    }
}

/// Equal if they have the same CPUs.
impl PartialEq for CpuMask {
    fn eq(&self, other: &Self) -> bool {
        self.words == other.words
    }
}

impl Eq for CpuMask {}

impl CpuMask {
    /// No CPU.
    pub const EMPTY: CpuMask = CpuMask {
        words: [0; WORDS],
        used: 1,
    };

    /// Just this one.
    #[must_use]
    pub const fn of(cpu: CpuId) -> Self {
        Self::EMPTY.with(cpu)
    }

    /// These and one more.
    #[must_use]
    pub const fn with(mut self, cpu: CpuId) -> Self {
        self.words[cpu.word()] |= cpu.bit();
        if cpu.word() >= self.used {
            self.used = cpu.word() + 1;
        }
        self
    }

    /// These but for one.
    #[must_use]
    pub const fn without(mut self, cpu: CpuId) -> Self {
        self.words[cpu.word()] &= !cpu.bit();
        self
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.used().iter().all(|&word| word == 0)
    }

    /// How many there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        let (mut count, mut word) = (0, 0);
        while word < self.used {
            count += self.words[word].count_ones() as usize;
            word += 1;
        }
        count
    }

    /// Whether this one is among them.
    #[inline]
    #[must_use]
    pub const fn contains(&self, cpu: CpuId) -> bool {
        self.words[cpu.word()] & cpu.bit() != 0
    }

    /// Those that are in both.
    #[must_use]
    pub fn and(&self, other: &CpuMask) -> Self {
        let mut both = self.clone();
        for (word, other) in both.words.iter_mut().zip(other.words) {
            *word &= other;
        }
        both
    }

    /// How many words have members, from the first on; at least 1.
    #[must_use]
    pub const fn words(&self) -> usize {
        self.used
    }

    /// A word of the set.
    #[must_use]
    pub fn word(&self, word: usize) -> u64 {
        self.used().get(word).copied().unwrap_or(0)
    }

    fn used(&self) -> &[u64] {
        &self.words[..self.used.min(WORDS)]
    }
}

impl FromIterator<CpuId> for CpuMask {
    fn from_iter<I: IntoIterator<Item = CpuId>>(cpus: I) -> Self {
        cpus.into_iter().fold(Self::EMPTY, Self::with)
    }
}

impl<'m> IntoIterator for &'m CpuMask {
    type Item = CpuId;
    type IntoIter = Members<'m>;

    #[inline]
    fn into_iter(self) -> Members<'m> {
        Members {
            mask: self,
            word: 0,
            bits: self.words[0],
        }
    }
}

/// The CPUs of a set, lowest number first.
#[derive(Clone, Debug)]
pub struct Members<'m> {
    mask: &'m CpuMask,
    /// The word, and what is left of it.
    word: usize,
    bits: u64,
}

impl Iterator for Members<'_> {
    type Item = CpuId;

    #[inline]
    fn next(&mut self) -> Option<CpuId> {
        while self.bits == 0 {
            self.word += 1;
            if self.word >= self.mask.used {
                return None;
            }
            self.bits = *self.mask.words.get(self.word)?;
        }
        let number = self.word * BITS + self.bits.trailing_zeros() as usize;
        self.bits &= self.bits - 1;
        Some(CpuId::from_low_bits(number))
    }
}

/// The CPUs of one word of a set, lowest number first.
#[inline]
pub(super) fn members(word: usize, mut bits: u64) -> impl Iterator<Item = CpuId> {
    core::iter::from_fn(move || {
        if bits == 0 {
            return None;
        }
        let number = word * BITS + bits.trailing_zeros() as usize;
        bits &= bits - 1;
        Some(CpuId::from_low_bits(number))
    })
}

/// A set of CPUs that several change at once, each word by itself.
#[derive(Debug)]
pub struct SharedMask {
    words: [AtomicU64; WORDS],
}

impl Default for SharedMask {
    fn default() -> Self {
        Self::new()
    }
}

impl SharedMask {
    /// No CPU.
    #[cfg(not(all(test, loom)))]
    #[must_use]
    pub const fn new() -> Self {
        SharedMask {
            words: [const { AtomicU64::new(0) }; WORDS],
        }
    }

    /// No CPU.
    #[cfg(all(test, loom))]
    pub fn new() -> Self {
        SharedMask {
            words: core::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// A word of the set.
    #[inline]
    #[must_use]
    pub fn word(&self, word: usize) -> &AtomicU64 {
        &self.words[word]
    }

    /// Makes it this set, word by word.
    pub fn store(&self, cpus: &CpuMask) {
        for (number, word) in self.words.iter().enumerate() {
            word.store(cpus.word(number), Relaxed);
        }
    }

    /// The set, word by word.
    #[must_use]
    pub fn load(&self) -> CpuMask {
        let words = self.words.iter().enumerate();
        words
            .flat_map(|(number, word)| members(number, word.load(Relaxed)))
            .collect()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::vec::Vec;

    fn cpu(number: usize) -> CpuId {
        CpuId::new(number).unwrap()
    }

    #[test]
    fn a_set_gives_back_what_was_put_in() {
        let last = MAX_CPUS - 1;
        let cpus = [0, 1, BITS - 1, BITS, last].map(cpu);
        let set: CpuMask = cpus.into_iter().collect();
        let distinct: BTreeSet<_> = cpus.into_iter().collect();
        assert!(set.into_iter().eq(distinct.iter().copied()));
        assert_eq!(set.count(), distinct.len());
        assert_eq!((set.words(), CpuMask::of(cpus[0]).words()), (WORDS, 1));
        assert_eq!(CpuId::new(MAX_CPUS), None);
        let rest = set.clone().without(cpus[1]);
        assert!(set.contains(cpus[1]) && !rest.contains(cpus[1]) && rest.contains(cpus[3]));
    }

    fn numbers() -> impl Strategy<Value = Vec<usize>> {
        let any = 0..MAX_CPUS;
        let few = 0..MAX_CPUS.min(70);
        prop_oneof![
            proptest::collection::vec(any, 0..40),
            proptest::collection::vec(few, 0..200),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 256 }))]

        #[test]
        fn a_set_is_a_set(added in numbers(), removed in numbers(), other in numbers()) {
            let mut set: CpuMask = added.iter().copied().map(cpu).collect();
            let mut model: BTreeSet<usize> = added.into_iter().collect();
            for number in removed {
                set = set.without(cpu(number));
                model.remove(&number);
            }
            let listed = |set: &CpuMask| set.into_iter().map(CpuId::number).collect::<Vec<_>>();
            prop_assert_eq!(listed(&set), model.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(set.count(), model.len());
            prop_assert_eq!(set.is_empty(), model.is_empty());
            for number in 0..MAX_CPUS {
                prop_assert_eq!(set.contains(cpu(number)), model.contains(&number));
            }
            let by_words: Vec<_> = (0..WORDS)
                .flat_map(|word| members(word, set.word(word)))
                .map(CpuId::number)
                .collect();
            prop_assert_eq!(&by_words, &listed(&set));
            let others: CpuMask = other.iter().copied().map(cpu).collect();
            let other_model: BTreeSet<usize> = other.into_iter().collect();
            let both: Vec<_> = model.intersection(&other_model).copied().collect();
            prop_assert_eq!(listed(&set.and(&others)), both);
            let shared = SharedMask::new();
            shared.store(&set);
            prop_assert_eq!(shared.load(), set);
        }
    }
}
