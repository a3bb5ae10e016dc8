//! Campaigns of boots whose sides are unlike, follow each other, or have every kind of noise at once.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use pagemark_host::gate::Finding;
use pagemark_host::gate::ticks::{Boot, FALSE_ALARMS, Floors, judge_in_time};
use pagemark_host::gate::turns::Turns;
use pagemark_record::Clock;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, StudentT};

use super::{CASES, interval, normal, percent};

/// Which cases cost more on the new side.
#[derive(Clone, Copy, PartialEq)]
enum Change {
    None,
    /// One, by this share.
    One(f64),
    /// All, by this share.
    All(f64),
}

/// How boots follow each other in time.
#[derive(Clone, Copy, PartialEq)]
enum Order {
    /// Base, new, base, new, ...
    Turns,
    /// First all of the base. The logs say so.
    Sequential,
    /// A block of the base, the new side, and the rest of the base.
    Sandwich,
}

/// What makes boots differ, as shares.
#[derive(Clone, Copy)]
struct Noise {
    /// Standard deviation of a case between boots.
    own: f64,
    /// Of what a boot's cases have in common.
    common: f64,
    /// The spread of the cases' own noise, as a standard deviation of its logarithm.
    unlike: f64,
    /// The drift over the campaign.
    drift: f64,
    /// A case in four has heavy tails, one in four two modes.
    shapes: bool,
    /// One boot in this number is slower by 1.5 % in all cases; 0: none.
    slow: u32,
    /// The new side's noise relative to the base's.
    of_new: f64,
}

const BOOT: Noise = Noise {
    own: 0.005,
    common: 0.0,
    unlike: 0.0,
    drift: 0.0,
    shapes: false,
    slow: 0,
    of_new: 1.0,
};
const ALL: Noise = Noise {
    own: 0.005,
    common: 0.002_5,
    unlike: 0.7,
    drift: 0.01,
    shapes: true,
    slow: 20,
    of_new: 1.0,
};

struct Campaign {
    name: &'static str,
    boots: [usize; 2],
    order: Order,
    noise: Noise,
    change: Change,
}

const fn campaign(
    name: &'static str,
    boots: [usize; 2],
    order: Order,
    noise: Noise,
    change: Change,
) -> Campaign {
    Campaign {
        name,
        boots,
        order,
        noise,
        change,
    }
}

const DRIFTING: Noise = Noise {
    drift: 0.01,
    ..BOOT
};

const CAMPAIGNS: [Campaign; 17] = [
    campaign(
        "in turns, boot noise",
        [10, 10],
        Order::Turns,
        BOOT,
        Change::None,
    ),
    campaign(
        "in turns, drift of 1 %",
        [10, 10],
        Order::Turns,
        DRIFTING,
        Change::None,
    ),
    campaign(
        "in turns, all noise at once",
        [10, 10],
        Order::Turns,
        ALL,
        Change::None,
    ),
    campaign(
        "in turns, all noise at once",
        [20, 20],
        Order::Turns,
        ALL,
        Change::None,
    ),
    campaign(
        "base, new, base; drift of 1 %",
        [10, 10],
        Order::Sandwich,
        DRIFTING,
        Change::None,
    ),
    campaign(
        "one side after the other, drift of 1 %",
        [10, 10],
        Order::Sequential,
        DRIFTING,
        Change::None,
    ),
    campaign(
        "one side after the other, drift of 1 %",
        [20, 20],
        Order::Sequential,
        DRIFTING,
        Change::None,
    ),
    campaign(
        "new side 3 times as noisy",
        [30, 8],
        Order::Turns,
        Noise {
            of_new: 3.0,
            ..BOOT
        },
        Change::None,
    ),
    campaign(
        "new side 3 times as noisy, cases unlike",
        [30, 8],
        Order::Turns,
        Noise {
            of_new: 3.0,
            unlike: 0.7,
            ..BOOT
        },
        Change::None,
    ),
    campaign(
        "base 3 times as noisy",
        [8, 30],
        Order::Turns,
        Noise {
            of_new: 1.0 / 3.0,
            own: 0.015,
            ..BOOT
        },
        Change::None,
    ),
    campaign(
        "+2 % in one, boot noise",
        [10, 10],
        Order::Turns,
        BOOT,
        Change::One(0.02),
    ),
    campaign(
        "+2 % in one, drift of 1 %",
        [10, 10],
        Order::Turns,
        DRIFTING,
        Change::One(0.02),
    ),
    campaign(
        "+2 % in one, all noise at once",
        [10, 10],
        Order::Turns,
        ALL,
        Change::One(0.02),
    ),
    campaign(
        "+2 % in one, all noise at once",
        [20, 20],
        Order::Turns,
        ALL,
        Change::One(0.02),
    ),
    campaign(
        "+3 % in all, all noise at once",
        [10, 10],
        Order::Turns,
        ALL,
        Change::All(0.03),
    ),
    campaign(
        "+1 % in all, all noise at once",
        [10, 10],
        Order::Turns,
        ALL,
        Change::All(0.01),
    ),
    campaign(
        "+1 % in all, all noise at once",
        [20, 20],
        Order::Turns,
        ALL,
        Change::All(0.01),
    ),
];

