//! Judges times: what varies from boot to boot is the figure, so each boot gives one, its median, and tests say whether the boots
//! of the two sides differ.
//!
//! A case has changed when both joint tests of the suite say so, *and* its median moved by more than a floor. The one permutes the
//! boots ([`joint_test`]): it holds for every shape of noise, if without a change all boots are alike. The other
//! takes the noise for normal, but lets the sides differ in it and in number ([`welch`]). The floor is the noise that
//! earlier logs show (Q3 + 3 IQR of the steps between them, as between medians of the same number of boots), or [`DEFAULT_FLOOR`] without
//! such. All cases as one are judged beside that ([`suite`]). Mann-Whitney's U is given for each case
//! ([`rank_test`](super::rank_test)): how surely its boots differ if it is looked at alone.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::f64::consts::FRAC_PI_2;

use pagemark_record::Clock;

use super::joint_test::{self, labelings, least_p_value};
use super::rank_test::p_value;
use super::turns::Turns;
use super::welch::{self, Design};
use super::{Finding, Judgement, Row, suite};
use crate::style::thousands;

/// Boots a side below which nothing is decided.
pub const LEAST_BOOTS: usize = 8;
/// The probability of even one false alarm among all cases: half of one in a thousand, so that a rate that is measured stays
/// below that, too.
pub const FALSE_ALARMS: f64 = 0.0005;
/// The least change, as a share, that counts where no history says how noisy a case is.
pub const DEFAULT_FLOOR: f64 = 0.002;
/// The suite's share of the false alarms that are allowed; the rest is that of all cases.
pub const OF_SUITE: f64 = 0.35;
/// Steps of history that a floor needs at least, and looks back over at most.
const STEPS: std::ops::RangeInclusive<usize> = 8..=30;

/// The medians of one boot, by case.
pub type Boot = BTreeMap<String, f64>;

/// Medians of boots, by case.
pub type Series = BTreeMap<String, Vec<f64>>;

/// Least changes that count, by case, as shares.
pub type Floors = HashMap<String, f64>;

/// Judges every case of boots that took turns at unknown times. `false_alarms` is the probability of even one false alarm.
pub fn judge(
    base: &[Boot],
    new: &[Boot],
    floors: &Floors,
    clock: Clock,
    false_alarms: f64,
) -> Judgement {
    judge_in_time(base, new, floors, clock, false_alarms, &Turns::Unknown)
}

