//! How well the gate distinguishes a regression from noise: suites of 149 cases, made up with noise of known size and shape, judged as real
//! logs are.
//!
//! `cargo run --release -p pagemark-host --example gate_experiment -- [TRIALS [campaigns | FOLDER]]`
//!
//! With a folder of logs of one build, the campaigns are made of these ([`logs`]): `for n in $(seq 40); do scripts/run.sh --hosted --append
//! boot=$n --log runs/$n.log; done`.
//!
//! The first table is of campaigns ([`campaigns`]): what is found and what is a false alarm where sides take turns or not, have
//! unlike noise or numbers, and all kinds of noise act at once. The others are of one regression of 2 % with 10 boots a side, by
//! size and shape of the noise; and beside it what Mann-Whitney's U with Holm's correction makes of the same suites.
//!
//! A boot's figure is the median of 31 rounds, as in a log. A round has noise of 1 %; one in seven lies in a second mode 6 % above,
//! one in a hundred takes three times as long. Between the boots of one image lies what differs from table to table: its standard
//! deviation is a row, its shape a column ([`Shape`]). The campaign drifts by 0.3 % from its first boot to its last, the boots of
//! the two sides taking turns. A trial is a suite in which one case costs 2 % more on the new side, and one in which none does.
//! Intervals enclose the rate with 95 % (Clopper and Pearson, "The use of confidence or fiducial limits", 1934).

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

#[path = "campaigns/mod.rs"]
mod campaigns;
#[path = "campaigns/logs.rs"]
mod logs;

use pagemark_host::gate::Finding;
use pagemark_host::gate::ticks::{Boot, DEFAULT_FLOOR, FALSE_ALARMS, Floors, judge, median};
use pagemark_record::{Clock, Figure};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use rand_distr::{Distribution, StandardNormal, StudentT};
use statrs::distribution::{Beta, ContinuousCDF};

const CASES: usize = 149;
const BOOTS: usize = 10;
const ROUNDS: usize = 31;
const REGRESSION: f64 = 0.02;
const ROUND_NOISE: f64 = 0.01;
const DRIFT: f64 = 0.003;
/// What Mann-Whitney's U is held to beside the gate: all that is allowed.
const ALLOWED: f64 = 0.001;
/// Standard deviations between boots of one image.
const APART: [f64; 8] = [0.001, 0.002, 0.003, 0.004, 0.005, 0.006, 0.008, 0.01];
const SHAPES: [Shape; 7] = [
    Shape::Normal,
    Shape::HeavyTails,
    Shape::TwoModes,
    Shape::RareMode,
    Shape::Drift,
    Shape::Unlike,
    Shape::Together,
];

/// How boots of one image differ.
#[derive(Clone, Copy, PartialEq)]
enum Shape {
    /// By normal noise.
    Normal,
    /// By Student's t with 3 degrees of freedom: one boot in a hundred lies more than 2.6 standard deviations out, some very far.
    HeavyTails,
    /// By falling into one of two modes, equally often.
    TwoModes,
    /// By falling into a second, slower mode one time in seven.
    RareMode,
    /// By normal noise, while the campaign drifts by 1 %.
    Drift,
    /// By normal noise whose size differs from case to case, by a factor of 2 either way or more for a third of them. The row gives
    /// that of the case that becomes slower.
    Unlike,
    /// By normal noise, half of whose variance a boot's cases have in common.
    Together,
}

impl Shape {
    const fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::HeavyTails => "heavy tails",
            Self::TwoModes => "two modes",
            Self::RareMode => "a rare mode",
            Self::Drift => "drift of 1 %",
            Self::Unlike => "cases unlike",
            Self::Together => "cases together",
        }
    }

    /// A boot's deviation, of variance 1.
    fn deviation(self, random: &mut StdRng, common: f64) -> f64 {
        // Two modes with normal noise about each: the probability of the upper one, and the variance between them.
        let modes = |random: &mut StdRng, upper: f64, between: f64| {
            let apart = (between / (upper * (1.0 - upper))).sqrt();
            let mode = f64::from(u8::from(random.random_bool(upper)));
            (mode - upper) * apart + (1.0 - between).sqrt() * normal(random)
        };
        match self {
            Self::Normal | Self::Drift | Self::Unlike => normal(random),
            Self::HeavyTails => {
                let tails = StudentT::new(3.0).expect("3 is positive");
                tails.sample(random) / 3_f64.sqrt()
            }
            Self::TwoModes => modes(random, 0.5, 0.8),
            Self::RareMode => modes(random, 1.0 / 7.0, 0.8),
            Self::Together => (common + normal(random)) / 2_f64.sqrt(),
        }
    }
}

