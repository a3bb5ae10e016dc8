//! The figures of one case over the logs of a machine, with its changes: what a plot of its history shows.

use jiff::civil::DateTime;

use super::{Change, History};
use crate::plot::chart::{Chart, Series};
use crate::plot::scale::{Scale, seconds};

/// One case over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// The case.
    pub case: String,
    /// The date and the median of each log that has the case.
    pub points: Vec<(Option<DateTime>, f64)>,
    /// The places among the points where it changes, with the rise as a share.
    pub cuts: Vec<(usize, f64)>,
}

/// The cases that `changes` names, those that changed most first, `most` of them.
pub fn traces(history: &History, changes: &[Change], most: usize) -> Vec<Trace> {
    let mut by_size: Vec<&Change> = changes.iter().collect();
    by_size.sort_by(|a, b| b.rise().abs().total_cmp(&a.rise().abs()));
    let mut traces: Vec<Trace> = Vec::new();
    for change in by_size {
        if traces.len() == most || traces.iter().any(|trace| trace.case == change.case) {
            continue;
        }
        let mut points = Vec::new();
        let mut cuts = Vec::new();
        for (at, log) in history.points.iter().enumerate() {
            let Some(&figure) = log.figures.get(&change.case) else {
                continue;
            };
            let of_here = |other: &&Change| other.at == at && other.case == change.case;
            cuts.extend(
                changes
                    .iter()
                    .find(of_here)
                    .map(|change| (points.len(), change.rise())),
            );
            points.push((log.origin.date.map(|date| date.time), figure));
        }
        traces.push(Trace {
            case: change.case.clone(),
            points,
            cuts,
        });
    }
    traces
}

impl Trace {
    /// Its plot, over dates where every log has one; `title` names it.
    pub fn chart(&self, title: &str, unit: &str) -> Chart {
        let dates: Option<Vec<f64>> = self
            .points
            .iter()
            .map(|(date, _)| Some(seconds((*date)?)))
            .collect();
        let dated = dates.is_some();
        let places = dates.unwrap_or_else(|| (1..=self.points.len()).map(|at| at as f64).collect());
        let cuts = self
            .cuts
            .iter()
            .map(|(at, rise)| (places[*at], format!("{:+.2} %", rise * 100.0)));
        Chart {
            title: title.to_owned(),
            x: match dated {
                true => ("date of the log".to_owned(), Scale::Date),
                false => ("log, in order of time".to_owned(), Scale::Count),
            },
            y: (format!("median, {unit}"), Scale::Linear),
            cuts: cuts.collect(),
            series: vec![Series {
                name: String::new(),
                points: places
                    .iter()
                    .copied()
                    .zip(self.points.iter().map(|point| point.1))
                    .collect(),
            }],
            joined: false,
            clip: true,
        }
    }
}
