//! The resolution of a case: the smallest figure that differs from zero.
//!
//! A difference of two readings is uncertain by two steps of the clock, and by as much as the empty bracket varies. Of a
//! throughput the cost of the call itself is another limit: the CPU overlaps call and operation, so that an operation that is shorter
//! than the call leaves no trace. A latency is in series with its call, and has no such limit.

use pagemark_record::{Class, Figure};

/// What is known of the brackets of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// What the figure is.
    pub class: Class,
    /// Operations in the smaller bracket.
    pub batch: u32,
    /// The step in which the clock moves, in ticks.
    pub quantum: u64,
    /// The quarter and three quarters of the costs of the empty bracket, an operation.
    pub spread: [Figure; 2],
    /// What they come to ([`overhead`]).
    pub overhead: Figure,
}

/// By how much a figure may be off for the clock's steps: each of its two readings by one of them.
#[must_use]
pub fn step(quantum: u64, batch: u32) -> Figure {
    Figure::share(quantum.cast_signed(), batch)
}

/// The cost of the harness by the costs of the empty bracket, sorted: their mean without the fifth at either end. On a clock with steps
/// their median is one step or the next, and jumps between the two; the mean has what lies between.
#[must_use]
pub fn overhead(sorted: &[Figure]) -> Figure {
    let end = sorted.len() / 5;
    let middle = &sorted[end..sorted.len() - end];
    let count = i64::try_from(middle.len()).unwrap_or(i64::MAX).max(1);
    let sum: i64 = middle.iter().map(|figure| figure.thousandths()).sum();
    Figure::from_thousandths(sum / count)
}

/// The resolution of a case, in ticks.
#[must_use]
pub fn resolution(known: Known) -> Figure {
    let step = step(known.quantum, known.batch);
    let steps = Figure::from_thousandths(2 * step.thousandths());
    let [low, high] = known.spread;
    let hidden = match known.class {
        Class::Throughput => known.overhead,
        Class::Latency | Class::Single => Figure::default(),
    };
    steps.max(high.less(low)).max(hidden)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(class: Class, batch: u32) -> Known {
        Known {
            class,
            batch,
            quantum: 26,
            spread: [100.into(), 100.into()],
            overhead: 100.into(),
        }
    }

    #[test]
    fn two_steps_of_the_clock_at_least() {
        let single = known(Class::Single, 1);
        assert_eq!(resolution(single), 52.into());
        assert_eq!(
            resolution(known(Class::Latency, 64)),
            Figure::from_thousandths(2 * 406)
        );
        let unsteady = Known {
            spread: [100.into(), 178.into()],
            ..single
        };
        assert_eq!(resolution(unsteady), 78.into());
    }

    #[test]
    fn the_overhead_lies_between_two_steps() {
        let of =
            |costs: &[u64]| overhead(&costs.iter().map(|&cost| cost.into()).collect::<Vec<_>>());
        assert_eq!(of(&[26, 26, 26, 52, 52, 52]), 39.into());
        assert_eq!(of(&[26, 52, 52, 52, 9000]), 52.into());
        assert_eq!(of(&[7]), 7.into());
        assert_eq!(of(&[]), 0.into());
    }

    #[test]
    fn what_hides_behind_the_call_is_not_resolved() {
        let throughput = Known {
            overhead: 4.into(),
            ..known(Class::Throughput, 64)
        };
        assert_eq!(resolution(throughput), 4.into());
    }
}
