//! What is wrong with input: a bounded list, and the number of complaints that it has no room for.

use core::fmt;

use arrayvec::ArrayVec;

/// Most complaints that are kept.
const KEPT: usize = 24;

/// Complaints of one kind, in the order in which they came up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Complaints<C> {
    kept: ArrayVec<C, KEPT>,
    left_out: usize,
}

impl<C> Default for Complaints<C> {
    fn default() -> Self {
        Complaints {
            kept: ArrayVec::new(),
            left_out: 0,
        }
    }
}

impl<C> Complaints<C> {
    /// Adds one.
    pub fn push(&mut self, complaint: C) {
        if self.kept.try_push(complaint).is_err() {
            self.left_out += 1;
        }
    }

    /// Those that are kept.
    #[must_use]
    pub fn kept(&self) -> &[C] {
        &self.kept
    }

    /// How many more there were.
    #[must_use]
    pub const fn left_out(&self) -> usize {
        self.left_out
    }
}

impl<C: fmt::Display> Complaints<C> {
    /// Calls `report` with each of them, and with the number of those that were left out.
    pub fn for_each(&self, mut report: impl FnMut(fmt::Arguments<'_>)) {
        for complaint in &self.kept {
            report(format_args!("{complaint}"));
        }
        if self.left_out > 0 {
            report(format_args!("{} more complaints like these", self.left_out));
        }
    }
}
