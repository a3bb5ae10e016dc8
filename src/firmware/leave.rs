//! How the image leaves the machine.
//!
//! Under QEMU the debug-exit device at port F4H ends it with a status that tells the verdict. On real hardware nothing
//! listens there: the machine then halts with the log complete, or is reset when the command line asks for it.

use core::hint::spin_loop;

use x86::io::{inb, outb, outl};

use crate::boot::command_line::Exit;
use crate::cpu::halt;

/// QEMU's `isa-debug-exit`, as `pagemark run` configures it; QEMU's own exit status is then `code * 2 + 1`.
const DEBUG_EXIT: u16 = 0xf4;

/// What the exit status says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum ExitCode {
    /// Every check passed.
    Pass = 0x10,
    /// A check failed.
    Fail = 0x11,
    /// The image could not do what it was asked: a bad command line, too little memory.
    Error = 0x12,
    /// A panic.
    Panic = 0x13,
}

/// Ends the run. `reset` is the FADT's reset register.
pub fn leave(code: ExitCode, exit: Exit, reset: Option<(u16, u8)>) -> ! {
    if exit == Exit::Auto {
        // SAFETY: the debug-exit device ends the virtual machine; on real hardware no device decodes the port.
        unsafe { outl(DEBUG_EXIT, code as u32) };
    }
    if exit == Exit::Reset {
        reset_machine(reset);
    }
    halt()
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
