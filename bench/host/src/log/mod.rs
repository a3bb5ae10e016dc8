//! A run's log, read: whole, or an error that names the line.
//!
//! A [`capture`] of a serial line has any number of runs in it, and more than the image wrote: [`wire`] takes off what a wire or a
//! terminal program adds, [`assemble`] what a logging program does, until the `end` record's line count and CRC-32 prove that
//! what is left is what the image wrote. [`damage`] says where a log is damaged; [`printable`] keeps what a log says from being
//! obeyed by a terminal; [`origin`] is where and when a log was made; [`side`] takes files and folders.

mod assemble;
pub mod capture;
#[cfg(test)]
mod captures;
pub mod damage;
mod error;
pub mod lines;
pub mod origin;
mod prefix;
pub mod printable;
mod reader;
#[cfg(test)]
pub(crate) mod sample;
pub mod side;
#[cfg(test)]
mod tests;
mod wire;

use pagemark_record::{
    Advice, Boot, Buddyinfo, CaseResult, Check, Clock, Cpu, Crossover, End, Environment, Frames,
    Machine, Panic, Probe, Region, Skip, Start, Unit, Vmallocinfo, Zone,
};

pub use error::{Fault, LogError};
pub use origin::Origin;
pub use reader::read;

/// One run's records, in the order of the log where there can be several of a kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    /// Where it was read.
    pub origin: Origin,
    /// The image, the suite and the command line.
    pub start: Start<String>,
    /// The machine; none when the run ended before it was known.
    pub machine: Option<Machine<String>>,
    /// What its figures are worth.
    pub environment: Option<Environment<String>>,
    /// The CPUs of the run that say where they sit.
    pub cpus: Vec<Cpu>,
    /// The regions of the virtual address space.
    pub regions: Vec<Region<String>>,
    /// The buddy's zones.
    pub zones: Vec<Zone<String>>,
    /// Their free blocks, before the first case and after the last.
    pub buddyinfo: Vec<Buddyinfo<String>>,
    /// The areas of the vmalloc region, in the order of the moments.
    pub vmallocinfo: Vec<Vmallocinfo>,
    /// What a person should know.
    pub notices: Vec<String>,
    /// The way from entry to the first sample.
    pub boot: Option<Boot>,
    /// Every self-check.
    pub checks: Vec<Check<String>>,
    /// Every measured case; no two have one name.
    pub results: Vec<CaseResult<String>>,
    /// Every case that did not run.
    pub skips: Vec<Skip<String>>,
    /// Free frames before and after.
    pub frames: Option<Frames>,
    /// From how many pages on the whole TLB should be dropped, beside each working set.
    pub crossovers: Vec<Crossover>,
    /// What follows for a ceiling.
    pub advice: Vec<Advice>,
    /// The answer of the suite `probe`.
    pub probe: Option<Probe>,
    /// Why the run could not be made as it was asked for.
    pub errors: Vec<String>,
    /// How it ended.
    pub ending: Ending,
}

/// The record that closes a log.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    /// The image came to its end; count and CRC-32 of the lines are those of the log.
    End(End),
    /// The image panicked.
    Panic(Box<Panic<String>>),
}

impl Log {
    /// The clock, where the log says which.
    pub fn clock(&self) -> Option<Clock> {
        self.machine.as_ref().map(|machine| machine.clock)
    }

    /// The number of this boot in a campaign, where the command line gives one: `boot=7`.
    pub fn boot_number(&self) -> Option<u64> {
        self.word("boot")?.parse().ok()
    }

    /// The value of a word of the command line.
    pub fn word(&self, key: &str) -> Option<&str> {
        let words = self.start.command_line.split_whitespace();
        let mut values = words.filter_map(|word| word.strip_prefix(key)?.strip_prefix('='));
        values.next()
    }

    /// What the figures count.
    pub fn unit(&self) -> Option<Unit> {
        self.clock().map(Clock::unit)
    }
}
