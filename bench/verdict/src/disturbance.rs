//! What struck a sample from outside, and how that is seen.

/// Counters of what a CPU does for others, read at one moment; absent ones see nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Seen {
    /// System-management interrupts.
    pub smi: Option<u64>,
    /// Nanoseconds that the hypervisor ran something else.
    pub steal_ns: Option<u64>,
    /// Times that the kernel took the core from a process's thread.
    #[cfg(not(target_os = "none"))]
    pub preempted: Option<u64>,
    /// The core that a process's thread runs on.
    #[cfg(not(target_os = "none"))]
    pub core: Option<u64>,
}

/// What struck, beyond doubt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// A system-management interrupt.
    Smi,
    /// The hypervisor.
    Steal,
    /// The kernel, which ran something else on the core.
    #[cfg(not(target_os = "none"))]
    Preempted,
    /// The kernel, which moved the thread to another core.
    #[cfg(not(target_os = "none"))]
    Migrated,
}

/// What struck between two moments, the one that explains the other first: a hypervisor's interrupt counts as the hypervisor's.
#[must_use]
pub fn cause(before: Seen, after: Seen) -> Option<Cause> {
    #[cfg(not(target_os = "none"))]
    if before.core != after.core {
        return Some(Cause::Migrated);
    } else if before.preempted != after.preempted {
        return Some(Cause::Preempted);
    }
    if before.steal_ns != after.steal_ns {
        Some(Cause::Steal)
    } else if before.smi != after.smi {
        Some(Cause::Smi)
    } else {
        None
    }
}

/// Whether the core's rate, in cycles per 1,000 ticks, is no longer the usual one: off by more than half a per cent.
#[must_use]
pub const fn frequency_moved(usual: u64, now: u64) -> bool {
    usual.abs_diff(now) * 200 > usual
}

/// Above this a sample lies far from the others (Tukey's outer fence: three times the middle half's width above it). The width
/// counts as a twentieth of the median at least, as samples that are all but equal have none.
#[must_use]
pub const fn outer_fence(p25: i64, median: i64, p75: i64) -> i64 {
    let width = p75 - p25;
    let least = median / 20;
    let width = if width > least { width } else { least };
    p75.saturating_add(width.saturating_mul(3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_that_moved() {
        let seen = |smi, steal_ns| Seen {
            smi,
            steal_ns,
            ..Seen::default()
        };
        let quiet = seen(Some(7), Some(100));
        assert_eq!(cause(quiet, quiet), None);
        assert_eq!(cause(quiet, seen(Some(8), Some(100))), Some(Cause::Smi));
        assert_eq!(cause(quiet, seen(Some(8), Some(101))), Some(Cause::Steal));
        assert_eq!(cause(Seen::default(), Seen::default()), None);
    }

    #[test]
    fn what_the_kernel_does_to_a_process() {
        let seen = |preempted, core| Seen {
            preempted: Some(preempted),
            core: Some(core),
            ..Seen::default()
        };
        assert_eq!(cause(seen(3, 1), seen(3, 1)), None);
        assert_eq!(cause(seen(3, 1), seen(4, 1)), Some(Cause::Preempted));
        // A thread that is moved was taken off the core before.
        assert_eq!(cause(seen(3, 1), seen(4, 0)), Some(Cause::Migrated));
    }

    #[test]
    fn half_a_per_cent_of_the_rate() {
        assert!(!frequency_moved(1400, 1407) && !frequency_moved(1400, 1393));
        assert!(frequency_moved(1400, 1408) && frequency_moved(1400, 1392));
    }

    #[test]
    fn the_outer_fence() {
        assert_eq!(outer_fence(200, 210, 240), 360);
        // All but equal: 5 % of 200 stand in for the width.
        assert_eq!(outer_fence(200, 200, 200), 230);
    }
}
