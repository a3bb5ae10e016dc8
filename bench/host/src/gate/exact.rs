//! Judges instruction counts: equal, or changed. There is no tolerance and no statistics.

use pagemark_record::{Clock, Figure};

use super::baseline::{Baseline, Entry, Exact};
use super::{Finding, Judgement, Refusal, Row};
use crate::compare::Allow;

/// Holds `new` against `base`. `allow` passes over different machines and suites.
pub fn judge(
    base: &Baseline,
    new: &Baseline,
    allow: impl Into<Allow>,
) -> Result<Judgement, Refusal> {
    let reasons = allow.into().left(base.fingerprint.unlike(&new.fingerprint));
    if !reasons.is_empty() {
        return Err(Refusal(reasons));
    }
    let mut rows = Vec::new();
    for (case, &before) in &base.cases {
        let after = new.cases.get(case).copied();
        match (before, after) {
            (Entry::Measured(before), Some(Entry::Measured(after))) => {
                rows.extend(statistics(case, &before, &after));
            }
            (Entry::Measured(before), _) => {
                rows.push(row(case, Some(before.median), None, Finding::Gone));
            }
            (Entry::Skipped, Some(Entry::Measured(after))) => {
                rows.push(row(case, None, Some(after.median), Finding::Added));
            }
            (Entry::Skipped, _) => {}
        }
    }
    for (case, entry) in &new.cases {
        if let (Entry::Measured(after), false) = (entry, base.cases.contains_key(case)) {
            rows.push(row(case, None, Some(after.median), Finding::Added));
        }
    }
    Ok(Judgement {
        clock: Clock::Icount,
        in_cycles: false,
        rule: "exact: every difference counts".to_owned(),
        rows,
        suite: None,
        notes: Vec::new(),
        traced: Vec::new(),
    })
}

/// The median, and every other statistic that moved otherwise.
fn statistics(case: &str, before: &Exact, after: &Exact) -> Vec<Row> {
    let change = |name: &str, base: Figure, new: Figure| {
        let finding = match new.cmp(&base) {
            std::cmp::Ordering::Less => Finding::Faster,
            std::cmp::Ordering::Equal => Finding::Same,
            std::cmp::Ordering::Greater => Finding::Slower,
        };
        row(name, Some(base), Some(new), finding)
    };
    let mut rows = vec![change(case, before.median, after.median)];
    for ((key, base), (_, new)) in before.others().into_iter().zip(after.others()) {
        if base != new && (base, new) != (before.median, after.median) {
            rows.push(change(&format!("{case} ({key})"), base, new));
        }
    }
    rows
}

fn row(name: &str, base: Option<Figure>, new: Option<Figure>, finding: Finding) -> Row {
    Row {
        name: name.to_owned(),
        base: base.map(Figure::as_f64),
        new: new.map(Figure::as_f64),
        finding,
        p: None,
        joint_p: None,
        muted: false,
        blame: Vec::new(),
    }
}
