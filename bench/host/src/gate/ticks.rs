//! Judges times: what varies from boot to boot is the figure, so each boot gives one, its median, and tests say whether the boots
//! of the two sides can be told apart.
//!
//! A case has changed when the joint test of the suite says so ([`joint_test`](super::joint_test)), *and* its median moved by more
//! than a floor: the noise that earlier logs show (Q3 + 3 IQR of the steps between them), or [`DEFAULT_FLOOR`] without such.
//! Mann-Whitney's U is told of each case beside it ([`rank_test`](super::rank_test)): how surely its boots differ if it is looked
//! at alone.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use pagemark_record::Clock;

use super::joint_test::{labelings, least_p_value, p_values};
use super::rank_test::p_value;
use super::{Finding, Judgement, Row};
use crate::style::thousands;

/// Boots a side below which nothing is decided.
pub const LEAST_BOOTS: usize = 8;
/// The probability of even one false alarm among all cases: half of one in a thousand, so that a rate that is measured stays
/// below that, too.
pub const FALSE_ALARMS: f64 = 0.0005;
/// The least change, as a share, that counts where no history says how noisy a case is.
pub const DEFAULT_FLOOR: f64 = 0.002;
/// Steps of history that a floor needs at least, and looks back over at most.
const STEPS: std::ops::RangeInclusive<usize> = 8..=30;

/// The medians of one boot, by case.
pub type Boot = BTreeMap<String, f64>;

/// Medians of boots, by case.
pub type Series = BTreeMap<String, Vec<f64>>;

/// Least changes that count, by case, as shares.
pub type Floors = HashMap<String, f64>;

/// Judges every case. `false_alarms` is the probability of even one false alarm. The boots of the two sides should have taken
/// turns: else what drifted meanwhile counts as a change.
pub fn judge(
    base: &[Boot],
    new: &[Boot],
    floors: &Floors,
    clock: Clock,
    false_alarms: f64,
) -> Judgement {
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
        let alpha = false_alarms * family.len() as f64 / both as f64;
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
        drawn += labelings(figures[0].len(), before.len(), alpha)
            .drawn()
            .unwrap_or(0);
        for (place, p) in places
            .into_iter()
            .zip(p_values(&figures, before.len(), alpha))
        {
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
        0 => "in every way".to_owned(),
        _ => format!("in {} ways drawn at random", thousands(drawn as u64)),
    };
    Judgement {
        clock,
        rule: format!(
            "boots of the whole suite permuted {how}, at most {} % false alarms over {both} cases together, and a change above \
             the floor; U p: Mann-Whitney's of the case alone",
            // To the millionth of a per cent: a share times 100 has digits that nobody wrote.
            (false_alarms * 1e8).round() / 1e6
        ),
        rows,
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

/// The floors that a history of medians gives, oldest first.
pub fn floors(history: &Series) -> Floors {
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
