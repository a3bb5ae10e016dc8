//! The ticks that go into getting the log out: looking for a serial port, its registers, and drawing on the screen.
//!
//! A machine with a serial port and one whose log comes by the screen differ in them alone. The log counts the start of the image
//! without them, so that it is the same by whichever way it comes out.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use crate::cpu::tsc;

static TICKS: AtomicU64 = AtomicU64::new(0);
/// Time is being counted, so what is within counts no more.
static COUNTING: AtomicBool = AtomicBool::new(false);

/// Does something whose time depends on how the log gets out.
pub fn timed<T>(work: impl FnOnce() -> T) -> T {
    let outermost = !COUNTING.swap(true, Relaxed);
    let before = tsc::read();
    let done = work();
    if outermost {
        TICKS.fetch_add(tsc::read().wrapping_sub(before), Relaxed);
        COUNTING.store(false, Relaxed);
    }
    done
}

/// Ticks that it took until now, while one CPU runs.
#[must_use]
pub fn ticks() -> u64 {
    TICKS.load(Relaxed)
}
