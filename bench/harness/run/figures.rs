//! What a run knows of the cases that it has measured, for conclusions from several of them.

#[cfg(not(target_os = "none"))]
use pagemark_record::Disturbances;
use pagemark_record::Figure;
#[cfg(target_os = "none")]
use pagemark_record::{Clock, Counts};
use pagemark_statistics::summarise;

use super::Run;
#[cfg(target_os = "none")]
use crate::harness::result::counted;

impl Run {
    /// The median of a case that was measured, what the harness costs taken off.
    pub fn median(&mut self, name: &str) -> Option<Figure> {
        let entry = self.ledger.entries().find(|entry| &entry.name == name)?;
        Some(summarise(&mut entry.samples.clone())?.median)
    }

    /// What the core's counters counted of a case's operation.
    #[cfg(target_os = "none")]
    pub fn counts(&mut self, name: &str) -> Option<Counts> {
        let entry = self.ledger.entries().find(|entry| &entry.name == name)?;
        let counts = counted(entry, self.witness.as_ref());
        Some(counts.1)
    }

    /// The median of a case between its bounds.
    #[cfg(target_os = "none")]
    pub fn interval(&mut self, name: &str) -> Option<[Figure; 3]> {
        let entry = self.ledger.entries().find(|entry| &entry.name == name)?;
        let summary = summarise(&mut entry.samples.clone())?;
        let overhead = self.overheads.of(entry.class);
        let [low, high] = self.timing.bounds(&summary, entry.shares(), overhead);
        Some([low, summary.median, high])
    }

    /// What the clock counts.
    #[cfg(target_os = "none")]
    pub const fn clock(&self) -> Clock {
        self.timing.clock
    }

    /// What struck the samples of all cases together.
    #[cfg(not(target_os = "none"))]
    pub fn disturbances(&mut self) -> Disturbances {
        let mut all = Disturbances::default();
        for entry in self.ledger.entries() {
            all.preempted += entry.disturbances.preempted;
            all.migrated += entry.disturbances.migrated;
            all.frequency += entry.disturbances.frequency;
        }
        all
    }
}
