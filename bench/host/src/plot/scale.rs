//! Where a value lies on an axis, and which values are marked.
//!
//! Marks are 1, 2 and 5 times powers of ten, on linear and on logarithmic axes; sizes in bytes have powers of two, dates the first
//! days of years, months or weeks. A mark's text has the digits that distinguish it from its neighbours.

use jiff::Unit;
use jiff::civil::DateTime;
use jiff::{Span, ToSpan};

use crate::style::thousands;

/// Marks of an axis, at most.
const MOST: usize = 8;
/// Where the highest value is less than this times the lowest, a logarithmic axis shows nothing that a linear one does not.
const LEAST_RATIO: f64 = 3.0;

/// How values become places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Equal distances for equal differences.
    Linear,
    /// Linear, with marks at whole numbers alone.
    Count,
    /// Equal distances for equal ratios.
    Log,
    /// The same, of sizes in bytes.
    Bytes,
    /// Seconds since 1970-01-01T00:00:00, as dates.
    Date,
}

/// One axis: what it spans, and its marks.
#[derive(Clone, Debug)]
pub struct Axis {
    ends: [f64; 2],
    log: bool,
    /// Values and their texts.
    pub marks: Vec<(f64, String)>,
}

impl Axis {
    /// An axis that encloses `low` and `high`, which are finite and in order.
    pub fn new(scale: Scale, low: f64, high: f64) -> Self {
        match scale {
            Scale::Log if low > 0.0 && high / low >= LEAST_RATIO => Self::decades(low, high),
            Scale::Bytes if low > 0.0 && high > low => Self::bytes(low, high),
            Scale::Date => Self::dates(low, high),
            Scale::Count => Self::linear(low, high, 1.0),
            Scale::Linear | Scale::Log | Scale::Bytes => Self::linear(low, high, 0.0),
        }
    }

    /// The place of `value` as a share of the axis; beyond 0 and 1 outside of it.
    pub fn share(&self, value: f64) -> f64 {
        let place = |value: f64| {
            if self.log {
                value.max(f64::MIN_POSITIVE).ln()
            } else {
                value
            }
        };
        let [low, high] = self.ends.map(place);
        (place(value) - low) / (high - low)
    }

    fn linear(low: f64, high: f64, least: f64) -> Self {
        // Equal values lie in the middle.
        let (low, high) = match high - low {
            0.0 => {
                let margin = (low.abs() * 0.01).max(least).max(1e-9);
                (low - margin, high + margin)
            }
            _ => (low, high),
        };
        let step = step((high - low) / (MOST - 2) as f64).max(least);
        let (first, last) = ((low / step).floor(), (high / step).ceil());
        let marks = (0..=(last - first) as usize).map(|at| {
            let value = (first + at as f64) * step;
            (value, text(value, step))
        });
        Self {
            ends: [first * step, last * step],
            log: false,
            marks: marks.collect(),
        }
    }

    fn decades(low: f64, high: f64) -> Self {
        let enclosing = |steps: &[f64], every: i32| -> Vec<f64> {
            let first = (low.log10().floor() as i32).div_euclid(every) * every;
            let all: Vec<f64> = (0..)
                .map(|at| first + at * every)
                .take_while(|decade| *decade <= high.log10().ceil() as i32 + every)
                .flat_map(|decade| steps.iter().map(move |step| step * 10_f64.powi(decade)))
                .collect();
            let from = all.iter().rposition(|mark| *mark <= low).unwrap_or(0);
            let to = all.iter().position(|mark| *mark >= high);
            all[from..=to.unwrap_or(all.len() - 1)].to_vec()
        };
        let mut marks = enclosing(&[1.0, 2.0, 5.0], 1);
        let mut every = 1;
        while marks.len() > MOST {
            marks = enclosing(&[1.0], every);
            every += 1;
        }
        Self {
            ends: [marks[0], marks[marks.len() - 1]],
            log: true,
            marks: marks
                .into_iter()
                .map(|mark| (mark, text(mark, mark)))
                .collect(),
        }
    }

    fn bytes(low: f64, high: f64) -> Self {
        let (first, last) = (low.log2().floor() as i32, high.log2().ceil() as i32);
        let every = [1, 2, 4, 10, 20]
            .into_iter()
            .find(|every| ((last - first) / every) < MOST as i32)
            .unwrap_or(40);
        let marks = (first..=last)
            .filter(|power| power.rem_euclid(every) == 0)
            .map(|power| {
                let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
                let unit = (power.max(0) / 10).min(units.len() as i32 - 1);
                let number = 2_f64.powi(power - 10 * unit);
                (
                    2_f64.powi(power),
                    format!("{number} {}", units[unit as usize]),
                )
            });
        Self {
            ends: [2_f64.powi(first), 2_f64.powi(last)],
            log: true,
            marks: marks.collect(),
        }
    }

