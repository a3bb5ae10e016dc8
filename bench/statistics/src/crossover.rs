//! Where two costs that grow with a size cross.

/// The smallest size from which on the second cost is below the first at every size that was measured; `None` if it is not at
/// the largest. `measured` has sizes, rising, with both costs at each; between two of them costs are taken to grow evenly.
#[must_use]
pub fn crossover(measured: &[(u64, [u64; 2])]) -> Option<u64> {
    let below = |&(_, [first, second]): &(u64, [u64; 2])| second < first;
    if !measured.last().is_some_and(below) {
        return None;
    }
    let Some(last_above) = measured.iter().rposition(|point| !below(point)) else {
        return measured.first().map(|&(size, _)| size);
    };
    let (size, [first, second]) = measured[last_above];
    let (next_size, [next_first, next_second]) = measured[last_above + 1];
    let above = u128::from(second - first);
    let below = u128::from(next_first - next_second);
    let way = above * u128::from(next_size - size) / (above + below);
    // At equal costs the first serves as well: one further.
    Some((size + way as u64 + 1).min(next_size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_that_cross_between_two_sizes() {
        // 10 a page against 100 and 1 a page: equal at 11.1 pages.
        let measured = [1, 8, 64, 512].map(|size| (size, [10 * size, 100 + size]));
        assert_eq!(crossover(&measured), Some(12));
        // Equal at just 20 pages: from 21 on.
        let measured = [1, 64].map(|size| (size, [10 * size, 100 + 5 * size]));
        assert_eq!(crossover(&measured), Some(21));
    }

    #[test]
    fn costs_that_do_not_cross() {
        assert_eq!(crossover(&[(1, [1, 2]), (8, [8, 9])]), None);
        assert_eq!(crossover(&[(1, [2, 1]), (8, [8, 9])]), None, "in the end");
        assert_eq!(crossover(&[(1, [2, 1]), (8, [9, 8])]), Some(1));
        assert_eq!(crossover(&[(1, [2, 2]), (8, [9, 9])]), None);
        assert_eq!(crossover(&[]), None);
    }

    #[test]
    fn the_last_crossing_counts() {
        let measured = [(1, [5, 4]), (2, [5, 6]), (4, [9, 8])];
        assert_eq!(crossover(&measured), Some(4));
    }

    #[test]
    fn costs_may_be_as_large_as_they_come() {
        let measured = [(1, [0, u64::MAX]), (u64::MAX, [u64::MAX, 0])];
        assert!(crossover(&measured).is_some());
    }
}
