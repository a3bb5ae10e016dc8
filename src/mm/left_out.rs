//! Flushes that are left out, for tests of the proofs that look for them: one switch for whatever stands behind
//! [`TlbInvalidate`](super::hardware::TlbInvalidate), the machine's instructions and the host's model.

/// Only in images that are built for that, and in tests on the host.
#[cfg(any(test, feature = "mutation"))]
mod switch {
    use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    struct Switch {
        leave_out: AtomicBool,
        left_out: AtomicU64,
    }

    impl Switch {
        const fn new() -> Self {
            Switch {
                leave_out: AtomicBool::new(false),
                left_out: AtomicU64::new(0),
            }
        }
    }

    /// One for all CPUs, so that a responder leaves its part out, too.
    #[cfg(not(test))]
    fn switch<R>(work: impl FnOnce(&Switch) -> R) -> R {
        static SWITCH: Switch = Switch::new();
        work(&SWITCH)
    }

    /// One for each thread: other tests run beside.
    #[cfg(test)]
    fn switch<R>(work: impl FnOnce(&Switch) -> R) -> R {
        std::thread_local! {
            static SWITCH: Switch = const { Switch::new() };
        }
        SWITCH.with(work)
    }

    /// Whether the flush that is due is left out; counts it if so.
    pub fn skips_this_flush() -> bool {
        switch(|switch| {
            let leave_out = switch.leave_out.load(Ordering::Relaxed);
            let count = u64::from(leave_out);
            switch.left_out.fetch_add(count, Ordering::Relaxed);
            leave_out
        })
    }

    /// Does `work` with all of its flushes left out, and returns how many those were.
    pub fn leave_out(work: impl FnOnce()) -> u64 {
        let left_out = || switch(|switch| switch.left_out.load(Ordering::Relaxed));
        let set = |to| switch(|switch| switch.leave_out.store(to, Ordering::Relaxed));
        let before = left_out();
        set(true);
        work();
        set(false);
        left_out() - before
    }
}

/// Without the feature no flush can be left out, and none costs anything for that.
#[cfg(not(any(test, feature = "mutation")))]
mod switch {
    /// Whether the flush that is due is left out: never.
    #[inline]
    pub fn skips_this_flush() -> bool {
        false
    }

    /// Does `work`, with all of its flushes.
    pub fn leave_out(work: impl FnOnce()) -> u64 {
        work();
        0
    }
}

pub use switch::{leave_out, skips_this_flush};
