//! Chains of 1 to 200 additions through the image's own bracket, on the CPU that runs the test: each has to come out as long as it is.
//!
//! A tick is no core cycle: how many ticks an addition takes is measured beside the chains, by a long run of additions in a plain loop.
//! What else runs on the machine adds to a sample, or moves the core's clock between the two: a chain is right if most tries of a
//! series are, and there are some series. A busy machine fails that all the same, so these tests run on request alone; under the
//! instruction clock the figures of `control/chain=N` are held exactly in every run.

use core::mem::MaybeUninit;

use pagemark_bracket::block::{PAIR, independent, nothing, nothing_linked};
use pagemark_bracket::chain::{additions, operation};
use pagemark_bracket::{Brackets, Operation, SWEEP, Sample};
use pagemark_record::{Class, Figure};
use pagemark_statistics::summarise;

/// Operations in the smaller bracket of a sample.
const BATCH: u32 = 64;
const SAMPLES: usize = 201;
/// Tries of a series, of which more than half have to be right.
const TRIES: usize = 9;
const SERIES: u32 = 5;

const fn chain<const N: usize>() -> (usize, Operation) {
    (N, operation::<N>)
}

/// The chains of ten lengths from ten times each number, and one, upwards.
macro_rules! tens {
    ($($tens:literal)*) => {
        [$(
            chain::<{ 10 * $tens + 1 }>(),
            chain::<{ 10 * $tens + 2 }>(),
            chain::<{ 10 * $tens + 3 }>(),
            chain::<{ 10 * $tens + 4 }>(),
            chain::<{ 10 * $tens + 5 }>(),
            chain::<{ 10 * $tens + 6 }>(),
            chain::<{ 10 * $tens + 7 }>(),
            chain::<{ 10 * $tens + 8 }>(),
            chain::<{ 10 * $tens + 9 }>(),
            chain::<{ 10 * $tens + 10 }>(),
        )*]
    };
}

/// Every length from 1 to 200.
static CHAINS: [(usize, Operation); 200] = tens!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19);

/// Ticks of one addition: the least of some long runs of them. Without optimisation the loop around them adds 3 %.
fn ticks_per_addition() -> f64 {
    const RUN: usize = 200;
    const CALLS: u64 = 200;
    unsafe extern "C" fn run(state: *mut ()) -> MaybeUninit<u64> {
        MaybeUninit::new((0..CALLS).fold(state as u64, |sum, _| additions::<RUN>(sum)))
    }
    // SAFETY: both take any pointer.
    let times = (0..50).map(|_| unsafe { independent(run, core::ptr::null_mut(), 1) });
    times.min().unwrap() as f64 / (RUN as f64 * CALLS as f64)
}

/// The median cost of an operation, as the harness of the image comes to it.
fn cost(brackets: Brackets, operation: Operation) -> Figure {
    let samples: Vec<Sample> = (0..SAMPLES)
        .map(|_| {
            let prepared = |_, run: &mut dyn FnMut()| {
                run();
                Ok::<(), ()>(())
            };
            // SAFETY: a chain takes any pointer.
            unsafe { brackets.sample(operation, core::ptr::null_mut(), prepared) }.unwrap()
        })
        .collect();
    let median = |of: fn(&Sample) -> Figure| {
        let mut figures: Vec<Figure> = samples.iter().map(of).collect();
        summarise(&mut figures).unwrap().median
    };
    median(|sample| sample.with_operation).less(median(|sample| sample.empty))
}

#[test]
fn the_lengths_are_one_to_two_hundred() {
    let lengths: Vec<usize> = CHAINS.iter().map(|&(length, _)| length).collect();
    assert_eq!(lengths, (1..=200).collect::<Vec<_>>());
}

/// Whether a figure is right: within one tick, or 2 %.
fn is_right(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= f64::max(1.0, expected * 0.02)
}

#[test]
#[ignore = "holds a timing, which needs a quiet machine: cargo test --release -p pagemark-bracket -- --ignored"]
fn every_chain_is_as_long_as_it_is() {
    let mut wrong = Vec::new();
    let mut worst = 0.0_f64;
    let off = |&(found, expected): &(f64, f64)| (found - expected).abs();
    for pair in [SWEEP[0], SWEEP[3]] {
        let brackets = Brackets {
            pair,
            class: Class::Latency,
            batch: BATCH,
        };
        for &(length, operation) in &CHAINS {
            let mut seen = Vec::new();
            let right = (0..SERIES).any(|_| {
                seen = (0..TRIES)
                    .map(|_| {
                        let before = ticks_per_addition();
                        let found = cost(brackets, operation).as_f64();
                        let ticks = before.min(ticks_per_addition());
                        (found, ticks * length as f64)
                    })
                    .collect();
                most(&seen, |&(found, expected)| is_right(found, expected))
            });
            seen.sort_by(|one, other| off(one).total_cmp(&off(other)));
            let (found, expected) = seen[TRIES / 2];
            println!("chain={length}: {found:.3} of {expected:.3} ticks");
            worst = worst.max(off(&(found, expected)));
            if !right {
                wrong.push(format!("chain={length}: (found, expected) {seen:?}"));
            }
        }
    }
    println!("at most {worst:.3} ticks off, by the middle try of each length");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether more than half of `all` are as they should be.
fn most<T>(all: &[T], good: impl Fn(&T) -> bool) -> bool {
    2 * all.iter().filter(|one| good(one)).count() > all.len()
}

/// What the test above would not be worth anything without: it sees an operation that is one addition longer than is claimed.
#[test]
fn a_chain_of_another_length_is_not_right() {
    assert!(is_right(1.62, 1.0) && !is_right(3.7, 1.0));
    assert!(is_right(101.9, 100.0) && !is_right(102.1, 100.0));
}

#[test]
#[ignore = "holds a timing, which needs a quiet machine: cargo test --release -p pagemark-bracket -- --ignored"]
fn nothing_costs_nothing() {
    for class in [Class::Latency, Class::Throughput, Class::Single] {
        let brackets = Brackets {
            pair: PAIR,
            class,
            batch: if class == Class::Single { 1 } else { BATCH },
        };
        let empty: Operation = match class {
            Class::Latency => nothing_linked,
            Class::Throughput | Class::Single => nothing,
        };
        let mut seen = Vec::new();
        let right = (0..SERIES).any(|_| {
            seen = (0..TRIES).map(|_| cost(brackets, empty).as_f64()).collect();
            // A clock with steps shows a single bracket to one of them.
            let step = if class == Class::Single { 40.0 } else { 1.0 };
            most(&seen, |cost| cost.abs() <= step)
        });
        assert!(right, "{class}: {seen:?}");
    }
}
