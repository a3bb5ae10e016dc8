//! Where the process's own code, stack and heap lie: at the same addresses in every run.
//!
//! The kernel places them anew in each process (ASLR), and predictors and caches that are indexed by addresses then collide in one run
//! and not in the next. That makes two runs of one program differ by up to a factor of two in a case. So the process starts itself
//! again without that, as google-benchmark does; and the suite runs on a stack of its own, as the first one begins below the environment
//! and the arguments, whose length varies (Mytkowicz et al., "Producing Wrong Data Without Doing Anything Obviously Wrong!", 2009).

use std::os::unix::process::CommandExt;
use std::panic::resume_unwind;
use std::process::Command;
use std::thread;

/// Asks for the personality as it is.
const AS_IT_IS: libc::c_ulong = 0xffff_ffff;
/// Bytes of the suite's stack.
const STACK: usize = 8 << 20;

/// Whether the kernel places this process at the same addresses as every other of this program.
pub fn are_fixed() -> bool {
    personality() & libc::ADDR_NO_RANDOMIZE != 0
}

/// Starts the process again at fixed addresses, unless they are. Comes back where the kernel refuses.
pub fn fix() {
    let now = personality();
    if now & libc::ADDR_NO_RANDOMIZE != 0 {
        return;
    }
    let wanted = (now | libc::ADDR_NO_RANDOMIZE) as libc::c_ulong;
    // SAFETY: no memory is passed. A sandbox may refuse, as Docker's does.
    if unsafe { libc::personality(wanted) } < 0 || !are_fixed() {
        return;
    }
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_default();
    let mut again = Command::new("/proc/self/exe");
    // Comes back only where it fails.
    let _ = again.arg0(name).args(arguments).exec();
}

fn personality() -> libc::c_int {
    // SAFETY: no memory is passed, and nothing is changed.
    unsafe { libc::personality(AS_IT_IS) }.max(0)
}

/// Runs the suite on a stack at a fixed address; where there is no other thread to be had, on this one's.
pub fn with_own_stack<R: Send>(suite: fn() -> R) -> R {
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(STACK);
        match thread.spawn_scoped(scope, suite) {
            Ok(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
            Err(_) => suite(),
        }
    })
}
