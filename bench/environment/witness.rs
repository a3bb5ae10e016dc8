//! Who sees what strikes a sample: the counters that this machine has, read before and after it.

use pagemark_verdict::{CoreReading, Seen, cycles_per_1000_ticks};

use super::core_clock::CoreClock;
use super::smi_count_now;
use super::steal::StealTime;

/// The counters of this machine.
pub struct Witness {
    pub(super) smi: bool,
    pub(super) steal: Option<StealTime>,
    pub(super) core_clock: CoreClock,
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

    /// The rate at the start.
    pub const fn usual_rate(&self) -> Option<u64> {
        self.usual
    }
}
