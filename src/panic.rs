//! The last words of the image: one `panic` record with the return addresses on the stack, then the exit status.

use core::fmt;
use core::panic::PanicInfo;

use pagemark_record::ExitCode;

use crate::boot::command_line::Serial;
use crate::console::log;
use crate::console::{serial, show};
use crate::cpu::{backtrace, per_cpu};
use crate::firmware::leave;
use crate::mm::shootdown::CpuId;
use crate::smp::stop;

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    stop::others();
    let addresses = backtrace::return_addresses();
    let location = info
        .location()
        .map(|location| (location.file(), location.line()));
    log::last_words(
        format_args!("{}{}", OnCpu(per_cpu::current()), info.message()),
        location,
        &addresses,
        || {
            // SAFETY: asked for only if there is no log that could use a port, which is so in the boot stretch alone.
            unsafe { serial::find(Serial::Any, &[], |_| None) }
        },
    );
    show::before_leaving(ExitCode::Panic);
    leave::leave(ExitCode::Panic)
}

/// Which CPU panics, if it is not the one that the machine was started on.
struct OnCpu(CpuId);

impl fmt::Display for OnCpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            CpuId::BOOT => Ok(()),
            cpu => write!(f, "CPU {cpu}: "),
        }
    }
}
