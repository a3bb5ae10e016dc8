//! Which side boots when: pairs of one boot a side, in an order that a seed draws for each pair.
//!
//! A fixed order (base first, always) would give all that the first boot of a pair does to the second (heat, a cache of the host's) to
//! one side.

use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom;

use super::Side;

/// One boot of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Its pair, from 0.
    pub pair: u32,
    /// Its side.
    pub side: Side,
}

/// The boots of `pairs` pairs, in order. The plan of more pairs begins with that of fewer.
pub fn plan(seed: u64, pairs: u32) -> Vec<Place> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    (0..pairs)
        .flat_map(|pair| {
            let mut sides = Side::BOTH;
            sides.shuffle(&mut random);
            sides.map(|side| Place { pair, side })
        })
        .collect()
}
