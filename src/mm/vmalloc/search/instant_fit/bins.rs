//! Bins of gaps: in which one a gap belongs by its size, and which ones have any.
//!
//! Up to 16 pages every size has a bin of its own. Above, each doubling is cut into [`STEPS`] bins of equal width (Masmano and
//! others, "TLSF", 2004; Vmem has one bin for each doubling), so no gap is larger than the smallest of its bin by more than an
//! eighth of that. Bit scans find the bin of a gap and the next bin that may have one.

/// Bins for each doubling of the size.
const STEPS: u32 = 8;

/// Bins of gaps of fewer than 2^58 pages, which addresses of 64 bits cannot have. The first is that of no pages at all.
pub(super) const BINS: usize = 448;

/// Bits of a word.
const WORD: usize = u64::BITS as usize;

/// The bin of a gap of `pages` pages.
#[inline]
pub(super) const fn bin_of(pages: u64) -> u32 {
    let doublings = (pages | STEPS as u64).ilog2() - STEPS.ilog2();
    doublings * STEPS + (pages >> doublings) as u32
}

/// Which bins may have gaps: those that are not here have none. Of the first one it means nothing.
#[derive(Debug)]
pub(super) struct Occupied([u64; BINS / WORD]);

impl Occupied {
    /// None has.
    pub(super) const fn new() -> Self {
        Occupied([0; BINS / WORD])
    }

    /// A bin has a gap from now on.
    #[inline]
    pub(super) const fn set(&mut self, bin: u32) {
        self.0[bin as usize / WORD] |= 1 << (bin % u64::BITS);
    }

    /// A bin has none any more.
    #[inline]
    pub(super) const fn clear(&mut self, bin: u32) {
        self.0[bin as usize / WORD] &= !(1 << (bin % u64::BITS));
    }

    /// The lowest bin from `bin` on that may have any.
    #[inline]
    pub(super) const fn first_from(&self, bin: u32) -> Option<u32> {
        let mut number = bin as usize / WORD;
        let mut hidden = !0 << (bin % u64::BITS);
        while number < self.0.len() {
            let left = self.0[number] & hidden;
            if left != 0 {
                return Some(number as u32 * u64::BITS + left.trailing_zeros());
            }
            hidden = !0;
            number += 1;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn small_sizes_have_bins_of_their_own_and_large_ones_share() {
        for pages in 0..16 {
            assert_eq!(bin_of(pages), pages as u32);
        }
        assert_eq!(
            [16, 17, 18, 31, 32, 35, 36].map(bin_of),
            [16, 16, 17, 23, 24, 24, 25]
        );
        assert_eq!(bin_of((1 << 58) - 1), BINS as u32 - 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 256 }))]

        /// A larger gap is in no lower bin, and is no more than an eighth larger than any other of its own.
        #[test]
        fn bins_are_in_the_order_of_sizes_and_narrow(pages in 1u64..1 << 52, more in 0u64..1 << 20) {
            let larger = pages + more;
            prop_assert!(bin_of(pages) <= bin_of(larger));
            if bin_of(pages) == bin_of(larger) {
                prop_assert!(more <= pages / u64::from(STEPS));
            }
        }

        #[test]
        fn the_next_bin_is_the_lowest_one(bins in prop::collection::btree_set(0u32..BINS as u32, 0..9), from in 0u32..=BINS as u32) {
            let mut occupied = Occupied::new();
            for &bin in &bins {
                occupied.set(bin);
            }
            prop_assert_eq!(occupied.first_from(from), bins.range(from..).next().copied());
            for &bin in &bins {
                prop_assert_eq!(occupied.first_from(bin), Some(bin));
                occupied.clear(bin);
            }
            prop_assert_eq!(occupied.first_from(0), None);
        }
    }
}
