//! Numbers that look random and are the same in every run.

/// Xorshift with 64 bits (Marsaglia, "Xorshift RNGs", 2003).
pub struct Random(u64);

impl Random {
    /// The sequence that cases use, from its start.
    pub const fn new() -> Self {
        Self::from_seed(0)
    }

    /// Another sequence for each seed, but one that would yield nothing but zeros.
    pub const fn from_seed(seed: u64) -> Self {
        match seed ^ 0x9e37_79b9_7f4a_7c15 {
            0 => Random(1),
            state => Random(state),
        }
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Puts things into any order, each as likely as every other (Fisher and Yates).
    pub fn shuffle<T>(&mut self, things: &mut [T]) {
        for last in (1..things.len()).rev() {
            things.swap(last, self.below(last as u64 + 1) as usize);
        }
    }

    /// The next number below `end`, which is far smaller than 2^32.
    pub fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 32) % end
    }
}
