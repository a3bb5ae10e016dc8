//! Steps, years of noise, and what is said of them.

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand_distr::{Distribution, StandardNormal};

use super::table::render;
use super::*;
use crate::log::origin::{Date, DateSource};
use crate::log::read;
use crate::log::sample::good;
use crate::style::Look;

#[test]
fn a_step_is_found_where_it_is_and_noise_is_none() {
    let noise = |at: usize| ((at * 7919) % 13) as f64 * 0.1;
    let series = |step: f64| {
        (0..40)
            .map(|at| 100.0 + noise(at) + if at >= 17 { step } else { 0.0 })
            .collect::<Vec<_>>()
    };
    assert_eq!(cuts(&series(3.0), 0.001), [17]);
    assert_eq!(cuts(&series(0.0), 0.001), [0; 0]);
    assert_eq!(cuts(&[1.0; 40], 0.001), [0; 0]);
    let mut outlier = series(0.0);
    outlier[20] = 1e6;
    assert_eq!(cuts(&outlier, 0.001), [0; 0]);
    for length in 0..2 * LEAST {
        assert_eq!(cuts(&vec![1.0; length], 0.001), [0; 0]);
    }
    // As sure as can be, and next to nothing.
    let tiny: Vec<f64> = (0..60)
        .map(|at| 14.0 + f64::from(at / 30) * 0.001)
        .collect();
    assert_eq!(cuts(&tiny, 0.001), [0; 0]);
}

#[test]
fn two_steps_are_both_found() {
    let series: Vec<f64> = (0..45)
        .map(|at| f64::from(at / 15) * 10.0 + f64::from(at % 4))
        .collect();
    assert_eq!(cuts(&series, 0.001), [15, 30]);
}

#[test]
fn exact_figures_change_at_every_step() {
    assert_eq!(steps(&[7.0, 7.0, 8.0, 8.0, 7.0]), [2, 4]);
}

/// A year of one machine, read in the wrong order; the case 0 costs 2 % more from day 200 on.
fn year(seed: u64, rise: f64) -> Vec<Log> {
    let mut random = StdRng::seed_from_u64(seed);
    let log = read(&good(Clock::Tsc)).unwrap();
    let mut logs: Vec<Log> = (0..365)
        .map(|day: i64| {
            let mut log = log.clone();
            let time: jiff::civil::DateTime = "2026-01-01T06:00:00".parse().unwrap();
            let time = time.checked_add(jiff::Span::new().days(day)).unwrap();
            log.origin.path = format!("rack7-{}.log", 999 - day).into();
            log.origin.date = Some(Date {
                time,
                source: DateSource::Clock,
            });
            log.start.revision = format!("r{day}");
            for (at, result) in log.results.iter_mut().enumerate() {
                let cost = if at == 0 && day >= 200 {
                    1.0 + rise
                } else {
                    1.0
                };
                let noise: f64 = StandardNormal.sample(&mut random);
                let figure = 100_000.0 * cost * (1.0 + 0.005 * noise);
                result.median = (figure as u64).into();
            }
            log
        })
        .collect();
    logs.reverse();
    logs
}

#[test]
fn a_change_is_reported_with_date_file_revision_size_and_interval() {
    let logs = year(1, 0.02);
    let [history] = &histories(&logs, false)[..] else {
        panic!()
    };
    let [change] = &changes(history)[..] else {
        panic!()
    };
    assert_eq!((change.at, change.revision.as_str()), (200, "r200"));
    assert_eq!(
        (change.file.as_str(), change.date.as_str()),
        ("rack7-799.log", "2026-07-20 06:00")
    );
    let [low, high] = change.interval.unwrap();
    assert!(
        low < 0.02 && 0.02 < high && high - low < 0.004,
        "{low} {high}"
    );
    let text = render(&histories(&logs, false), Look::Plain);
    for message in [
        "2026-07-20 06:00",
        "rack7-799.log",
        "365 logs, 2026-01-01 06:00 to 2026-12-31 06:00; the newest is rack7-635.log",
    ] {
        assert!(text.contains(message), "{text}");
    }
}

#[test]
fn a_hundred_years_without_a_change_have_none() {
    let found: usize = (0..100)
        .map(|seed| {
            let logs = year(seed, 0.0);
            changes(&histories(&logs, false)[0]).len()
        })
        .sum();
    assert!(found <= 3, "{found}");
}

#[test]
fn missing_cases_survive_and_machines_stand_apart() {
    let mut logs = year(2, 0.02);
    for log in &mut logs[100..110] {
        log.results.remove(0);
    }
    let case = logs[0].results.pop().unwrap().case;
    let all = histories(&logs, false);
    assert_eq!(changes(&all[0]).len(), 1);
    assert!(render(&all, Look::Plain).contains(&format!("{case} was last in")));
    logs[5].machine.as_mut().unwrap().model += 1;
    assert_eq!(histories(&logs, false).len(), 2);
    assert_eq!(histories(&logs, true).len(), 1);
}
