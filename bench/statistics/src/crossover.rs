//! From which number of pages on it is cheaper to drop everything than to drop page by page, and what follows for a ceiling.
//!
//! Dropping `n` translations one by one costs `n` times one. Dropping everything costs one flush, and a walk for each translation that
//! is used afterwards and was lost with the others. So the crossover depends on how many those are: the working set.

/// A cost with the bounds of its median, in any unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cost {
    /// The lower bound.
    pub low: i64,
    /// The median.
    pub median: i64,
    /// The upper bound.
    pub high: i64,
}

impl Cost {
    /// A cost that is known exactly.
    #[must_use]
    pub const fn exact(cost: i64) -> Self {
        Self {
            low: cost,
            median: cost,
            high: cost,
        }
    }
}

/// The cost of dropping a number of pages either way, the use of the working set afterwards included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Measured {
    /// Pages that are dropped.
    pub pages: u64,
    /// Page by page.
    pub by_page: Cost,
    /// Everything.
    pub whole: Cost,
}

/// The smallest number of pages from which on everything is the cheaper way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Crossing {
    /// By the medians; `None` if page by page is the cheaper way at the largest number that was measured.
    pub pages: Option<u64>,
    /// At least that, by the bounds; `None` if page by page is the cheaper way at the largest number, whatever the costs are between
    /// their bounds.
    pub low: Option<u64>,
    /// At most that, by the bounds; `None` if it may lie beyond the largest number.
    pub high: Option<u64>,
}

/// The crossing of costs at numbers of pages that rise; between two of them costs are taken to grow evenly.
#[must_use]
pub fn crossing(measured: &[Measured]) -> Crossing {
    let by = |pick: fn(&Measured) -> [i64; 2]| {
        crossover(measured.iter().map(move |at| (at.pages, pick(at))))
    };
    Crossing {
        pages: by(|at| [at.by_page.median, at.whole.median]),
        low: by(|at| [at.by_page.high, at.whole.low]),
        high: by(|at| [at.by_page.low, at.whole.high]),
    }
}

/// The smallest size from which on the second cost is below the first at every size that was measured; `None` if it is not at
/// the largest. `measured` has sizes, rising, with both costs at each; between two of them costs are taken to grow evenly.
fn crossover(measured: impl DoubleEndedIterator<Item = (u64, [i64; 2])> + Clone) -> Option<u64> {
    let below = |&(_, [first, second]): &(u64, [i64; 2])| second < first;
    let mut backwards = measured.clone().rev();
    let mut next = backwards.next().filter(below)?;
    for at in backwards {
        if below(&at) {
            next = at;
            continue;
        }
        let (size, [first, second]) = at;
        let (next_size, [next_first, next_second]) = next;
        let above = i128::from(second) - i128::from(first);
        let under = i128::from(next_first) - i128::from(next_second);
        let way = above * i128::from(next_size - size) / (above + under);
        // At equal costs the first serves as well: one further.
        let way = u64::try_from(way).unwrap_or(0);
        return Some((size + way + 1).min(next_size));
    }
    Some(next.0)
}

/// What follows for a ceiling: the most pages that are dropped one by one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Advice {
    /// It is too low beside every working set. To this it can be raised and is too high beside none.
    Raise(u64),
    /// It is too high beside every working set. To this it can be lowered and is too low beside none.
    Lower(u64),
    /// It lies between the bounds beside every working set.
    Keep,
    /// It is too low beside some and too high beside others: no one ceiling is right.
    Depends,
    /// The bounds are too wide, or too little was measured.
    Undecided,
}

