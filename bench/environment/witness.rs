//! Who sees what strikes a sample: the counters that this machine has, read before and after it.

use pagemark::cpu::access::ThisCpu;
use pagemark::cpu::counters::Counters;
use pagemark::cpu::steady::Steady;
use pagemark_bracket::sample::METERED;
use pagemark_record::{Counts, Figure};
use pagemark_verdict::{CoreReading, Seen, cycles_per_1000_ticks};

use super::core_clock::CoreClock;
use super::counters::{Counting, by_kind};
use super::smi_count_now;
use super::steal::StealTime;

/// The counters of this machine.
pub struct Witness {
    pub(super) smi: bool,
    pub(super) steal: Option<StealTime>,
    pub(super) core_clock: CoreClock,
    pub(super) counters: Option<Counters>,
    pub(super) steady: Option<Steady>,
    /// The core's rate at the start, in cycles per 1,000 ticks.
    pub(super) usual: Option<u64>,
}

impl Witness {
    /// What they stand at.
    pub fn look(&self) -> Seen {
        Seen {
            smi: self.smi.then(smi_count_now).flatten(),
            steal_ns: self.steal.as_ref().map(StealTime::nanoseconds),
        }
    }

    /// The core's clock, and the reference beside it.
    pub fn core(&self) -> Option<CoreReading> {
        self.core_clock.read()
    }

    /// The core's rate since `begin`, in cycles per 1,000 ticks.
    pub fn rate_since(&self, begin: Option<CoreReading>) -> Option<u64> {
        cycles_per_1000_ticks(begin?, self.core()?)
    }

    /// The core's counters, to be read around brackets.
    pub fn counting(&self) -> Option<Counting<'_>> {
        self.counters.as_ref().map(Counting)
    }

    /// What figures by the counters are figures of: core cycles, and the rest.
    pub fn counted(&self, figures: [Figure; METERED]) -> (Option<Figure>, Counts) {
        match &self.counters {
            Some(counters) => by_kind(counters, figures),
            None => (None, Counts::default()),
        }
    }

    /// Leaves the counters and the core's rate as they were found.
    pub fn end(self) {
        if let Some(counters) = self.counters {
            counters.stop(&ThisCpu);
        }
        if let Some(steady) = self.steady {
            steady.end(&ThisCpu);
        }
    }

    /// The rate at the start.
    pub const fn usual_rate(&self) -> Option<u64> {
        self.usual
    }
}
