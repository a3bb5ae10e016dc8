//! The last words of the image: one `panic` record with the return addresses on the stack, then the exit status.

use core::panic::PanicInfo;

use pagemark_record::ExitCode;

use crate::boot::command_line::Exit;
use crate::console::log;
use crate::console::serial::{COM1, SerialPort};
use crate::cpu::backtrace;
use crate::firmware::leave::leave;

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let addresses = backtrace::return_addresses();
    let location = info
        .location()
        .map(|location| (location.file(), location.line()));
    log::last_words(
        format_args!("{}", info.message()),
        location,
        &addresses,
        || {
            // SAFETY: asked for only if there is no log that could use the port.
            unsafe { SerialPort::new(COM1) }
        },
    );
    leave(ExitCode::Panic, Exit::Auto, None)
}
