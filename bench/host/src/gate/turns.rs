//! Whether the boots of two sides took turns. If one side was measured after the other, what drifted meanwhile cannot be separated from
//! a change.

use std::fmt;

use crate::log::Log;
use crate::log::origin::DateSource;

/// The most of the variance of the times that may lie between the sides: 0 where they take turns, 3/4 where one follows the other.
const MOST_BETWEEN: f64 = 0.5;

/// When the boots of each side were made, in one order of all.
#[derive(Clone, Debug, PartialEq)]
pub enum Turns {
    /// Nothing says when.
    Unknown,
    /// The place of each boot in time, from 0, of the base and of the new side.
    Known([Vec<f64>; 2]),
}

impl Turns {
    /// By the numbers that the command lines give (`boot=`), else by the dates: of the machines' clocks, or of the files' names.
    /// Times of modification say when a file was copied, and are not believed.
    pub fn of(base: &[Log], new: &[Log]) -> Self {
        let all = || base.iter().chain(new);
        let numbers: Option<Vec<u64>> = all().map(|log| log.boot_number()).collect();
        if let Some(numbers) = numbers
            && distinct(&numbers)
        {
            return Self::in_order(&numbers, base.len());
        }
        let dates: Option<Vec<_>> = all().map(|log| log.origin.date).collect();
        match dates {
            Some(dates)
                if dates.iter().all(|date| {
                    date.source != DateSource::Modified && date.source == dates[0].source
                }) =>
            {
                let times: Vec<_> = dates.iter().map(|date| date.time).collect();
                match distinct(&times) {
                    true => Self::in_order(&times, base.len()),
                    false => Self::Unknown,
                }
            }
            _ => Self::Unknown,
        }
    }

    /// By what is in order of time.
    pub fn in_order<T: Ord>(keys: &[T], base: usize) -> Self {
        let mut order: Vec<usize> = (0..keys.len()).collect();
        order.sort_by_key(|&boot| &keys[boot]);
        let mut places = vec![0.0; keys.len()];
        for (place, &boot) in order.iter().enumerate() {
            places[boot] = place as f64;
        }
        let new = places.split_off(base);
        Self::Known([places, new])
    }

    /// Whether one side was measured so much after the other that a drift looks like a change. Two boots decide nothing, and
    /// have no order that could be better.
    pub fn are_missing(&self) -> bool {
        let Self::Known([base, new]) = self else {
            return false;
        };
        if base.len() + new.len() <= 2 {
            return false;
        }
        let mean = |times: &[f64]| times.iter().sum::<f64>() / times.len() as f64;
        let all = [base.as_slice(), new].concat();
        let middle = mean(&all);
        let squares: f64 = all.iter().map(|time| (time - middle).powi(2)).sum();
        let between = |side: &[f64]| side.len() as f64 * (mean(side) - middle).powi(2);
        squares > 0.0 && (between(base) + between(new)) / squares > MOST_BETWEEN
    }
}

impl fmt::Display for Turns {
    /// The order of the sides, `b` for a boot of the base and `n` for one of the new side.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Known([base, new]) = self else {
            return f.write_str("unknown");
        };
        let mut all: Vec<(f64, char)> = base.iter().map(|time| (*time, 'b')).collect();
        all.extend(new.iter().map(|time| (*time, 'n')));
        all.sort_by(|left, right| left.0.total_cmp(&right.0));
        all.iter().try_for_each(|(_, side)| write!(f, "{side}"))
    }
}

fn distinct<T: Ord>(keys: &[T]) -> bool {
    let mut sorted: Vec<&T> = keys.iter().collect();
    sorted.sort();
    sorted.windows(2).all(|pair| pair[0] != pair[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(order: &str) -> Turns {
        let side = |wanted: char| {
            order
                .char_indices()
                .filter(move |(_, side)| *side == wanted)
                .map(|(place, _)| place)
        };
        let base: Vec<usize> = side('b').collect();
        let keys: Vec<usize> = base.iter().copied().chain(side('n')).collect();
        Turns::in_order(&keys, base.len())
    }

    #[test]
    fn one_side_after_the_other_is_noticed() {
        for (order, missing) in [
            ("bbbbbbbbbbnnnnnnnnnn", true),
            ("nnnnnnnnbbbbbbbb", true),
            ("bbbbbbbbnbnnnnnnnn", true),
            ("bnbnbnbnbnbnbnbn", false),
            ("bbbbbnnnnnnnnnnbbbbb", false),
            ("bnnbbnnbbnnbbnnb", false),
            ("bbbbnnnnbbbbnnnn", false),
            ("bn", false),
            ("bbn", true),
        ] {
            let turns = turns(order);
            assert_eq!(turns.are_missing(), missing, "{order}");
            assert_eq!(turns.to_string(), order);
        }
        assert!(!Turns::Unknown.are_missing());
    }
}
