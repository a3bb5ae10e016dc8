//! Signs of life: while a run has nothing to write down, a line of text every few seconds says where it is and how long it will take.
//!
//! With many passes the results come at the end, and a check of all RAM takes minutes on a large machine; who waits before the console
//! cannot distinguish such a run from one that hangs. A clock that counts instructions shows no such line: its logs are equal from run to run.

use pagemark::console::log;
use pagemark::cpu::tsc;
use pagemark_record::Clock;

/// Seconds without a line after which there is one.
const SECONDS: u64 = 5;

/// When something was said last, and when the passes began.
#[derive(Debug)]
pub struct Progress {
    /// Ticks of a second; `None` says nothing.
    second: Option<u64>,
    began: u64,
    spoke: u64,
}

impl Progress {
    /// One that says nothing yet.
    pub const SILENT: Self = Progress {
        second: None,
        began: 0,
        spoke: 0,
    };

    /// Begins, on a clock of `second` ticks a second.
    pub fn begin(clock: Clock, second: u64) -> Self {
        let now = tsc::read();
        Progress {
            second: (clock != Clock::Icount && second > 0).then_some(second),
            began: now,
            spoke: now,
        }
    }

    /// Something was written down.
    pub fn spoke(&mut self) {
        if self.second.is_some() {
            self.spoke = tsc::read();
        }
    }

    /// The seconds since the beginning, if nothing was said for some of them.
    pub fn is_due(&mut self) -> Option<u64> {
        let second = self.second?;
        let now = tsc::read();
        if now.wrapping_sub(self.spoke) < SECONDS * second {
            return None;
        }
        self.spoke = now;
        self.seconds()
    }

    /// Seconds since the beginning, where there is a clock for them.
    pub fn seconds(&self) -> Option<u64> {
        let second = self.second?;
        Some(tsc::read().wrapping_sub(self.began) / second)
    }
}

/// Where a run is in its passes.
#[derive(Clone, Copy, Debug)]
pub struct Stage {
    /// The pass that runs, from 1; 0 before the first and after the last.
    pub pass: u32,
    /// How many there are.
    pub passes: u32,
    /// Seconds that it takes in all, where that is settled.
    pub limit: Option<u32>,
}

impl Stage {
    /// Says that the run is at `place` after these seconds, and how long it will still take.
    pub fn say(self, seconds: u64, place: &str) {
        let done = u64::from(self.pass.saturating_sub(1));
        match (self.limit, done) {
            (Some(limit), _) => log::line(format_args!("{seconds} of {limit} s: {place}")),
            (None, 0) => log::line(format_args!("{seconds} s: {place}")),
            (None, _) => {
                let Stage { pass, passes, .. } = self;
                let left = seconds * (u64::from(passes) - done) / done;
                log::line(format_args!(
                    "{seconds} s: pass {pass} of {passes}, {place}; about {left} s to go"
                ));
            }
        }
    }
}
