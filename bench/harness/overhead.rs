//! What the harness costs: one figure for each class of cases, which is subtracted from every sample of the class.
//!
//! It is measured at the beginning of each pass, by brackets around nothing. That each case finds the harness as dear as that is checked
//! at the end, by the brackets around nothing that were run beside its samples.

use arrayvec::ArrayVec;
use pagemark_bracket::Brackets;
use pagemark_bracket::block::PAIR;
use pagemark_bracket::resolution::overhead;
use pagemark_record::{Class, Clock, Figure};

use super::round;

/// Samples of a pass on a clock of ticks; where there is one pass it takes all of them.
const SAMPLES: usize = 301;
/// On a clock that counts instructions, where each is equal to every other.
const SAMPLES_EXACT: usize = 3;
/// Passes of which the figures are kept; a run without an end goes on with those of its beginning.
const PASSES: usize = 32;

/// What the harness costs each class, pass by pass.
#[derive(Default)]
pub struct Overheads([ArrayVec<Figure, PASSES>; CLASSES.len()]);

const CLASSES: [(Class, u32); 3] = [
    (Class::Latency, 64),
    (Class::Throughput, 64),
    (Class::Single, 1),
];

impl Overheads {
    /// Measures it, for a pass of this number.
    pub fn measure(&mut self, clock: Clock, passes: u32) {
        let samples = match clock {
            Clock::Icount => SAMPLES_EXACT,
            Clock::Tsc | Clock::Emulated => SAMPLES.div_ceil(passes.min(PASSES as u32) as usize),
        };
        for ((class, batch), means) in CLASSES.into_iter().zip(&mut self.0) {
            let brackets = Brackets {
                pair: PAIR,
                class,
                batch,
            };
            // The first one finds the code cold.
            let _ = brackets.sample_of_nothing();
            let mut costs: ArrayVec<Figure, SAMPLES> =
                (0..samples).map(|_| round::of_nothing(brackets)).collect();
            costs.sort_unstable();
            let _ = means.try_push(overhead(&costs));
        }
    }

    /// What it costs an operation of this class.
    pub fn of(&self, class: Class) -> Figure {
        let place = CLASSES.iter().position(|&(known, _)| known == class);
        let mut means = self.0[place.unwrap_or_default()].clone();
        means.sort_unstable();
        overhead(&means)
    }
}
