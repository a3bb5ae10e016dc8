//! The lower half: which frames of a tree are taken, down to the bit.
//!
//! A huge frame, 512 frames, has a bit for each of its frames, set while it is taken, and a count of those that are free. The count
//! goes down before a bit is set and up after one is cleared, so that it never promises more than there is. A block of a whole huge
//! frame or of two is taken in the counts alone. Two neighbours have their counts in one word: a block of both is one exchange.

use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use super::super::sync::AtomicU64;

/// Frames of a huge frame, and the order that it is a block of.
pub(super) const HUGE_FRAMES: usize = 1 << HUGE_ORDER;
pub(super) const HUGE_ORDER: u32 = 9;
/// Words of bits for a huge frame.
pub(super) const WORDS: usize = HUGE_FRAMES / 64;
/// Bits of a count; the highest says that the huge frame is taken as a whole.
const COUNT_BITS: u32 = 16;
const COUNT: u64 = (1 << COUNT_BITS) - 1;
const WHOLE: u64 = 1 << (COUNT_BITS - 1);

/// The bits and the counts of all huge frames, by number.
#[derive(Clone, Copy)]
pub(super) struct Lower<'m> {
    pub(super) bits: &'m [AtomicU64],
    pub(super) pairs: &'m [AtomicU64],
}

/// Whether this many places that start at a multiple of their number are all free in a word, and at which bit the first such place is.
/// `free` has a bit set for each free frame.
fn first_run(free: u64, order: u32) -> Option<u32> {
    // Bits that are multiples of 1, 2, 4, ... 64.
    const STARTS: [u64; 7] = [
        u64::MAX,
        0x5555_5555_5555_5555,
        0x1111_1111_1111_1111,
        0x0101_0101_0101_0101,
        0x0001_0001_0001_0001,
        0x0000_0001_0000_0001,
        1,
    ];
    let runs = (0..order).fold(free, |runs, half| runs & (runs >> (1 << half)));
    let starts = runs & STARTS[order as usize];
    (starts != 0).then(|| starts.trailing_zeros())
}

/// A block of `order`, at most 6, from `bit` on.
const fn mask(order: u32, bit: u32) -> u64 {
    (u64::MAX >> (64 - (1 << order))) << bit
}