/// What is counted of one campaign.
#[derive(Clone, Copy, Default)]
struct Counts {
    refused: u32,
    /// A case or the suite was said to change that did not.
    alarms: u32,
    /// The case that changed was found; of a change of all cases, any case or the suite.
    found: u32,
    /// The suite was found.
    suite: u32,
    /// Cases found, of a change of all.
    cases: u64,
}

/// Prints a row for each campaign.
pub fn table(trials: u32) {
    let counts = Mutex::new([Counts::default(); CAMPAIGNS.len()]);
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(campaign) = CAMPAIGNS.get(at) else {
                        break;
                    };
                    let of_campaign = count(at as u64, campaign, trials);
                    counts.lock().expect("no thread panicked")[at] = of_campaign;
                }
            });
        }
    });
    println!(
        "| campaign | boots | refused | false alarms | found | by the suite's row | cases found |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    let counts = counts.into_inner().expect("no thread panicked");
    for (campaign, counts) in CAMPAIGNS.iter().zip(counts) {
        let rate = |count: u32| {
            let [low, high] = interval(count, trials);
            format!("{:.2} % ({low:.2} to {high:.2})", percent(count, trials))
        };
        let [base, new] = campaign.boots;
        let of_all = f64::from(trials) * CASES as f64;
        let cases = match campaign.change {
            Change::All(_) => format!("{:.0} %", 100.0 * counts.cases as f64 / of_all),
            _ => String::new(),
        };
        let [found, suite] = match campaign.change {
            Change::None => [String::new(), String::new()],
            Change::One(_) => [rate(counts.found), String::new()],
            Change::All(_) => [rate(counts.found), rate(counts.suite)],
        };
        println!(
            "| {} | {base} v {new} | {} | {} | {found} | {suite} | {cases} |",
            campaign.name,
            if counts.refused > 0 {
                rate(counts.refused)
            } else {
                String::new()
            },
            rate(counts.alarms),
        );
    }
    println!();
}

fn count(seed: u64, campaign: &Campaign, trials: u32) -> Counts {
    let mut random = StdRng::seed_from_u64(1000 + seed);
    let mut counts = Counts::default();
    for _ in 0..trials {
        let slow = random.random_range(0..CASES);
        let (sides, turns) = boots(&mut random, campaign, slow);
        if turns.are_missing() {
            counts.refused += 1;
            continue;
        }
        let [base, new] = &sides;
        let judgement = judge_in_time(base, new, &Floors::new(), Clock::Tsc, FALSE_ALARMS, &turns);
        let wrong = |at: usize, finding: Finding| match campaign.change {
            Change::None => finding != Finding::Same,
            Change::One(_) => finding != Finding::Same && at != slow,
            Change::All(_) => finding == Finding::Faster,
        };
        let findings: Vec<Finding> = judgement.rows.iter().map(|row| row.finding).collect();
        let suite = judgement
            .suite
            .as_ref()
            .map_or(Finding::Same, |row| row.finding);
        let alarm = findings
            .iter()
            .enumerate()
            .any(|(at, finding)| wrong(at, *finding));
        let of_suite = match campaign.change {
            Change::All(_) => suite == Finding::Faster,
            _ => suite != Finding::Same,
        };
        counts.alarms += u32::from(alarm || of_suite);
        let slower = findings
            .iter()
            .filter(|finding| **finding == Finding::Slower)
            .count();
        counts.cases += slower as u64;
        counts.suite += u32::from(suite == Finding::Slower);
        counts.found += u32::from(match campaign.change {
            Change::None => false,
            Change::One(_) => findings[slow] == Finding::Slower,
            Change::All(_) => suite == Finding::Slower || slower > 0,
        });
    }
    counts
}

