//! Flushes that are left out, for tests of the proofs that look for them.

/// Only in images that are built for that.
#[cfg(feature = "mutation")]
mod switch {
    use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    static LEAVE_OUT: AtomicBool = AtomicBool::new(false);
    static LEFT_OUT: AtomicU64 = AtomicU64::new(0);

    /// Whether the flush that is due is left out; counts it if so.
    pub(in crate::cpu::invalidate) fn this_one() -> bool {
        let leave_out = LEAVE_OUT.load(Ordering::Relaxed);
        LEFT_OUT.fetch_add(u64::from(leave_out), Ordering::Relaxed);
        leave_out
    }

    /// Does `work` with all of its flushes left out, and tells how many those were.
    pub fn leave_out(work: impl FnOnce()) -> u64 {
        let before = LEFT_OUT.load(Ordering::Relaxed);
        LEAVE_OUT.store(true, Ordering::Relaxed);
        work();
        LEAVE_OUT.store(false, Ordering::Relaxed);
        LEFT_OUT.load(Ordering::Relaxed) - before
    }
}

/// Without the feature no flush can be left out, and none costs anything for that.
#[cfg(not(feature = "mutation"))]
mod switch {
    #[inline(always)]
    pub(in crate::cpu::invalidate) fn this_one() -> bool {
        false
    }

    /// Does `work`, with all of its flushes.
    pub fn leave_out(work: impl FnOnce()) -> u64 {
        work();
        0
    }
}

pub use switch::leave_out;
pub(super) use switch::this_one;