/// What is counted of one shape and size of noise.
#[derive(Clone, Copy, Default)]
struct Counts {
    /// Regressions that the gate found.
    found: u32,
    /// Suites without one in which it found a change.
    alarms: u32,
    /// Regressions that Mann-Whitney's U found.
    found_by_ranks: u32,
    /// Suites without one in which that found a change.
    alarms_by_ranks: u32,
}

fn main() {
    let trials: u32 = match std::env::args().nth(1).map(|word| word.parse()) {
        None => 2000,
        Some(Ok(trials)) if trials > 0 => trials,
        Some(_) => {
            eprintln!("usage: gate_experiment [TRIALS [campaigns | FOLDER]]");
            std::process::exit(2);
        }
    };
    let what = std::env::args().nth(2);
    if let Some(folder) = what.as_deref().filter(|&word| word != "campaigns") {
        if let Err(error) = logs::table(folder.as_ref(), trials) {
            eprintln!("gate_experiment: {error:#}");
            std::process::exit(2);
        }
        return;
    }
    println!("{CASES} cases, {trials} trials a figure\n");
    campaigns::table(trials);
    if what.is_some() {
        return;
    }
    println!("{BOOTS} boots a side:\n");
    let counts = all(trials);
    let rate = |count: u32| format!("{:.2} %", percent(count, trials));
    let both = |count: u32| {
        let [low, high] = interval(count, trials);
        let share = percent(count, trials);
        format!("{share:.2} % ({low:.2} to {high:.2})")
    };
    println!("Regressions of 2 % found by the gate, where boots of one image lie apart by (SD):\n");
    table(|counts| both(counts.found), &counts);
    println!("By Mann-Whitney's U and Holm's correction:\n");
    table(|counts| rate(counts.found_by_ranks), &counts);
    println!("Suites without a regression in which the gate raises a false alarm:\n");
    table(|counts| rate(counts.alarms), &counts);
    println!("All sizes of noise together:\n");
    println!("| noise | the gate | Mann-Whitney's U |\n| --- | --- | --- |");
    for (shape, of_shape) in SHAPES.iter().zip(&counts) {
        let suites = trials * APART.len() as u32;
        let message = |count: u32| {
            let [low, high] = interval(count, suites);
            format!("{:.3} % ({low:.3} to {high:.3})", percent(count, suites))
        };
        let alarms = of_shape.iter().map(|counts| counts.alarms).sum();
        let by_ranks = of_shape.iter().map(|counts| counts.alarms_by_ranks).sum();
        println!(
            "| {} | {} | {} |",
            shape.name(),
            message(alarms),
            message(by_ranks)
        );
    }
}

/// A table with a row for each size of noise and a column for each shape.
fn table(cell: impl Fn(&Counts) -> String, counts: &[[Counts; APART.len()]; SHAPES.len()]) {
    let line = |cells: Vec<String>| println!("| {} |", cells.join(" | "));
    let names = SHAPES.iter().map(|shape| shape.name().to_owned());
    line([String::new()].into_iter().chain(names).collect());
    line(vec!["---".to_owned(); SHAPES.len() + 1]);
    for (row, apart) in APART.iter().enumerate() {
        let cells = counts.iter().map(|of_shape| cell(&of_shape[row]));
        let first = format!("{:.1} %", apart * 100.0);
        line([first].into_iter().chain(cells).collect());
    }
    println!();
}

/// Every shape and size of noise, on all CPUs.
fn all(trials: u32) -> [[Counts; APART.len()]; SHAPES.len()] {
    let counts = Mutex::new([[Counts::default(); APART.len()]; SHAPES.len()]);
    let next = AtomicUsize::new(0);
    let medians = round_medians();
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= SHAPES.len() * APART.len() {
                break;
            }
            let of_trials = count(at, trials, &medians);
            counts
                .lock()
                .expect("no thread panicked")
                .as_flattened_mut()[at] = of_trials;
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    counts.into_inner().expect("no thread panicked")
}

/// Counts trials of one shape and size of noise, the figure `at` of a table. Each has a seed of its own: alarms in one are no news
/// of another.
fn count(at: usize, trials: u32, medians: &[f64]) -> Counts {
    let (shape, apart) = (SHAPES[at / APART.len()], APART[at % APART.len()]);
    let mut random = StdRng::seed_from_u64(at as u64);
    let mut counts = Counts::default();
    for _ in 0..trials {
        let slow = random.random_range(0..CASES);
        let (found, by_ranks) = trial(&mut random, shape, apart, Some(slow), medians);
        counts.found += u32::from(found[slow] == Finding::Slower);
        counts.found_by_ranks += u32::from(by_ranks[slow]);
        let (found, by_ranks) = trial(&mut random, shape, apart, None, medians);
        counts.alarms += u32::from(found.iter().any(|&finding| finding != Finding::Same));
        counts.alarms_by_ranks += u32::from(by_ranks.contains(&true));
    }
    counts
}

