//! Who sees what strikes a sample: the kernel's count of involuntary context switches of this thread, the core that it runs on, and the
//! core's rate. None of it needs root.

use std::mem;

use pagemark::hosted::cpus;
use pagemark_bracket::sample::{METERED, Meter};
use pagemark_record::{Counts, Figure};
use pagemark_verdict::{CoreReading, Seen};

use super::core_clock;

/// Counters that nobody has.
pub enum Counting {}

impl Meter for Counting {
    fn read(&mut self) -> [u64; METERED] {
        match *self {}
    }

    fn between(&self, _: [u64; METERED], _: [u64; METERED]) -> [u64; METERED] {
        match *self {}
    }
}

/// The counters of this process.
pub struct Witness {
    /// The core's rate at the start, in cycles per 1,000 ticks.
    usual: Option<u64>,
}

impl Witness {
    pub(super) const fn new(usual: Option<u64>) -> Self {
        Witness { usual }
    }

    /// What they stand at.
    pub fn look(&self) -> Seen {
        Seen {
            preempted: preemptions(),
            core: cpus::current_core().map(|core| core as u64),
            ..Seen::default()
        }
    }

    /// There is no counter of core cycles.
    pub const fn core(&self) -> Option<CoreReading> {
        None
    }

    /// A process has no counters.
    pub const fn counting(&self) -> Option<Counting> {
        None
    }

    /// There is nothing that figures could be of.
    pub fn counted(&self, _: [Figure; METERED]) -> (Option<Figure>, Counts) {
        (None, Counts::default())
    }

    /// There is nothing to put back.
    pub fn end(self) {}

    /// The core's rate now, in cycles per 1,000 ticks.
    pub fn rate_since(&self, _: Option<CoreReading>) -> Option<u64> {
        self.usual.and_then(|_| core_clock::cycles_per_1000_ticks())
    }

    /// The rate at the start.
    pub const fn usual_rate(&self) -> Option<u64> {
        self.usual
    }
}

/// Involuntary context switches of this thread.
fn preemptions() -> Option<u64> {
    // SAFETY: any bits are a `rusage`.
    let mut usage: libc::rusage = unsafe { mem::zeroed() };
    // SAFETY: the structure is ours.
    let status = unsafe { libc::getrusage(libc::RUSAGE_THREAD, &mut usage) };
    (status == 0).then_some(usage.ru_nivcsw as u64)
}
