//! What CPUs are given to do: a function, and what it works on.

use crate::mm::shootdown::CpuId;

/// A function of the CPU that calls it, of any type. It does not outlive what it borrows: the CPU that hands it out waits
/// for all that have it.
#[derive(Debug)]
pub struct Job {
    call: unsafe fn(*const (), CpuId),
    state: *const (),
}

impl Job {
    /// The job of calling `job`.
    pub(crate) fn of<J: Fn(CpuId) + Sync>(job: &J) -> Self {
        /// # Safety
        ///
        /// `state` is a `&J`.
        unsafe fn call<J: Fn(CpuId)>(state: *const (), cpu: CpuId) {
            // SAFETY: the caller's promise.
            let job = unsafe { &*state.cast::<J>() };
            job(cpu);
        }
        Job {
            call: call::<J>,
            state: (&raw const *job).cast(),
        }
    }

    /// Does it, on the CPU with this number.
    ///
    /// # Safety
    ///
    /// What it was made of is still there.
    pub(crate) unsafe fn run(&self, cpu: CpuId) {
        // SAFETY: the caller's promise; it was made with its type, and may be shared between CPUs.
        unsafe { (self.call)(self.state, cpu) }
    }
}