/// What the gate finds of each case, where the case `slow`, if any, costs more on the new side, and which of them Mann-Whitney's U
/// says have changed.
fn trial(
    random: &mut StdRng,
    shape: Shape,
    apart: f64,
    slow: Option<usize>,
    medians: &[f64],
) -> (Vec<Finding>, Vec<bool>) {
    let costs: [f64; CASES] = std::array::from_fn(|_| 10_f64.powf(random.random_range(2.0..5.0)));
    let sizes: [f64; CASES] = std::array::from_fn(|case| match shape {
        Shape::Unlike if slow != Some(case) => apart * (0.7 * normal(random)).exp(),
        _ => apart,
    });
    let drift = if shape == Shape::Drift { 0.01 } else { DRIFT };
    let mut sides: [Vec<Boot>; 2] = [Vec::new(), Vec::new()];
    for boot in 0..2 * BOOTS {
        let drifted = 1.0 + drift * boot as f64 / (2 * BOOTS - 1) as f64;
        let new = boot % 2;
        let common = normal(random);
        let figures = (0..CASES).map(|case| {
            let regression = match slow {
                Some(slow) if new == 1 && slow == case => 1.0 + REGRESSION,
                _ => 1.0,
            };
            let deviation = 1.0 + sizes[case] * shape.deviation(random, common);
            let rounds = medians[random.random_range(0..medians.len())];
            let ticks = costs[case] * drifted * regression * deviation * rounds;
            // To the thousandth of a tick, as a log has it.
            let figure = Figure::from_thousandths((ticks * 1000.0).round() as i64);
            (format!("{case:02}"), figure.as_f64())
        });
        let figures = figures.collect();
        sides[new].push(figures);
    }
    let [base, new] = sides;
    let judgement = judge(&base, &new, &Floors::new(), Clock::Tsc, FALSE_ALARMS);
    let alone: Vec<f64> = judgement.rows.iter().filter_map(|row| row.p).collect();
    debug_assert_eq!(alone.len(), CASES);
    let above_floor = judgement
        .rows
        .iter()
        .map(|row| row.rise().abs() > DEFAULT_FLOOR);
    let by_ranks = holm(&alone, ALLOWED).into_iter().zip(above_floor);
    (
        judgement.rows.iter().map(|row| row.finding).collect(),
        by_ranks
            .map(|(rejected, above)| rejected && above)
            .collect(),
    )
}

/// Which hypotheses are rejected while the probability of even one false rejection stays within `alpha` (Holm 1979).
fn holm(p_values: &[f64], alpha: f64) -> Vec<bool> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&left, &right| p_values[left].total_cmp(&p_values[right]));
    let mut rejected = vec![false; p_values.len()];
    for (place, &index) in order.iter().enumerate() {
        if p_values[index] > alpha / (p_values.len() - place) as f64 {
            break;
        }
        rejected[index] = true;
    }
    rejected
}

/// Medians of the rounds of many boots, of a case that costs 1. Trials draw from them.
fn round_medians() -> Vec<f64> {
    let mut random = StdRng::seed_from_u64(u64::MAX);
    let mut boot = || {
        let rounds: Vec<f64> = (0..ROUNDS).map(|_| round(&mut random)).collect();
        median(&rounds)
    };
    (0..200_000).map(|_| boot()).collect()
}

/// One round's figure, of a case that costs 1.
fn round(random: &mut StdRng) -> f64 {
    let mode = if random.random_bool(1.0 / 7.0) {
        1.06
    } else {
        1.0
    };
    let outlier = if random.random_bool(0.01) { 3.0 } else { 1.0 };
    mode * outlier * (1.0 + ROUND_NOISE * normal(random))
}

fn normal(random: &mut impl Rng) -> f64 {
    StandardNormal.sample(random)
}

fn percent(count: u32, of: u32) -> f64 {
    100.0 * f64::from(count) / f64::from(of)
}

/// The 95 % interval of a rate, in per cent.
fn interval(count: u32, of: u32) -> [f64; 2] {
    let (count, of) = (f64::from(count), f64::from(of));
    let bound = |a: f64, b: f64, p: f64| {
        let beta = Beta::new(a, b).expect("counts are positive");
        100.0 * beta.inverse_cdf(p)
    };
    [
        if count > 0.0 {
            bound(count, of - count + 1.0, 0.025)
        } else {
            0.0
        },
        if count < of {
            bound(count + 1.0, of - count, 0.975)
        } else {
            100.0
        },
    ]
}
