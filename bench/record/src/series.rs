//! A series of figures as one compact text: `75*31`, `212.125,213*2,212.5`.
//!
//! Figures in the order in which they were measured, separated by commas; `*n` stands for n equal ones in a row.

use core::fmt;

use crate::Figure;

/// The most bytes that a series takes in a log. What is longer is cut there, and ends in `…`: with up to 250 figures that
/// takes figures of 12 digits.
pub const MAX_SERIES: usize = 3000;

/// A series on its way out.
#[derive(Clone, Copy, Debug)]
pub struct Series<'a>(pub &'a [Figure]);

impl fmt::Display for Series<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, run) in self.0.chunk_by(PartialEq::eq).enumerate() {
            if place > 0 {
                f.write_str(",")?;
            }
            write!(f, "{}", run[0])?;
            if run.len() > 1 {
                write!(f, "*{}", run.len())?;
            }
        }
        Ok(())
    }
}

/// The figures of a series; `None` for a piece that is none.
#[cfg(feature = "read")]
pub fn read_series(series: &str) -> impl Iterator<Item = Option<Figure>> + '_ {
    /// More than any log has in a row: a number that is out of all bounds is no count.
    const MOST: usize = 100_000;
    let pieces = series.split_terminator(',');
    pieces.flat_map(|piece| {
        let (figure, count) = piece.split_once('*').unwrap_or((piece, "1"));
        let count = count
            .parse()
            .ok()
            .filter(|count| (1..=MOST).contains(count));
        let figure = figure.parse().ok().filter(|_| count.is_some());
        core::iter::repeat_n(figure, count.unwrap_or(1))
    })
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::ToString;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn equal_ones_in_a_row_are_counted() {
        let figures = [75, 75, 75, 80, 75].map(Figure::from);
        assert_eq!(Series(&figures).to_string(), "75*3,80,75");
        assert_eq!(Series(&[]).to_string(), "");
    }

    #[test]
    fn a_piece_that_is_no_figure_is_an_error() {
        let read: Vec<_> = read_series("1,x,2*0,3*2,4*,5…").collect();
        let three = Some(Figure::from(3));
        let one = Some(Figure::from(1));
        assert_eq!(read, [one, None, None, three, three, None, None]);
    }

    proptest! {
        #[test]
        fn a_series_reads_back(thousandths in proptest::collection::vec(-2_i64..3, 0..40)) {
            let figures: Vec<_> = thousandths.into_iter().map(Figure::from_thousandths).collect();
            let text = Series(&figures).to_string();
            let read: Option<Vec<_>> = read_series(&text).collect();
            prop_assert_eq!(read, Some(figures));
        }
    }
}