    fn dates(low: f64, high: f64) -> Self {
        const DAY: f64 = 86_400.0;
        let days = (high - low) / DAY;
        let margin = (days * 0.02).max(0.5) * DAY;
        let ends = [low - margin, high + margin];
        let steps: [(f64, Span, &str); 8] = [
            (1.0, 1.day(), "%m-%d"),
            (2.0, 2.days(), "%m-%d"),
            (7.0, 7.days(), "%m-%d"),
            (14.0, 14.days(), "%m-%d"),
            (30.0, 1.month(), "%Y-%m"),
            (91.0, 3.months(), "%Y-%m"),
            (182.0, 6.months(), "%Y-%m"),
            (365.0, 1.year(), "%Y"),
        ];
        let fits = |step: &&(f64, Span, &str)| days / step.0 <= (MOST - 2) as f64;
        let (length, step, format) = *steps.iter().find(fits).unwrap_or(&steps[7]);
        let mut marks = Vec::new();
        // Months count from the year's first.
        let mut date = date(ends[0]).and_then(|date| match length {
            30.0.. => Some(date.first_of_year().start_of_day()),
            _ => date.round(Unit::Day).ok(),
        });
        while let Some(mark) = date {
            let value = seconds(mark);
            if value > ends[1] || marks.len() > 100 {
                break;
            }
            if value >= ends[0] {
                marks.push((value, mark.strftime(format).to_string()));
            }
            date = mark.checked_add(step).ok();
        }
        Self {
            ends,
            log: false,
            marks,
        }
    }
}

/// A date as [`Scale::Date`] takes it.
pub fn seconds(date: DateTime) -> f64 {
    let epoch = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
    date.duration_since(epoch).as_secs_f64()
}

fn date(seconds: f64) -> Option<DateTime> {
    let epoch = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
    epoch
        .checked_add(Span::new().try_seconds(seconds as i64).ok()?)
        .ok()
}

/// The least of 1, 2 and 5 times powers of ten that is not below `least`, which is positive.
fn step(least: f64) -> f64 {
    let decade = 10_f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|times| times * decade)
        .find(|step| *step >= least * (1.0 - 1e-9))
        .unwrap_or(10.0 * decade)
}

/// A mark: `1,250`, `2.5M`, with the digits that distinguish it from one `step` further on.
fn text(value: f64, step: f64) -> String {
    // From which size on, and what: four digits are readable as they are.
    const UNITS: [(f64, f64, &str); 4] = [
        (1e12, 1e12, "T"),
        (1e9, 1e9, "G"),
        (1e6, 1e6, "M"),
        (1e4, 1e3, "k"),
    ];
    let size = value.abs();
    if size != 0.0 && !(1e-6..1e15).contains(&size) {
        return format!("{value:.1e}");
    }
    let decimals = |step: f64| (-step.log10()).ceil().clamp(0.0, 9.0) as usize;
    let short = UNITS.iter().find(|(from, ..)| size >= *from);
    match short {
        Some((_, unit, name)) if decimals(step / unit) <= 2 => {
            format!("{:.*}{name}", decimals(step / unit), value / unit)
        }
        _ => {
            let text = format!("{size:.*}", decimals(step));
            let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
            let sign = if value < 0.0 { "-" } else { "" };
            let whole = whole.parse().map_or_else(|_| whole.to_owned(), thousands);
            format!("{sign}{whole}{rest}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(scale: Scale, low: f64, high: f64) -> Vec<String> {
        let marks = Axis::new(scale, low, high).marks;
        marks.into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn marks_are_one_two_and_five() {
        assert_eq!(texts(Scale::Log, 3.0, 40.0), ["2", "5", "10", "20", "50"]);
        assert_eq!(texts(Scale::Log, 1.0, 1e9)[..3], ["1", "100", "10k"]);
        assert_eq!(
            texts(Scale::Linear, 0.0, 31.0),
            ["0", "10", "20", "30", "40"]
        );
        assert_eq!(texts(Scale::Count, 0.0, 2.0), ["0", "1", "2"]);
        assert_eq!(
            texts(Scale::Bytes, 4096.0, 16.0 * 1048576.0)[..2],
            ["4 KiB", "16 KiB"]
        );
    }

    #[test]
    fn neighbours_differ_at_any_range() {
        for (low, high) in [
            (0.0, 0.0),
            (14.0, 14.001),
            (1_234_567.0, 1_234_570.0),
            (1e6, 5e6),
            (1e-9, 3e-9),
            (-5.0, 5.0),
            (0.0, 1e18),
            (1e14, 1e14 + 3.0),
            (99.999, 100.001),
            (2_500.0, 9_000_000.0),
        ] {
            for scale in [Scale::Linear, Scale::Count, Scale::Log, Scale::Bytes] {
                let axis = Axis::new(scale, low, high);
                let texts: std::collections::BTreeSet<&String> =
                    axis.marks.iter().map(|(_, text)| text).collect();
                assert_eq!(
                    texts.len(),
                    axis.marks.len(),
                    "{scale:?} {low} {high}: {:?}",
                    axis.marks
                );
                assert!(
                    (1..=12).contains(&axis.marks.len()),
                    "{scale:?} {low} {high}: {:?}",
                    axis.marks
                );
                for value in [low, high].into_iter().filter(|value| *value > 0.0) {
                    assert!(
                        (-1e-9..=1.0 + 1e-9).contains(&axis.share(value)),
                        "{scale:?} {value}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_year_is_marked_by_months() {
        let at = |text: &str| seconds(text.parse().unwrap());
        let texts = texts(Scale::Date, at("2026-01-01T06:00"), at("2026-12-31T06:00"));
        assert_eq!(
            texts,
            ["2026-01", "2026-04", "2026-07", "2026-10", "2027-01"]
        );
        let week = Axis::new(Scale::Date, at("2026-02-27T06:00"), at("2026-03-03T06:00"));
        assert!(
            week.marks.iter().any(|(_, text)| text == "03-01"),
            "{:?}",
            week.marks
        );
        assert!(
            !Axis::new(Scale::Date, at("2026-02-27T06:00"), at("2026-02-27T06:00"))
                .marks
                .is_empty()
        );
    }
}
