//! Campaigns of real runs: of one build, from a folder of logs, in the order in which they were made.
//!
//! A trial takes 20 runs that follow each other, and draws from each pair which one is the base's and which the new side's, as `pagemark ab`
//! does. What the gate finds then is a false alarm. The same trial with the figures of one case, or of all, multiplied on the new side
//! shows what it finds of a change.

use std::path::Path;

use pagemark_host::gate::ticks::{Boot, FALSE_ALARMS, Floors, judge_in_time};
use pagemark_host::gate::turns::Turns;
use pagemark_host::gate::{Finding, Judgement, boots, judged_in_cycles};
use pagemark_host::log::Log;
use pagemark_host::log::side::Reading;
use pagemark_record::{CaseResult, Clock, Figure};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::{BOOTS, interval, percent};

/// Changes that are planted, as shares.
const PLANTED: [f64; 2] = [0.02, 0.05];

/// One run: the figures that the gate judges, by case, and what each resolves.
struct Run {
    figures: Boot,
    resolutions: Boot,
}

/// What is counted of one change of one case.
#[derive(Default)]
struct Power {
    /// Trials in which the change is larger than what the case resolves, and of these those in which it was found.
    resolved: [u32; 2],
    /// The same of all trials.
    all: [u32; 2],
}

/// Prints what the gate makes of the logs in `folder`.
///
/// # Errors
///
/// Too few logs, or what cannot be read.
pub fn table(folder: &Path, trials: u32) -> anyhow::Result<()> {
    let mut logs = Reading::new(false).logs(&[folder.to_owned()])?;
    logs.sort_by_key(|log| (log.boot_number(), log.origin.date.map(|date| date.time)));
    let runs: Vec<Run> = logs.iter().map(run).collect();
    anyhow::ensure!(
        runs.len() >= 2 * BOOTS,
        "{} logs; {} are needed",
        runs.len(),
        2 * BOOTS
    );
    let cases = runs[0].figures.len();
    println!(
        "{} runs of {cases} cases, {trials} trials a figure, {BOOTS} runs a side in turns\n",
        runs.len()
    );
    let mut random = StdRng::seed_from_u64(20);
    let rate = |count: u32, of: u32| {
        if of == 0 {
            return "no such case".to_owned();
        }
        let [low, high] = interval(count, of);
        format!(
            "{count} of {of}: {:.1} % ({low:.1} to {high:.1})",
            percent(count, of)
        )
    };
    let alarms = (0..trials)
        .filter(|_| {
            let judgement = trial(&mut random, &runs, |_, _| 1.0);
            let changed = |finding| matches!(finding, Finding::Slower | Finding::Faster);
            let suite = judgement.suite.iter();
            judgement
                .rows
                .iter()
                .chain(suite)
                .any(|row| changed(row.finding))
        })
        .count();
    println!("| change | found, where the case resolves it | found |");
    println!("| --- | --- | --- |");
    println!(
        "| none (false alarms) | | {} |",
        rate(alarms as u32, trials)
    );
    let names: Vec<&String> = runs[0].figures.keys().collect();
    for share in PLANTED {
        let mut power = Power::default();
        for _ in 0..trials {
            let name = names[random.random_range(0..names.len())];
            let planted = |_: &Run, case: &str| if case == name { 1.0 + share } else { 1.0 };
            let judgement = trial(&mut random, &runs, planted);
            let found = judgement
                .rows
                .iter()
                .any(|row| row.case() == name.as_str() && row.finding == Finding::Slower);
            let resolves = share * runs[0].figures[name]
                >= runs[0].resolutions.get(name).copied().unwrap_or(0.0);
            power.all[0] += 1;
            power.all[1] += u32::from(found);
            power.resolved[0] += u32::from(resolves);
            power.resolved[1] += u32::from(resolves && found);
        }
        let [of_resolved, resolved] = power.resolved;
        println!(
            "| +{:.0} % in one case | {} | {} |",
            share * 100.0,
            rate(resolved, of_resolved),
            rate(power.all[1], power.all[0])
        );
        let found = (0..trials)
            .filter(|_| {
                let judgement = trial(&mut random, &runs, |_, _| 1.0 + share);
                let mut rows = judgement.rows.iter().chain(judgement.suite.iter());
                rows.any(|row| row.finding == Finding::Slower)
            })
            .count();
        println!(
            "| +{:.0} % in all cases | | {} |",
            share * 100.0,
            rate(found as u32, trials)
        );
    }
    Ok(())
}

fn run(log: &Log) -> Run {
    let results = log.results.iter();
    // Cycles in a tick, where the gate judges cycles.
    let rate = |figure: f64, median: f64| if median == 0.0 { 1.0 } else { figure / median };
    let log_alone = std::slice::from_ref(log);
    let figures = boots(log_alone, judged_in_cycles(log_alone)).remove(0);
    let resolution = |result: &CaseResult<String>| {
        let rate = rate(figures[&result.case], result.median.as_f64());
        Some((result.case.clone(), result.resolution?.as_f64() * rate))
    };
    Run {
        resolutions: results.filter_map(resolution).collect(),
        figures,
    }
}

/// One trial, with the figures of the new side multiplied by what `factor` says.
fn trial(random: &mut StdRng, runs: &[Run], factor: impl Fn(&Run, &str) -> f64) -> Judgement {
    let first = random.random_range(0..=runs.len() - 2 * BOOTS);
    let mut sides: [Vec<Boot>; 2] = [Vec::new(), Vec::new()];
    let mut places: [Vec<usize>; 2] = [Vec::new(), Vec::new()];
    for (number, pair) in runs[first..first + 2 * BOOTS].chunks(2).enumerate() {
        let base = usize::from(random.random_bool(0.5));
        for (place, run) in pair.iter().enumerate() {
            let side = usize::from(place != base);
            let figures = run.figures.iter().map(|(case, &figure)| {
                let factor = if side == 1 { factor(run, case) } else { 1.0 };
                // To the thousandth of a tick, as a log has it.
                let figure = Figure::from_thousandths((figure * factor * 1000.0).round() as i64);
                (case.clone(), figure.as_f64())
            });
            sides[side].push(figures.collect());
            places[side].push(2 * number + place);
        }
    }
    let turns = Turns::in_order(&places.concat(), BOOTS);
    let [base, new] = sides;
    judge_in_time(
        &base,
        &new,
        &Floors::new(),
        Clock::Tsc,
        FALSE_ALARMS,
        &turns,
    )
}
