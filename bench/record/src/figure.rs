//! What one operation costs: a number with three decimals, exact and ordered.

use core::fmt;
use core::str::FromStr;

#[cfg(feature = "read")]
use serde::{Deserialize, Deserializer};
use serde::{Serialize, Serializer};

/// A figure in thousandths of its unit. Most are whole; those of operations that were timed many at a time need not be.
///
/// In JSON it is a number, without decimals where it is whole; a reader's floating point holds one below 2^38 to the thousandth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Figure(u64);

impl Figure {
    /// Thousandths in a whole.
    const SCALE: u64 = 1000;

    /// `total` divided by the number of operations that it is for, to the nearest thousandth. `count` is not 0.
    #[must_use]
    pub const fn share(total: u64, count: u32) -> Self {
        let count = count as u64;
        // The whole part first: it cannot overflow for any total that a clock yields within a year.
        let whole = (total / count).saturating_mul(Self::SCALE);
        Self(whole.saturating_add((total % count * Self::SCALE + count / 2) / count))
    }

    /// That many thousandths.
    #[must_use]
    pub const fn from_thousandths(thousandths: u64) -> Self {
        Self(thousandths)
    }

    /// It in thousandths.
    #[must_use]
    pub const fn thousandths(self) -> u64 {
        self.0
    }

    /// The nearest whole number.
    #[must_use]
    pub const fn rounded(self) -> u64 {
        (self.0 + Self::SCALE / 2) / Self::SCALE
    }

    /// Its value.
    #[must_use]
    pub const fn as_f64(self) -> f64 {
        self.0 as f64 / Self::SCALE as f64
    }

    /// It less another, and 0 if that is more.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl From<u64> for Figure {
    fn from(whole: u64) -> Self {
        Self(whole.saturating_mul(Self::SCALE))
    }
}

impl fmt::Display for Figure {
    /// With as many decimals as it needs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, thousandths) = (self.0 / Self::SCALE, self.0 % Self::SCALE);
        match (thousandths, thousandths % 100, thousandths % 10) {
            (0, ..) => write!(f, "{whole}"),
            (tenths, 0, _) => write!(f, "{whole}.{}", tenths / 100),
            (hundredths, _, 0) => write!(f, "{whole}.{:02}", hundredths / 10),
            _ => write!(f, "{whole}.{thousandths:03}"),
        }
    }
}

/// A text that is no figure: not a number, negative, or with more than three decimals.
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
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let number = |digits: &str| match digits.bytes().all(|digit| digit.is_ascii_digit()) {
            true => digits.parse::<u64>().map_err(|_| NoFigure),
            false => Err(NoFigure),
        };
        let places = u32::try_from(decimals.len()).map_err(|_| NoFigure)?;
        let weight = 10_u64.pow(3_u32.checked_sub(places).ok_or(NoFigure)?);
        number(whole)?
            .checked_mul(Self::SCALE)
            .zip(Some(number(decimals)? * weight))
            .and_then(|(whole, decimals)| whole.checked_add(decimals))
            .map(Self)
            .ok_or(NoFigure)
    }
}

impl Serialize for Figure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.is_multiple_of(Self::SCALE) {
            true => serializer.serialize_u64(self.0 / Self::SCALE),
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
                f.write_str("a number that is not negative")
            }

            fn visit_u64<E: serde::de::Error>(self, whole: u64) -> Result<Figure, E> {
                Ok(Figure::from(whole))
            }

            fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Figure, E> {
                let thousandths = number * Figure::SCALE as f64;
                if !(0.0..=u64::MAX as f64).contains(&thousandths) {
                    return Err(E::invalid_value(
                        serde::de::Unexpected::Float(number),
                        &self,
                    ));
                }
                // To the nearest: the number is the closest that there is to a multiple of a thousandth.
                Ok(Figure((thousandths + 0.5) as u64))
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
            "-1",
            "+1",
            "1.2345",
            "1e3",
            "18446744073709552",
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
        assert_eq!(share(u64::MAX, 1), u64::MAX);
    }

    proptest! {
        #[test]
        fn a_figure_survives_text_and_json(thousandths in 0..1_u64 << 48) {
            let figure = Figure::from_thousandths(thousandths);
            prop_assert_eq!(figure.to_string().parse(), Ok(figure));
            let json = serde_json::to_string(&figure).unwrap();
            prop_assert_eq!(serde_json::from_str::<Figure>(&json).unwrap(), figure);
        }
    }
}
