//! Rows of one group, timed in turns: two milliseconds of each, and so on for a hundred rounds. Before each turn there is one that
//! is not timed, as the others had the caches meanwhile.
//!
//! Criterion times one function after the other, a second each, and a host that others use, too, is fast for some seconds and slow
//! for the next. This way it is so for all rows alike. Criterion gets the times when all are there, and makes of them what it makes
//! of its own: estimates, plots, files for other tools.

use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};

/// How long a row has its turn.
const TURN: Duration = Duration::from_millis(2);

/// Turns of each row, of which criterion takes a sample each.
const ROUNDS: usize = 100;

/// Times the given number of iterations.
type Timed = Box<dyn FnMut(u32) -> Duration>;

/// A group whose rows take turns.
pub struct Turns<'c> {
    group: BenchmarkGroup<'c, WallTime>,
    rows: Vec<(String, Timed)>,
}

impl<'c> Turns<'c> {
    /// A group of this name; `elements` are handled by an iteration.
    pub fn new(criterion: &'c mut Criterion, name: impl Into<String>, elements: u64) -> Self {
        let mut group = criterion.benchmark_group(name);
        group.sample_size(ROUNDS);
        // Nothing is executed when criterion believes to.
        group.warm_up_time(Duration::from_nanos(1));
        group.throughput(Throughput::Elements(elements));
        let rows = Vec::new();
        Turns { group, rows }
    }

    /// Adds a row, one iteration of which is `step`.
    pub fn row(&mut self, name: &str, mut step: impl FnMut() + 'static) {
        let timed = move |iterations| {
            let start = Instant::now();
            for _ in 0..iterations {
                step();
            }
            start.elapsed()
        };
        self.rows.push((name.to_owned(), Box::new(timed)));
    }

    /// Times all rows, and hands the times to criterion.
    pub fn finish(mut self) {
        let iterations: Vec<u32> = self
            .rows
            .iter_mut()
            .map(|(_, timed)| iterations(timed))
            .collect();
        let mut times = vec![Vec::with_capacity(ROUNDS); self.rows.len()];
        for _ in 0..ROUNDS {
            for (((_, timed), &count), times) in
                self.rows.iter_mut().zip(&iterations).zip(&mut times)
            {
                timed(count);
                times.push(timed(count).as_secs_f64() / f64::from(count));
            }
        }
        for ((name, _), times) in self.rows.iter().zip(&times) {
            let mut next = times.iter().cycle();
            self.group.bench_function(name, |bencher| {
                bencher.iter_custom(|iterations| {
                    let time = next.next().expect("a cycle of times");
                    Duration::from_secs_f64(time * iterations as f64)
                });
            });
        }
        self.group.finish();
    }
}

/// How many iterations take a turn.
fn iterations(timed: &mut Timed) -> u32 {
    let mut count = 1;
    while count < 1 << 24 && timed(count) < TURN {
        count *= 2;
    }
    count
}
