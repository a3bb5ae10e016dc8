//! What strikes the whole run from outside: NMIs that nobody here has sent, and errors of the hardware.

use pagemark::console::log;
use pagemark::cpu::access::ThisCpu;
use pagemark::cpu::exceptions;
use pagemark::cpu::machine_check;
use pagemark::smp::work::Processors;
use pagemark_record::{Notice, Record, Tag};

/// What had struck when the figures began.
pub struct Strikes {
    nmis: u64,
}

impl Strikes {
    /// Reports what struck before any figure was taken.
    pub fn before_the_figures() -> Self {
        let (nmis, status) = exceptions::nmis();
        if nmis > 0 {
            log::record(&Record::Notice(Notice {
                text: format_args!("NMI: {nmis} came while the machine was brought up, the last with {status:#04x} in port 61H")
                    .into(),
            }));
        }
        Strikes { nmis }
    }

    /// Tags the figures with what has struck since.
    pub fn tag(self, processors: &mut Processors) {
        let (nmis, status) = exceptions::nmis();
        let since = nmis - self.nmis;
        if since > 0 {
            let reason = format_args!(
                "{since} came during the run, the last with {status:#04x} in port 61H"
            );
            tag("nmi", reason);
        }
        machine_check::empty(&ThisCpu, |bank| {
            tag("machine_check", format_args!("{bank}"));
        });
        let others = processors.others().clone();
        if others.is_empty() {
            return;
        }
        processors.online(&others, |online| {
            let look = |cpu| {
                machine_check::empty(&ThisCpu, |bank| {
                    tag("machine_check", format_args!("CPU {cpu}: {bank}"));
                });
            };
            online.run_on_all(&look, || ());
        });
    }
}

fn tag(tag: &str, reason: core::fmt::Arguments<'_>) {
    log::record(&Record::Tag(Tag {
        tag: tag.into(),
        reason: reason.into(),
    }));
}