impl Lower<'_> {
    /// Makes every frame of a huge frame taken, by nobody; its neighbour has not been given any frame yet.
    pub(super) fn reset(&self, huge: usize) {
        for word in &self.bits[huge * WORDS..][..WORDS] {
            word.store(u64::MAX, Relaxed);
        }
        // Both counts of a pair, whichever of them is reset.
        self.pairs[huge / 2].store(0, Relaxed);
    }

    /// Free frames of a huge frame.
    pub(super) fn free(&self, huge: usize) -> u64 {
        match self.count(huge) {
            WHOLE.. => 0,
            count => count,
        }
    }

    /// Free frames of a huge frame, by its bits, unless it is taken as a whole.
    pub(super) fn free_by_bits(&self, huge: usize) -> u64 {
        let words = &self.bits[huge * WORDS..][..WORDS];
        match self.count(huge) {
            WHOLE.. => 0,
            _ => words
                .iter()
                .map(|word| u64::from(word.load(Relaxed).count_zeros()))
                .sum(),
        }
    }

    fn count(&self, huge: usize) -> u64 {
        self.pairs[huge / 2].load(Relaxed) >> shift(huge) & COUNT
    }

    /// Takes a block of `order` out of the huge frames from `first` to `end`: the index of its first frame.
    pub(super) fn take(&self, first: usize, end: usize, order: u32) -> Option<usize> {
        match order {
            ..HUGE_ORDER => (first..end).find_map(|huge| self.take_small(huge, order)),
            HUGE_ORDER => (first..end).find_map(|huge| {
                self.change_count(huge, |count| (count == HUGE_FRAMES as u64).then_some(WHOLE))?;
                Some(huge * HUGE_FRAMES)
            }),
            _ => (first..end).step_by(2).find_map(|huge| {
                const FREE: u64 = HUGE_FRAMES as u64 | (HUGE_FRAMES as u64) << COUNT_BITS;
                const TAKEN: u64 = WHOLE | WHOLE << COUNT_BITS;
                let taken = self.pairs[huge / 2].compare_exchange(FREE, TAKEN, AcqRel, Relaxed);
                taken.is_ok().then_some(huge * HUGE_FRAMES)
            }),
        }
    }

    /// Takes single frames out of the huge frames from `first` to `end`, at most `most`, and hands out their indices. Returns how many.
    ///
    /// A huge frame's count goes down once for all of its frames, and a word of bits changes once.
    pub(super) fn take_singles(
        &self,
        first: usize,
        end: usize,
        most: u64,
        put: &mut impl FnMut(usize),
    ) -> u64 {
        let mut missing = most;
        for huge in first..end {
            let mut promised = 0;
            let promise = |count: u64| {
                promised = if count < WHOLE { count.min(missing) } else { 0 };
                (promised > 0).then(|| count - promised)
            };
            if self.change_count(huge, promise).is_none() {
                continue;
            }
            let mut left = promised;
            for word in huge * WORDS..(huge + 1) * WORDS {
                left -= self.set_some(word, left, put);
                if left == 0 {
                    break;
                }
            }
            if left > 0 {
                // Another CPU took frames behind this one's back, and gave back others that it had passed.
                self.change_count(huge, |count| Some(count + left));
            }
            missing -= promised - left;
            if missing == 0 {
                break;
            }
        }
        most - missing
    }

    /// Takes at most `most` frames in one word of bits. Returns how many.
    fn set_some(&self, word: usize, most: u64, put: &mut impl FnMut(usize)) -> u64 {
        let bits = &self.bits[word];
        let mut now = bits.load(Relaxed);
        loop {
            let (mut rest, mut count) = (!now, 0);
            while rest != 0 && count < most {
                rest &= rest - 1;
                count += 1;
            }
            let mut taken = !now ^ rest;
            if taken == 0 {
                return 0;
            }
            match bits.compare_exchange_weak(now, now | taken, Acquire, Relaxed) {
                Ok(_) => {
                    while taken != 0 {
                        put(word * 64 + taken.trailing_zeros() as usize);
                        taken &= taken - 1;
                    }
                    return count;
                }
                Err(other) => now = other,
            }
        }
    }

    /// Makes frames in one word of bits free, all of which are taken; they are counted by [`count_free`](Self::count_free).
    pub(super) fn clear_some(&self, word: usize, frames: u64) {
        self.bits[word].fetch_and(!frames, Release);
    }

    /// Counts frames of a huge frame as free, after their bits were cleared.
    pub(super) fn count_free(&self, huge: usize, frames: u64) {
        self.change_count(huge, |count| Some(count + frames));
    }

    /// Puts a block back that is taken. `false`, and nothing changed, if it is not.
    pub(super) fn give(&self, index: usize, order: u32) -> bool {
        let huge = index / HUGE_FRAMES;
        match order {
            ..HUGE_ORDER => {
                if self.count(huge) >= WHOLE || !self.clear(index, order) {
                    return false;
                }
                self.change_count(huge, |count| Some(count + (1 << order)));
                true
            }
            _ => {
                let huges = 1 << (order - HUGE_ORDER);
                (huge..huge + huges).all(|huge| {
                    let free = |count| (count == WHOLE).then_some(HUGE_FRAMES as u64);
                    self.change_count(huge, free).is_some()
                })
            }
        }
    }

    fn take_small(&self, huge: usize, order: u32) -> Option<usize> {
        let frames = 1 << order;
        self.change_count(huge, |count| {
            (count < WHOLE && count >= frames).then(|| count - frames)
        })?;
        let first = huge * WORDS;
        let bit = match order {
            ..=6 => (first..first + WORDS).find_map(|word| self.set_in(word, order)),
            _ => {
                let words = 1 << (order - 6);
                let mut starts = (first..first + WORDS).step_by(words);
                starts.find_map(|word| self.set_words(word, words))
            }
        };
        if bit.is_none() {
            // There are as many free frames, but they lie in pieces.
            self.change_count(huge, |count| Some(count + frames));
        }
        bit
    }

    /// Takes a block of `order` in one word of bits: the index of its first frame.
    fn set_in(&self, word: usize, order: u32) -> Option<usize> {
        let bits = &self.bits[word];
        let mut now = bits.load(Relaxed);
        loop {
            let bit = first_run(!now, order)?;
            match bits.compare_exchange_weak(now, now | mask(order, bit), Acquire, Relaxed) {
                Ok(_) => return Some(word * 64 + bit as usize),
                Err(other) => now = other,
            }
        }
    }

    /// Takes all frames of some words of bits: the index of the first.
    fn set_words(&self, first: usize, words: usize) -> Option<usize> {
        let bits = &self.bits[first..first + words];
        let is_taken = |word: &AtomicU64| {
            let claimed = word.compare_exchange(0, u64::MAX, Acquire, Relaxed);
            claimed.is_err()
        };
        match bits.iter().position(is_taken) {
            None => Some(first * 64),
            Some(taken) => {
                // Those before it are free again.
                for word in &bits[..taken] {
                    word.store(0, Release);
                }
                None
            }
        }
    }

    /// Clears the bits of a block. `false`, and nothing changed, unless all are set.
    fn clear(&self, index: usize, order: u32) -> bool {
        let (word, bit) = (index / 64, (index % 64) as u32);
        let (words, mask) = match order {
            ..=6 => (1, mask(order, bit)),
            _ => (1 << (order - 6), u64::MAX),
        };
        self.bits[word..word + words].iter().all(|bits| {
            let cleared = |now: u64| (now & mask == mask).then_some(now & !mask);
            bits.fetch_update(Release, Relaxed, cleared).is_ok()
        })
    }

    /// Changes the count of a huge frame, or gives up.
    fn change_count(&self, huge: usize, mut change: impl FnMut(u64) -> Option<u64>) -> Option<u64> {
        let shift = shift(huge);
        let changed = self.pairs[huge / 2].fetch_update(AcqRel, Relaxed, |pair| {
            let count = change(pair >> shift & COUNT)?;
            Some(pair & !(COUNT << shift) | count << shift)
        });
        changed.ok()
    }
}

/// Where the count of a huge frame is in the word of its pair.
const fn shift(huge: usize) -> u32 {
    (huge % 2) as u32 * COUNT_BITS
}
