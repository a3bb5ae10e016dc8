//! What each CPU has of its own.

use std::sync::atomic::{AtomicPtr, AtomicU64};

use crate::mm::shootdown::{CpuId, MAX_CPUS};
use crate::smp::job::Job;

/// Words that a job may use.
pub const NOTES: usize = 4;

/// One CPU's own. It has cache lines of its own.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct PerCpu {
    notes: [AtomicU64; NOTES],
    /// What it is to do; null if nothing.
    pub(super) job: AtomicPtr<Job>,
}

static CPUS: [PerCpu; MAX_CPUS] = [const {
    PerCpu {
        notes: [const { AtomicU64::new(0) }; NOTES],
        job: AtomicPtr::new(std::ptr::null_mut()),
    }
}; MAX_CPUS];

impl PerCpu {
    /// What the CPU with this number has.
    #[inline(always)]
    #[must_use]
    pub fn of(cpu: CpuId) -> &'static PerCpu {
        &CPUS[cpu.number()]
    }

    /// Words of its own, for the job that it has: they mean what the job likes.
    #[inline(always)]
    #[must_use]
    pub const fn notes(&self) -> &[AtomicU64; NOTES] {
        &self.notes
    }
}