/// Judges every case. A straight trend over the times of the boots, where these are known, is no change. Sides that did not take
/// turns ([`Turns::are_missing`]) are not for this: a trend that is not straight counts as a change of theirs.
pub fn judge_in_time(
    base: &[Boot],
    new: &[Boot],
    floors: &Floors,
    clock: Clock,
    false_alarms: f64,
    turns: &Turns,
) -> Judgement {
    let of_cases = false_alarms * (1.0 - OF_SUITE);
    let mut suite: Option<Row> = None;
    let mut largest = 0;
    let mut rows: Vec<Row> = Vec::new();
    // Cases that the same boots measured are judged together: of those alone it is known which figures were one boot's.
    let mut families: BTreeMap<[Vec<usize>; 2], Vec<Case>> = BTreeMap::new();
    for case in names(base) {
        let before = Side::of(base, case);
        let after = Side::of(new, case);
        if after.figures.is_empty() {
            rows.push(row(case, &before.figures, &[], Finding::Gone));
            continue;
        }
        rows.push(Row {
            p: Some(p_value(&before.figures, &after.figures)),
            ..row(case, &before.figures, &after.figures, Finding::Same)
        });
        let case = Case {
            row: rows.len() - 1,
            figures: [before.figures, after.figures].concat(),
        };
        families
            .entry([before.boots, after.boots])
            .or_default()
            .push(case);
    }
    let both: usize = families.values().map(Vec::len).sum();
    let mut drawn = 0;
    for ([before, after], family) in families {
        let alpha = of_cases * family.len() as f64 / both as f64;
        let few = before.len().min(after.len()) < LEAST_BOOTS;
        // Where even complete separation would not do, nothing can be found, and "same" would be a lie.
        if few || least_p_value(before.len(), after.len(), alpha) > alpha {
            for case in family {
                rows[case.row].finding = Finding::CannotDecide;
            }
            continue;
        }
        let (places, figures): (Vec<usize>, Vec<Vec<f64>>) = family
            .into_iter()
            .map(|case| (case.row, case.figures))
            .unzip();
        let times = match turns {
            Turns::Unknown => None,
            Turns::Known([of_base, of_new]) => {
                let of_base = before.iter().map(|&boot| of_base[boot]);
                Some(
                    of_base
                        .chain(after.iter().map(|&boot| of_new[boot]))
                        .collect::<Vec<f64>>(),
                )
            }
        };
        let design = Design {
            base: before.len(),
            times: times.as_deref(),
        };
        if figures.len() > largest {
            largest = figures.len();
            suite = suite::judge(&figures, design, false_alarms * OF_SUITE, DEFAULT_FLOOR);
        }
        let mut p_values = welch::holm(&welch::p_values(&figures, design));
        // Where no case is beyond chance by one test, the other need not be made.
        if p_values.iter().any(|p| *p <= alpha) {
            drawn += labelings(figures[0].len(), before.len(), alpha)
                .drawn()
                .unwrap_or(0);
            let straight: Vec<Vec<f64>> = figures
                .iter()
                .map(|case| welch::detrended(case, design))
                .collect();
            let permuted = joint_test::p_values(&straight, before.len(), alpha);
            for (p, permuted) in p_values.iter_mut().zip(permuted) {
                *p = p.max(permuted);
            }
        }
        for (place, p) in places.into_iter().zip(p_values) {
            let row = &mut rows[place];
            let floor = floors.get(row.case()).copied().unwrap_or(DEFAULT_FLOOR);
            row.joint_p = Some(p);
            if p <= alpha && row.rise().abs() > floor {
                row.finding = if row.rise() > 0.0 {
                    Finding::Slower
                } else {
                    Finding::Faster
                };
            }
        }
    }
    for case in names(new).difference(&names(base)) {
        let after = Side::of(new, case);
        rows.push(row(case, &[], &after.figures, Finding::Added));
    }
    let how = match drawn {
        0 => String::new(),
        _ => format!(" in {} ways drawn at random", thousands(drawn as u64)),
    };
    let trend = match turns {
        Turns::Unknown => "",
        Turns::Known(_) => ", without a straight trend over time",
    };
    Judgement {
        clock,
        in_cycles: false,
        rule: format!(
            "boots of the whole suite permuted{how} and by Yuen's test{trend}, at most {} % false alarms over {both} cases and the \
             suite together, and a change above the floor; U p: Mann-Whitney's of the case alone",
            // To the millionth of a per cent: a share times 100 has digits that nobody wrote.
            (false_alarms * 1e8).round() / 1e6
        ),
        rows,
        suite,
        notes: Vec::new(),
        traced: Vec::new(),
    }
}

/// A case that both sides have: where its row is, and its figures, those of the base first.
struct Case {
    row: usize,
    figures: Vec<f64>,
}

/// One side of a case: which boots measured it, and what they measured.
struct Side {
    boots: Vec<usize>,
    figures: Vec<f64>,
}

impl Side {
    fn of(side: &[Boot], case: &str) -> Self {
        let measured = side.iter().enumerate();
        let measured = measured.filter_map(|(place, boot)| Some((place, *boot.get(case)?)));
        let (boots, figures) = measured.unzip();
        Self { boots, figures }
    }
}

/// The cases of one side.
fn names(side: &[Boot]) -> BTreeSet<&str> {
    let names = side.iter().flat_map(BTreeMap::keys);
    names.map(String::as_str).collect()
}

/// The floors that a history of single boots gives, oldest first, for medians of this number of boots a side.
///
/// A step between two boots has twice the variance of one; a difference of medians of n normal figures has pi/2 times that of
/// means.
pub fn floors(history: &Series, boots: [usize; 2]) -> Floors {
    let [base, new] = boots.map(|boots| 1.0 / boots.max(1) as f64);
    let of_medians = (f64::midpoint(base, new) * FRAC_PI_2).sqrt().min(1.0);
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
        floors.insert(case.clone(), of_medians * (q3 + 3.0 * (q3 - q1)));
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

fn row(case: &str, base: &[f64], new: &[f64], finding: Finding) -> Row {
    let middle = |figures: &[f64]| (!figures.is_empty()).then(|| median(figures));
    Row {
        name: case.to_owned(),
        base: middle(base),
        new: middle(new),
        finding,
        p: None,
        joint_p: None,
        muted: false,
        blame: Vec::new(),
    }
}
