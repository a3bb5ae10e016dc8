//! Judges times: what varies from boot to boot is the figure, so each boot gives one, its median, and a rank test says whether
//! the boots of the two sides can be told apart.
//!
//! A case has changed when the test says so, corrected for the number of cases, *and* its median moved by more than a floor:
//! the noise that earlier logs show (Q3 + 3 IQR of the steps between them), or [`DEFAULT_FLOOR`] without such.

use std::collections::{BTreeMap, HashMap};

use pagemark_record::Clock;

use super::rank_test::{holm, least_p_value, p_value};
use super::{Finding, Judgement, Row};

/// Boots a side below which nothing is decided.
pub const LEAST_BOOTS: usize = 8;
/// The probability of even one false alarm among all cases.
pub const FALSE_ALARMS: f64 = 0.001;
/// The least change, as a share, that counts where no history says how noisy a case is.
pub const DEFAULT_FLOOR: f64 = 0.002;
/// Steps of history that a floor needs at least, and looks back over at most.
const STEPS: std::ops::RangeInclusive<usize> = 8..=30;

/// Medians of the boots of one side, by case.
pub type Boots = BTreeMap<String, Vec<f64>>;

/// Least changes that count, by case, as shares.
pub type Floors = HashMap<String, f64>;

/// Judges every case. `false_alarms` is the probability of even one false alarm.
pub fn judge(
    base: &Boots,
    new: &Boots,
    floors: &Floors,
    clock: Clock,
    false_alarms: f64,
) -> Judgement {
    let mut rows: Vec<Row> = Vec::new();
    let mut tested = Vec::new();
    let both = base.keys().filter(|case| new.contains_key(*case)).count();
    for (case, before) in base {
        let Some(after) = new.get(case) else {
            rows.push(row(case, Some(before), None, Finding::Gone));
            continue;
        };
        let mut row = row(case, Some(before), Some(after), Finding::Same);
        let few = before.len().min(after.len()) < LEAST_BOOTS;
        // Where even complete separation would not do, nothing can be found, and "same" would be a lie.
        if few || least_p_value(before.len(), after.len()) > false_alarms / both as f64 {
            row.finding = Finding::CannotDecide;
        }
        let p = p_value(before, after);
        row.p = Some(p);
        tested.push((rows.len(), p));
        rows.push(row);
    }
    let p_values: Vec<f64> = tested.iter().map(|&(_, p)| p).collect();
    for ((place, _), rejected) in tested.into_iter().zip(holm(&p_values, false_alarms)) {
        let row = &mut rows[place];
        let floor = floors.get(row.case()).copied().unwrap_or(DEFAULT_FLOOR);
        if rejected && row.finding == Finding::Same && row.rise().abs() > floor {
            row.finding = if row.rise() > 0.0 {
                Finding::Slower
            } else {
                Finding::Faster
            };
        }
    }
    for (case, after) in new {
        if !base.contains_key(case) {
            rows.push(row(case, None, Some(after), Finding::Added));
        }
    }
    Judgement {
        clock,
        rule: format!(
            "Mann-Whitney U over boots, at most {} % false alarms over {both} cases together, and a change above the floor",
            false_alarms * 100.0
        ),
        rows,
        traced: Vec::new(),
    }
}

/// The floors that a history of medians gives, oldest first.
pub fn floors(history: &Boots) -> Floors {
    let mut floors = Floors::new();
    for (case, medians) in history {
        let latest = &medians[medians.len().saturating_sub(STEPS.end() + 1)..];
        let mut steps: Vec<f64> = latest
            .windows(2)
            .filter(|pair| pair[0] > 0.0)
            .map(|pair| ((pair[1] - pair[0]) / pair[0]).abs())
            .collect();
        if steps.len() < *STEPS.start() {
            continue;
        }
        steps.sort_by(f64::total_cmp);
        let quartile = |quarters: usize| steps[(steps.len() * quarters).div_ceil(4) - 1];
        let (q1, q3) = (quartile(1), quartile(3));
        floors.insert(case.clone(), q3 + 3.0 * (q3 - q1));
    }
    floors
}

/// The middle of an unsorted list; of an even number the mean of the two. The list is not empty.
pub fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) {
        f64::midpoint(sorted[upper - 1], sorted[upper])
    } else {
        sorted[upper]
    }
}

fn row(case: &str, base: Option<&Vec<f64>>, new: Option<&Vec<f64>>, finding: Finding) -> Row {
    let middle = |figures: Option<&Vec<f64>>| {
        figures
            .filter(|figures| !figures.is_empty())
            .map(|figures| median(figures))
    };
    Row {
        name: case.to_owned(),
        base: middle(base),
        new: middle(new),
        finding,
        p: None,
        muted: false,
        blame: Vec::new(),
    }
}
