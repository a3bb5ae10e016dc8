//! Readings of brackets around known instructions, taken first of all, and what a case measured of the same instructions later.
//!
//! In a process the same.

use arrayvec::ArrayVec;
use pagemark::console::log;
use pagemark::cpu::tsc::{self, Brackets};
use pagemark_record::{Figure, Record};
use pagemark_verdict::{Class, Disagreement, ROW, Readings, Spread, nops_disagree, quantum};

/// How often each bracket is read. Enough to see a clock that is exact, and its step.
const READINGS: usize = 101;
/// The same where each NOP is interpreted: more would take seconds.
const READINGS_EMULATED: usize = 5;
/// Ticks of 1,000 NOPs from which on they are interpreted.
const EMULATED: u64 = 10_000;

/// What the figure of a case is held against: the class, and the readings that it was concluded from.
#[derive(Clone, Copy)]
pub struct FirstLook {
    /// Who executes.
    pub class: Class,
    /// What that was concluded from.
    pub readings: Readings,
}

impl FirstLook {
    /// Holds the ticks of 1,000 NOPs that a case measured against what was concluded at first; tags the figures where both cannot be
    /// of one machine in one state.
    pub fn compare(&self, case: Figure) {
        let case = case.rounded().unsigned_abs();
        let tag = |reason: core::fmt::Arguments<'_>| {
            log::record(&Record::Tag(pagemark_record::Tag {
                tag: "nops_disagree".into(),
                reason: reason.into(),
            }));
        };
        let (class, probe) = (self.class.name(), self.readings.ticks_per_1000_nops());
        match nops_disagree(self.class, &self.readings, case) {
            None => {}
            Some(Disagreement::NoCpu { cycles }) => tag(format_args!(
                "1,000 NOPs took {case} ticks in control/nops, which is {cycles} core cycles: no CPU is as fast, and {class} is not what this machine is"
            )),
            Some(Disagreement::Apart) => tag(format_args!(
                "1,000 NOPs took {probe} ticks at first, and {case} later"
            )),
        }
    }
}

/// The spread of brackets, and the clock's step.
pub(super) fn readings() -> (Readings, u64) {
    // The first ones find the code cold.
    let [.., warm] = [Brackets::take(), Brackets::take()];
    let times = if warm.nops > EMULATED {
        READINGS_EMULATED
    } else {
        READINGS
    };
    let mut readings = Readings::NONE;
    let mut deltas = ArrayVec::<u64, { 5 * READINGS }>::new();
    for _ in 0..times {
        let ticks = Brackets::take();
        for (spread, ticks) in [
            (&mut readings.empty, ticks.empty),
            (&mut readings.one_nop, ticks.one_nop),
            (&mut readings.nops, ticks.nops),
            (&mut readings.additions, ticks.additions),
            (&mut readings.cpuid, ticks.cpuid),
        ] {
            spread.add(ticks);
            deltas.push(ticks);
        }
    }
    (readings, quantum(&deltas))
}

/// The spread of rows of NOPs.
pub(super) fn row() -> Spread {
    const { assert!(ROW == tsc::ROW) };
    let mut spread = Spread::NONE;
    for _ in 0..READINGS {
        spread.add(tsc::row_of_nops());
    }
    spread
}
