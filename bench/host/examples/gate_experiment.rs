//! How well the gate tells a regression of 2 % from noise: suites of 60 cases with 10 boots a side, made up with noise, bimodality
//! and drift of known size, judged as real logs are.
//!
//! `cargo run --release -p pagemark-host --example gate_experiment -- [TRIALS]`
//!
//! A boot's figure is the median of 31 rounds, as in a log. A round has noise of 1 %; one in seven lies in a second mode 6 % above,
//! one in a hundred takes three times as long; the campaign drifts by 0.3 % from its first boot to its last, the boots of the
//! two sides taking turns. What differs between the rows is how far identical boots lie apart.

use std::collections::BTreeMap;

use pagemark_host::gate::Finding;
use pagemark_host::gate::ticks::{Boots, FALSE_ALARMS, Floors, judge, median};
use pagemark_record::{Clock, Figure};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use rand_distr::{Distribution, StandardNormal};

const CASES: usize = 60;
const BOOTS: usize = 10;
const ROUNDS: usize = 31;
const REGRESSION: f64 = 0.02;
const ROUND_NOISE: f64 = 0.01;
const DRIFT: f64 = 0.003;

fn main() {
    let trials: u32 = match std::env::args().nth(1).map(|word| word.parse()) {
        None => 2000,
        Some(Ok(trials)) if trials > 0 => trials,
        Some(_) => {
            eprintln!("usage: gate_experiment [TRIALS]");
            std::process::exit(2);
        }
    };
    println!("{CASES} cases, {BOOTS} boots a side, {trials} trials a row, seed 1\n");
    println!(
        "| boots of one image lie apart by (SD) | 2 % regression found | suites with a false alarm | false alarms per case |"
    );
    println!("| --- | --- | --- | --- |");
    for boot_noise in [0.001, 0.002, 0.003, 0.004, 0.006] {
        let mut random = StdRng::seed_from_u64(1);
        let (mut found, mut suites, mut alarms) = (0_u32, 0_u32, 0_usize);
        for _ in 0..trials {
            let slow = random.random_range(0..CASES);
            let findings = trial(&mut random, boot_noise, Some(slow));
            found += u32::from(findings[slow] == Finding::Slower);
            let false_ones = trial(&mut random, boot_noise, None)
                .into_iter()
                .filter(|&finding| finding != Finding::Same)
                .count();
            alarms += false_ones;
            suites += u32::from(false_ones > 0);
        }
        let share = |count: f64| 100.0 * count / f64::from(trials);
        println!(
            "| {:.1} % | {:.2} % | {:.3} % | {:.5} % |",
            boot_noise * 100.0,
            share(f64::from(found)),
            share(f64::from(suites)),
            share(alarms as f64) / CASES as f64
        );
    }
}

/// What the gate finds of each case, where the case `slow`, if any, costs more on the new side.
fn trial(random: &mut StdRng, boot_noise: f64, slow: Option<usize>) -> Vec<Finding> {
    let costs: Vec<f64> = (0..CASES)
        .map(|_| 10_f64.powf(random.random_range(2.0..5.0)))
        .collect();
    let (mut base, mut new): (Boots, Boots) = (BTreeMap::new(), BTreeMap::new());
    for boot in 0..2 * BOOTS {
        let drift = 1.0 + DRIFT * boot as f64 / (2 * BOOTS - 1) as f64;
        let new_side = boot % 2 == 1;
        for (case, cost) in costs.iter().enumerate() {
            let regression = if new_side && slow == Some(case) {
                1.0 + REGRESSION
            } else {
                1.0
            };
            let apart = 1.0 + boot_noise * normal(random);
            let rounds: Vec<f64> = (0..ROUNDS)
                .map(|_| round(random, cost * drift * regression * apart))
                .collect();
            let side = if new_side { &mut new } else { &mut base };
            side.entry(format!("{case:02}"))
                .or_default()
                .push(median(&rounds));
        }
    }
    let judgement = judge(&base, &new, &Floors::new(), Clock::Tsc, FALSE_ALARMS);
    judgement.rows.iter().map(|row| row.finding).collect()
}

/// One round's figure, to the thousandth of a tick as a log has it.
fn round(random: &mut StdRng, cost: f64) -> f64 {
    let mode = if random.random_bool(1.0 / 7.0) {
        1.06
    } else {
        1.0
    };
    let outlier = if random.random_bool(0.01) { 3.0 } else { 1.0 };
    let ticks = cost * mode * outlier * (1.0 + ROUND_NOISE * normal(random));
    Figure::from_thousandths((ticks * 1000.0).round() as u64).as_f64()
}

fn normal(random: &mut impl Rng) -> f64 {
    StandardNormal.sample(random)
}