/// The boots of both sides, and when they were.
fn boots(random: &mut StdRng, campaign: &Campaign, slow: usize) -> ([Vec<Boot>; 2], Turns) {
    let [base, new] = campaign.boots;
    let noise = campaign.noise;
    let all = base + new;
    let order: Vec<usize> = match campaign.order {
        Order::Sequential => (0..all).map(|boot| usize::from(boot >= base)).collect(),
        Order::Sandwich => (0..all)
            .map(|boot| usize::from((base / 2..base / 2 + new).contains(&boot)))
            .collect(),
        // Spread evenly, the fewer among the more.
        Order::Turns => (0..all)
            .map(|boot| usize::from((boot + 1) * new / all > boot * new / all))
            .collect(),
    };
    let sizes: Vec<f64> = (0..CASES)
        .map(|case| match campaign.change {
            // The case that changes has the noise that the row gives.
            Change::One(_) if case == slow => noise.own,
            _ => noise.own * (noise.unlike * normal(random)).exp(),
        })
        .collect();
    let costs: Vec<f64> = (0..CASES)
        .map(|_| 10_f64.powf(random.random_range(2.0..5.0)))
        .collect();
    let tails = StudentT::new(3.0).expect("3 is positive");
    let mut sides: [Vec<Boot>; 2] = [Vec::new(), Vec::new()];
    let mut times: [Vec<u64>; 2] = [Vec::new(), Vec::new()];
    for (boot, &side) in order.iter().enumerate() {
        let scale = if side == 1 { noise.of_new } else { 1.0 };
        let mut all_cases = 1.0 + noise.drift * boot as f64 / (all - 1) as f64;
        all_cases += noise.common * normal(random);
        if noise.slow > 0 && random.random_ratio(1, noise.slow) {
            all_cases += 0.015;
        }
        let figures = (0..CASES).map(|case| {
            let deviation = match (noise.shapes, case % 4) {
                (true, 1) => tails.sample(random) / 3_f64.sqrt(),
                (true, 2) => {
                    let mode = if random.random_bool(1.0 / 7.0) {
                        2.45
                    } else {
                        -0.41
                    };
                    mode + 0.45 * normal(random)
                }
                _ => normal(random),
            };
            let rise = match campaign.change {
                Change::One(rise) if side == 1 && case == slow => rise,
                Change::All(rise) if side == 1 => rise,
                _ => 0.0,
            };
            let figure =
                costs[case] * all_cases * (1.0 + sizes[case] * scale * deviation) * (1.0 + rise);
            (format!("{case:03}"), (figure * 1000.0).round() / 1000.0)
        });
        sides[side].push(figures.collect());
        times[side].push(boot as u64);
    }
    let keys = [times[0].as_slice(), &times[1]].concat();
    (sides, Turns::in_order(&keys, base))
}

/// Few trials of what docs/gate.md promises; each campaign's seed is fixed, so that a run repeats.
#[cfg(test)]
mod tests {
    use super::*;

    const TRIALS: u32 = 20;

    /// The counts of the campaigns of this name and these numbers of boots.
    fn counts(name: &str, boots: [usize; 2]) -> Counts {
        let found = CAMPAIGNS
            .iter()
            .enumerate()
            .find(|(_, campaign)| campaign.name == name && campaign.boots == boots);
        let (at, campaign) = found.expect("a campaign has this name");
        count(at as u64, campaign, TRIALS)
    }

    #[test]
    fn without_a_change_there_is_no_alarm() {
        for (name, boots) in [
            ("in turns, boot noise", [10, 10]),
            ("in turns, all noise at once", [10, 10]),
            ("base, new, base; drift of 1 %", [10, 10]),
            ("new side 3 times as noisy", [30, 8]),
        ] {
            let counts = counts(name, boots);
            assert_eq!((counts.alarms, counts.refused), (0, 0), "{name}");
        }
    }

    #[test]
    fn sides_one_after_the_other_are_refused() {
        for boots in [[10, 10], [20, 20]] {
            let counts = counts("one side after the other, drift of 1 %", boots);
            assert_eq!(counts.refused, TRIALS);
        }
    }

    #[test]
    fn a_change_is_found_as_often_as_promised() {
        for (name, boots, least) in [
            ("+2 % in one, boot noise", [10, 10], 95),
            ("+3 % in all, all noise at once", [10, 10], 95),
            ("+1 % in all, all noise at once", [10, 10], 60),
        ] {
            let counts = counts(name, boots);
            assert!(
                counts.found * 100 >= least * TRIALS,
                "{name}: {} of {TRIALS}",
                counts.found
            );
            assert_eq!(counts.alarms, 0, "{name}");
        }
    }
}
