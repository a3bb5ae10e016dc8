//! The NMI by which CPUs call each other. It says no more than "look": what there is to do is in memory.

use core::sync::atomic::Ordering::Release;

use spin::Once;

use super::tlbs::{self, AllCpus, GLOBAL_SLOT};
use super::{stop, work};
use crate::cpu::exception_frame::ExceptionFrame;
use crate::cpu::per_cpu;
use crate::mm::shootdown::{Mailboxes, Protocol};

/// Set when there are other CPUs that may ring.
static CPUS: Once<(AllCpus, &'static Mailboxes)> = Once::new();

/// From here on an NMI is another CPU's.
pub(super) fn expect(cpus: AllCpus) {
    CPUS.call_once(|| (cpus, tlbs::mailboxes()));
}

/// Answers an NMI; `false` if no CPU can have sent it.
///
/// An NMI that finds nothing to do is no error: an earlier one may have done it already.
pub fn answer_nmi(frame: &mut ExceptionFrame) -> bool {
    stop::obey();
    let Some((cpus, mailboxes)) = CPUS.get() else {
        return false;
    };
    mailboxes.respond(cpus);
    GLOBAL_SLOT.respond(cpus);
    work::restart_wait(frame);
    per_cpu::this().answered.fetch_add(1, Release);
    true
}
