//! How the image leaves the machine.
//!
//! Under QEMU the debug-exit device ends it with a status that tells the verdict. On real hardware nothing listens there: the
//! machine then halts with the log complete, or is reset when the command line asks for it.

use core::hint::spin_loop;

use pagemark_record::ExitCode;
use x86::io::{inb, outb, outl};

use crate::boot::command_line::Exit;
use crate::cpu::halt;

/// QEMU's `isa-debug-exit`, where `pagemark run` puts it.
const DEBUG_EXIT: u16 = 0xf4;

/// Ends the run. `reset` is the FADT's reset register: I/O port and value.
pub fn leave(code: ExitCode, exit: Exit, reset: Option<(u16, u8)>) -> ! {
    match exit {
        Exit::Auto => tell_emulator(code),
        Exit::Halt => {}
        Exit::Reset => reset_machine(reset),
    }
    halt()
}

/// Leaves QEMU, if it runs this with its device for that. Elsewhere nothing happens.
pub fn tell_emulator(code: ExitCode) {
    // SAFETY: the device ends the virtual machine; on real hardware nothing decodes the port.
    unsafe { outl(DEBUG_EXIT, code as u32) };
}

fn reset_machine(reset: Option<(u16, u8)>) {
    const KEYBOARD_CONTROLLER: u16 = 0x64;
    // SAFETY: the FADT names its register for just this; pulsing the reset line is the keyboard controller's command FEH. Its
    // input buffer (status bit 1) has to be empty first; a missing controller reads as all ones, so the wait is bounded.
    unsafe {
        if let Some((port, value)) = reset {
            outb(port, value);
        }
        for _ in 0..100_000 {
            if inb(KEYBOARD_CONTROLLER) & 0b10 == 0 {
                break;
            }
            spin_loop();
        }
        outb(KEYBOARD_CONTROLLER, 0xfe);
    }
}
