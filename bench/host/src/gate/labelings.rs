//! Ways to divide boots into two sides: all of them where they are few, else a fixed number drawn at random, the same ones every time.

use std::ops::ControlFlow;

use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom;

/// What the draws begin with. Any number serves; it is fixed so that a judgement repeats.
const SEED: u64 = 1;

/// Which divisions of some boots are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Labelings {
    boots: usize,
    /// How many of them are on the first side.
    chosen: usize,
    /// How many divisions are drawn, the first one included; none where all are looked at.
    drawn: Option<usize>,
}

impl Labelings {
    /// All divisions of `boots` boots with `chosen` of them on the first side, where there are at most `most`, else `most` of
    /// them. `chosen` is not above `boots`.
    pub fn new(boots: usize, chosen: usize, most: usize) -> Self {
        let drawn = (divisions(boots, chosen) > most as f64).then_some(most);
        Self {
            boots,
            chosen,
            drawn,
        }
    }

    /// How many are drawn at random, if not all are looked at.
    pub fn drawn(&self) -> Option<usize> {
        self.drawn
    }

    /// Shows `visit` the first side of each, as the places of its boots, until it breaks. The first of them has the boots
    /// `0..chosen`.
    pub fn visit(&self, mut visit: impl FnMut(&[usize]) -> ControlFlow<()>) {
        let mut places: Vec<usize> = (0..self.boots).collect();
        if visit(&places[..self.chosen]).is_break() {
            return;
        }
        match self.drawn {
            Some(drawn) => {
                let mut random = Xoshiro256PlusPlus::seed_from_u64(SEED);
                for _ in 1..drawn {
                    let (side, _) = places.partial_shuffle(&mut random, self.chosen);
                    if visit(side).is_break() {
                        return;
                    }
                }
            }
            None => {
                places.truncate(self.chosen);
                while advance(&mut places, self.boots) {
                    if visit(&places).is_break() {
                        return;
                    }
                }
            }
        }
    }
}

/// How many divisions there are.
pub fn divisions(boots: usize, chosen: usize) -> f64 {
    (1..=chosen).fold(1.0, |product, k| {
        product * (boots - chosen + k) as f64 / k as f64
    })
}

/// The next combination in lexicographic order; `false` after the last.
fn advance(places: &mut [usize], boots: usize) -> bool {
    let last = boots - places.len();
    let Some(at) = (0..places.len()).rposition(|at| places[at] < last + at) else {
        return false;
    };
    let first = places[at] + 1;
    for (offset, place) in places[at..].iter_mut().enumerate() {
        *place = first + offset;
    }
    true
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn sides(labelings: Labelings) -> Vec<Vec<usize>> {
        let mut sides = Vec::new();
        labelings.visit(|side| {
            let mut side = side.to_vec();
            side.sort_unstable();
            sides.push(side);
            ControlFlow::Continue(())
        });
        sides
    }

    #[test]
    fn few_divisions_are_all_seen_once() {
        for (boots, chosen, number) in [
            (5, 2, 10),
            (6, 3, 20),
            (4, 4, 1),
            (9, 1, 9),
            (16, 8, 12_870),
        ] {
            let sides = sides(Labelings::new(boots, chosen, number));
            assert_eq!(sides.len(), number);
            assert_eq!(sides[0], (0..chosen).collect::<Vec<_>>());
            assert_eq!(sides.iter().collect::<BTreeSet<_>>().len(), number);
            assert!((divisions(boots, chosen) - number as f64).abs() < 1e-6);
        }
    }

    #[test]
    fn draws_are_even_and_repeat() {
        let labelings = Labelings::new(20, 10, 20_000);
        assert_eq!(labelings.drawn(), Some(20_000));
        let drawn = sides(labelings);
        assert_eq!(drawn.len(), 20_000);
        assert_eq!(drawn[0], (0..10).collect::<Vec<_>>());
        assert_eq!(drawn, sides(labelings));
        // Each boot is on the first side half of the time: within five standard deviations of it.
        for boot in 0..20 {
            let times = drawn.iter().filter(|side| side.contains(&boot)).count();
            assert!(times.abs_diff(10_000) < 360, "boot {boot}: {times}");
        }
    }
}