/// The advice on a ceiling of `current` pages, by the crossings beside the working sets that are to count. `largest` is the most pages
/// that were measured.
#[must_use]
pub fn advice(current: u64, largest: u64, crossings: &[Crossing]) -> Advice {
    if crossings.is_empty() || current > largest {
        return Advice::Undecided;
    }
    // The bounds of the right ceiling. Where the crossing lies beyond all that was measured, so does the ceiling.
    let ceiling = |bound: Option<u64>| bound.map_or(u64::MAX, |pages| pages - 1);
    let bounds = || {
        crossings
            .iter()
            .map(|crossing| [crossing.low, crossing.high].map(ceiling))
    };
    let too_low = bounds().filter(|bounds| bounds[0] > current).count();
    let too_high = bounds().filter(|bounds| bounds[1] < current).count();
    let all = crossings.len();
    if too_low == all {
        return Advice::Raise(bounds().map(|[low, _]| low).min().unwrap_or(0).min(largest));
    }
    if too_high == all {
        return Advice::Lower(bounds().map(|[_, high]| high).max().unwrap_or(0));
    }
    match (too_low, too_high) {
        (0, 0) => Advice::Keep,
        (1.., 1..) => Advice::Depends,
        _ => Advice::Undecided,
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use super::*;

    /// The numbers of pages that the image measures.
    const PAGES: [u64; 4] = [1, 8, 64, 512];

    /// A machine in thousandths of a cycle: one flush of everything, one of a page, one walk.
    struct Machine {
        full: i64,
        invlpg: i64,
        walk: i64,
    }

    impl Machine {
        fn measured(&self, working_set: i64, noise: i64) -> Vec<Measured> {
            let cost = |median: i64| Cost {
                low: median - median * noise / 100,
                median,
                high: median + median * noise / 100,
            };
            let at = |pages: u64| Measured {
                pages,
                by_page: cost(self.invlpg * pages.cast_signed()),
                whole: cost(self.full + self.walk * working_set),
            };
            PAGES.map(at).to_vec()
        }

        fn crossing(&self, working_set: i64) -> Option<u64> {
            crossing(&self.measured(working_set, 0)).pages
        }
    }

    #[test]
    fn made_up_machines_cross_where_their_constants_say() {
        // The crossover beside 8, 64, 512 and 1,536 live translations.
        for (full, invlpg, walk, expected) in [
            (400, 120, 30, [Some(6), Some(20), Some(132), Some(388)]),
            // Cheap flushes of a page: by page is the way beyond 512 pages.
            (960, 40, 30, [Some(31), Some(73), Some(409), None]),
            // Dear ones.
            (124, 216, 7, [Some(1), Some(3), Some(18), Some(51)]),
            // Walks out of a cache that is far.
            (250, 100, 90, [Some(10), Some(61), Some(464), None]),
            // A guest: a walk in two dimensions, and a flush that leaves the guest.
            (2_600, 210, 55, [Some(15), Some(30), Some(147), Some(415)]),
        ] {
            let machine = Machine { full, invlpg, walk };
            let found = [8, 64, 512, 1536].map(|live| machine.crossing(live));
            assert_eq!(found, expected, "{full}, {invlpg}, {walk}");
            // And by the constants themselves, at any working set.
            for live in 0..2000 {
                let exact = ((full + walk * live) / invlpg + 1).cast_unsigned();
                let expected = Some(exact).filter(|&pages| pages <= 512);
                assert_eq!(
                    machine.crossing(live),
                    expected,
                    "{full}, {invlpg}, {walk}: {live}"
                );
            }
        }
    }

    #[test]
    fn what_touched_the_flushed_pages_again_saw_one_crossover_for_every_working_set() {
        let (full, invlpg, walk) = (400, 120, 30);
        for _live in [8, 64, 512, 1536] {
            let both_touch = PAGES.map(|pages| {
                let n = pages.cast_signed();
                Measured {
                    pages,
                    by_page: Cost::exact(invlpg * n + walk * n),
                    whole: Cost::exact(full + walk * n),
                }
            });
            assert_eq!(crossing(&both_touch).pages, Some(4));
        }
    }

    #[test]
    fn the_bounds_enclose_the_crossing_and_are_as_wide_as_the_costs() {
        let machine = Machine {
            full: 400,
            invlpg: 120,
            walk: 30,
        };
        let found = crossing(&machine.measured(512, 5));
        // 15,760 / 120 = 131.3, between 131.3 * 0.95 / 1.05 and 131.3 * 1.05 / 0.95.
        assert_eq!(
            (found.low, found.pages, found.high),
            (Some(119), Some(132), Some(146))
        );
        let wide = crossing(&machine.measured(1536, 20));
        assert_eq!((wide.low, wide.high), (Some(259), None));
    }

    fn between(low: u64, high: u64) -> Crossing {
        Crossing {
            pages: Some(low.midpoint(high)),
            low: Some(low),
            high: Some(high),
        }
    }

    #[test]
    fn advice_is_given_only_where_all_bounds_lie_on_one_side() {
        let beyond = Crossing {
            pages: None,
            low: None,
            high: None,
        };
        let advice = |crossings: &[Crossing]| advice(33, 512, crossings);
        assert_eq!(
            advice(&[between(60, 70), between(120, 140)]),
            Advice::Raise(59)
        );
        assert_eq!(advice(&[beyond, between(120, 140)]), Advice::Raise(119));
        assert_eq!(advice(&[beyond]), Advice::Raise(512));
        assert_eq!(advice(&[between(4, 6), between(19, 22)]), Advice::Lower(21));
        assert_eq!(advice(&[between(30, 40), between(20, 60)]), Advice::Keep);
        assert_eq!(
            advice(&[between(19, 22), between(120, 140)]),
            Advice::Depends
        );
        assert_eq!(
            advice(&[between(30, 40), between(120, 140)]),
            Advice::Undecided
        );
        assert_eq!(advice(&[]), Advice::Undecided);
        assert_eq!(super::advice(33, 8, &[between(4, 6)]), Advice::Undecided);
    }

    #[test]
    fn costs_that_do_not_cross() {
        let by = |costs: &[(u64, [i64; 2])]| crossover(costs.iter().copied());
        assert_eq!(by(&[(1, [1, 2]), (8, [8, 9])]), None);
        assert_eq!(by(&[(1, [2, 1]), (8, [8, 9])]), None, "in the end");
        assert_eq!(by(&[(1, [2, 1]), (8, [9, 8])]), Some(1));
        assert_eq!(by(&[(1, [2, 2]), (8, [9, 9])]), None);
        assert_eq!(by(&[]), None);
        // The last crossing counts.
        assert_eq!(by(&[(1, [5, 4]), (2, [5, 6]), (4, [9, 8])]), Some(4));
        assert!(by(&[(1, [0, i64::MAX]), (u64::MAX, [i64::MAX, i64::MIN])]).is_some());
    }
}
