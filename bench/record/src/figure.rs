//! What one operation costs: a number with three decimals, exact and ordered.

use core::fmt;
use core::str::FromStr;

#[cfg(feature = "read")]
use serde::{Deserialize, Deserializer};
use serde::{Serialize, Serializer};

/// A figure in thousandths of its unit. Most are whole; those of operations that were timed many at a time need not be. It has a
/// sign: a difference of two readings is negative where noise is larger than what is measured, and to cut it at 0 would hide that.
///
/// In JSON it is a number, without decimals where it is whole; a reader's floating point holds one below 2^38 to the thousandth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Figure(i64);

impl Figure {
    /// Thousandths in a whole.
    const SCALE: i64 = 1000;

    /// `total` divided by the number of operations that it is for, to the nearest thousandth. `count` is not 0.
    #[must_use]
    pub const fn share(total: i64, count: u32) -> Self {
        let count = count as i64;
        // The whole part first: it cannot overflow for any total that a clock yields within a year.
        let whole = (total / count).saturating_mul(Self::SCALE);
        let rest = total % count * Self::SCALE;
        let half = if rest < 0 { -count / 2 } else { count / 2 };
        Self(whole.saturating_add((rest + half) / count))
    }

    /// That many thousandths.
    #[must_use]
    pub const fn from_thousandths(thousandths: i64) -> Self {
        Self(thousandths)
    }

    /// It in thousandths.
    #[must_use]
    pub const fn thousandths(self) -> i64 {
        self.0
    }

    /// The nearest whole number.
    #[must_use]
    pub const fn rounded(self) -> i64 {
        self.0
            .saturating_add(Self::SCALE / 2)
            .div_euclid(Self::SCALE)
    }

    /// Its value.
    #[must_use]
    pub const fn as_f64(self) -> f64 {
        self.0 as f64 / Self::SCALE as f64
    }

    /// It less another.
    #[must_use]
    pub const fn less(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl From<u64> for Figure {
    fn from(whole: u64) -> Self {
        Self(
            i64::try_from(whole)
                .unwrap_or(i64::MAX)
                .saturating_mul(Self::SCALE),
        )
    }
}

impl fmt::Display for Figure {
    /// With as many decimals as it needs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (scale, size) = (Self::SCALE.unsigned_abs(), self.0.unsigned_abs());
        let (whole, thousandths) = (size / scale, size % scale);
        match (thousandths, thousandths % 100, thousandths % 10) {
            (0, ..) => write!(f, "{sign}{whole}"),
            (tenths, 0, _) => write!(f, "{sign}{whole}.{}", tenths / 100),
            (hundredths, _, 0) => write!(f, "{sign}{whole}.{:02}", hundredths / 10),
            _ => write!(f, "{sign}{whole}.{thousandths:03}"),
        }
    }
}

/// A text that is no figure: not a number, or with more than three decimals.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoFigure;

impl fmt::Display for NoFigure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a number with at most three decimals")
    }
}

impl core::error::Error for NoFigure {}

impl FromStr for Figure {
    type Err = NoFigure;

    fn from_str(text: &str) -> Result<Self, NoFigure> {
        let size = text.strip_prefix('-').unwrap_or(text);
        let (whole, decimals) = size.split_once('.').unwrap_or((size, "0"));
        let number = |digits: &str| match digits.bytes().all(|digit| digit.is_ascii_digit()) {
            true => digits.parse::<i64>().map_err(|_| NoFigure),
            false => Err(NoFigure),
        };
        let places = u32::try_from(decimals.len()).map_err(|_| NoFigure)?;
        let weight = 10_i64.pow(3_u32.checked_sub(places).ok_or(NoFigure)?);
        let size = number(whole)?
            .checked_mul(Self::SCALE)
            .zip(Some(number(decimals)? * weight))
            .and_then(|(whole, decimals)| whole.checked_add(decimals))
            .ok_or(NoFigure)?;
        Ok(Self(if text.starts_with('-') { -size } else { size }))
    }
}

impl Serialize for Figure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 % Self::SCALE == 0 {
            true => serializer.serialize_i64(self.0 / Self::SCALE),
            false => serializer.serialize_f64(self.as_f64()),
        }
    }
}

#[cfg(feature = "read")]
impl<'de> Deserialize<'de> for Figure {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FigureVisitor;

        impl serde::de::Visitor<'_> for FigureVisitor {
            type Value = Figure;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of at most 15 digits")
            }

            fn visit_u64<E: serde::de::Error>(self, whole: u64) -> Result<Figure, E> {
                Ok(Figure::from(whole))
            }

            fn visit_i64<E: serde::de::Error>(self, whole: i64) -> Result<Figure, E> {
                Ok(Figure(whole.saturating_mul(Figure::SCALE)))
            }

            fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Figure, E> {
                let thousandths = number * Figure::SCALE as f64;
                if !(-(i64::MAX as f64)..=i64::MAX as f64).contains(&thousandths) {
                    return Err(E::invalid_value(
                        serde::de::Unexpected::Float(number),
                        &self,
                    ));
                }
                // To the nearest: the number is the closest that there is to a multiple of a thousandth.
                let half = if thousandths < 0.0 { -0.5 } else { 0.5 };
                Ok(Figure((thousandths + half) as i64))
            }
        }

        deserializer.deserialize_any(FigureVisitor)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::ToString;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decimals_as_needed() {
        for (thousandths, text) in [
            (0, "0"),
            (75_000, "75"),
            (75_100, "75.1"),
            (75_010, "75.01"),
            (75_120, "75.12"),
            (212_125, "212.125"),
            (1, "0.001"),
            (-1, "-0.001"),
            (-75_120, "-75.12"),
        ] {
            let figure = Figure::from_thousandths(thousandths);
            assert_eq!(figure.to_string(), text);
            assert_eq!(text.parse(), Ok(figure));
            assert_eq!(serde_json::to_string(&figure).unwrap(), text);
        }
        for bad in [
            "",
            ".",
            "1.",
            ".5x",
            "-",
            "--1",
            "+1",
            "1.2345",
            "1e3",
            "9223372036854776",
        ] {
            assert_eq!(bad.parse::<Figure>(), Err(NoFigure), "{bad}");
        }
    }

    #[test]
    fn a_share_is_rounded_to_the_nearest() {
        let share = |total, count| Figure::share(total, count).thousandths();
        assert_eq!(share(6784, 32), 212_000);
        assert_eq!(share(1, 3), 333);
        assert_eq!(share(2, 3), 667);
        assert_eq!(share(-2, 3), -667);
        assert_eq!(share(i64::MAX, 1), i64::MAX);
    }

    proptest! {
        #[test]
        fn a_figure_survives_text_and_json(thousandths in -(1_i64 << 48)..1_i64 << 48) {
            let figure = Figure::from_thousandths(thousandths);
            prop_assert_eq!(figure.to_string().parse(), Ok(figure));
            let json = serde_json::to_string(&figure).unwrap();
            prop_assert_eq!(serde_json::from_str::<Figure>(&json).unwrap(), figure);
        }
    }
}
