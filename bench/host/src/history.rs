//! Change points over many logs of one machine: from which log on is a case slower or faster, and stays so?
//!
//! Under icount every step counts. Times are cut where the two parts differ most (the largest Mann-Whitney significance among all
//! places with [`LEAST`] logs or more on either side), then each part again in the same way; a cut stands while its probability,
//! corrected for the places tried, is at most [`ALPHA`]. It is binary segmentation by a rank statistic, as E-divisive is by
//! distances; ranks do not mind outliers or the shape of the noise.

use pagemark_record::Clock;

use crate::compare::Fingerprint;
use crate::gate::rank_test::p_value;
use crate::gate::ticks::median;
use crate::log::Log;
use crate::style::{Look, counted, indented, number};

/// Logs on either side of a change of ticks.
pub const LEAST: usize = 5;
/// The probability of a change point where there is none, for one series.
pub const ALPHA: f64 = 0.001;

/// From one log on a case has another figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The case.
    pub case: String,
    /// The place of the first log with the new figure, from 0.
    pub at: usize,
    /// The revision of that log's image.
    pub revision: String,
    /// The median of the stretch before.
    pub before: f64,
    /// The median of the stretch from there on.
    pub after: f64,
}

impl Change {
    /// By how much it rose, as a share.
    pub fn rise(&self) -> f64 {
        (self.after - self.before) / self.before.max(f64::MIN_POSITIVE)
    }
}

/// The changes in `logs`, which are in order of time and from one machine, by case.
pub fn changes(logs: &[Log]) -> Vec<Change> {
    let mut cases: std::collections::BTreeMap<&str, Vec<(usize, f64)>> =
        std::collections::BTreeMap::new();
    for (at, log) in logs.iter().enumerate() {
        for result in &log.results {
            cases
                .entry(&result.case)
                .or_default()
                .push((at, result.median.as_f64()));
        }
    }
    let exact = logs.iter().all(|log| log.clock() == Some(Clock::Icount));
    let mut changes = Vec::new();
    for (case, points) in cases {
        let figures: Vec<f64> = points.iter().map(|point| point.1).collect();
        let cuts = if exact {
            steps(&figures)
        } else {
            cuts(&figures)
        };
        let bounds: Vec<usize> = [0]
            .into_iter()
            .chain(cuts.iter().copied())
            .chain([figures.len()])
            .collect();
        for stretch in bounds.windows(3) {
            let &[start, cut, end] = stretch else {
                continue;
            };
            let at = points[cut].0;
            changes.push(Change {
                case: case.to_owned(),
                at,
                revision: logs[at].start.revision.clone(),
                before: median(&figures[start..cut]),
                after: median(&figures[cut..end]),
            });
        }
    }
    changes.sort_by(|a, b| a.at.cmp(&b.at).then_with(|| a.case.cmp(&b.case)));
    changes
}

/// Where exact figures change.
fn steps(figures: &[f64]) -> Vec<usize> {
    (1..figures.len())
        .filter(|&at| figures[at] != figures[at - 1])
        .collect()
}

/// Where noisy figures change, in order.
fn cuts(figures: &[f64]) -> Vec<usize> {
    let places = LEAST..(figures.len() + 1).saturating_sub(LEAST);
    let tried = places.len() as f64;
    let best = places
        .map(|at| (p_value(&figures[..at], &figures[at..]), at))
        .min_by(|a, b| a.0.total_cmp(&b.0));
    match best {
        Some((p, at)) if p * tried <= ALPHA => {
            let right = cuts(&figures[at..]).into_iter().map(|cut| cut + at);
            cuts(&figures[..at])
                .into_iter()
                .chain([at])
                .chain(right)
                .collect()
        }
        _ => Vec::new(),
    }
}

/// What differs between the first machine of `logs` and any other, in words; empty where they are one.
pub fn machines(logs: &[Log]) -> Vec<String> {
    let Some((first, others)) = logs.split_first() else {
        return Vec::new();
    };
    let first = Fingerprint::of(first);
    let mut differing: Vec<String> = others
        .iter()
        .flat_map(|log| first.unlike(&Fingerprint::of(log)))
        .collect();
    differing.dedup();
    differing
}

/// The changes as a table.
pub fn render(logs: &[Log], look: Look) -> String {
    let changes = changes(logs);
    let mut text = String::new();
    if !changes.is_empty() {
        let mut table = look.table();
        look.header(
            &mut table,
            &["case", "log", "revision", "before", "after", "per cent"],
        );
        for change in &changes {
            table.add_row([
                change.case.clone(),
                (change.at + 1).to_string(),
                change.revision.clone(),
                number(change.before),
                number(change.after),
                format!("{:+.2} %", change.rise() * 100.0),
            ]);
        }
        text = indented(&table, 2) + "\n";
    }
    text + &format!(
        "  {} in {}\n",
        counted(changes.len(), "change"),
        counted(logs.len(), "log")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_found_where_it_is_and_noise_is_none() {
        let noise = |at: usize| ((at * 7919) % 13) as f64 * 0.1;
        let series = |step: f64| {
            (0..40)
                .map(|at| 100.0 + noise(at) + if at >= 17 { step } else { 0.0 })
                .collect::<Vec<_>>()
        };
        assert_eq!(cuts(&series(3.0)), [17]);
        assert_eq!(cuts(&series(0.0)), [0; 0]);
        assert_eq!(cuts(&[1.0; 40]), [0; 0]);
        let mut outlier = series(0.0);
        outlier[20] = 1e6;
        assert_eq!(cuts(&outlier), [0; 0]);
        for length in 0..2 * LEAST {
            assert_eq!(cuts(&vec![1.0; length]), [0; 0]);
        }
    }

    #[test]
    fn two_steps_are_both_found() {
        let series: Vec<f64> = (0..45)
            .map(|at| f64::from(at / 15) * 10.0 + f64::from(at % 4))
            .collect();
        assert_eq!(cuts(&series), [15, 30]);
    }

    #[test]
    fn exact_figures_change_at_every_step() {
        assert_eq!(steps(&[7.0, 7.0, 8.0, 8.0, 7.0]), [2, 4]);
    }
}
