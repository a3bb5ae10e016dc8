//! How the image leaves the machine.
//!
//! Under QEMU the debug-exit device ends it with a status that says the verdict. On real hardware nothing listens there: the
//! machine then halts with the log complete, or is reset when the command line asks for it. A panic leaves in the same way.
//!
//! A reset is tried in three ways, each of which some machines lack: the FADT's register, the keyboard controller, and a triple
//! fault, which every CPU answers by shutting down, and every chipset by a reset.

use core::arch::asm;
use core::hint::spin_loop;
use core::sync::atomic::{AtomicU8, AtomicU32, Ordering::Relaxed};

use pagemark_record::ExitCode;
use x86::dtables::{DescriptorTablePointer, lidt};
use x86::io::{inb, outb, outl};

use crate::boot::command_line::Exit;
use crate::cpu::{halt, tsc};

/// QEMU's `isa-debug-exit`, where `pagemark run` puts it.
const DEBUG_EXIT: u16 = 0xf4;

/// What the command line says.
static EXIT: AtomicU8 = AtomicU8::new(Exit::Auto as u8);
/// The FADT's reset register: [`KNOWN`], port and value.
static RESET: AtomicU32 = AtomicU32::new(0);
const KNOWN: u32 = 1 << 31;

/// Says how the machine is to be left, whenever that is. `reset` is the FADT's reset register: I/O port and value.
pub fn arrange(exit: Exit, reset: Option<(u16, u8)>) {
    EXIT.store(exit as u8, Relaxed);
    let word = reset.map_or(0, |(port, value)| {
        KNOWN | u32::from(port) << 8 | u32::from(value)
    });
    RESET.store(word, Relaxed);
}

/// How the machine is to be left.
pub fn arranged() -> Exit {
    let exit = EXIT.load(Relaxed);
    [Exit::Halt, Exit::Reset]
        .into_iter()
        .find(|&known| known as u8 == exit)
        .unwrap_or_default()
}

/// Ends the run.
pub fn leave(code: ExitCode) -> ! {
    match arranged() {
        Exit::Auto => exit_emulator(code),
        Exit::Halt => {}
        Exit::Reset => reset_machine(),
    }
    halt()
}

/// Leaves QEMU, if it runs this with its device for that. Elsewhere nothing happens.
pub fn exit_emulator(code: ExitCode) {
    // SAFETY: the device ends the virtual machine; on real hardware nothing decodes the port.
    unsafe { outl(DEBUG_EXIT, code as u32) };
}

fn reset_machine() {
    const KEYBOARD_CONTROLLER: u16 = 0x64;
    const INPUT_FULL: u8 = 0b10;
    const PULSE_RESET: u8 = 0xfe;
    const ABSENT: u8 = 0xff;
    let word = RESET.load(Relaxed);
    if word & KNOWN != 0 {
        // SAFETY: the FADT names its register for just this.
        unsafe { outb((word >> 8) as u16, word as u8) };
        wait();
    }
    // The controller takes a command when its input buffer is empty. One that is not there reads as all ones.
    for _ in 0..100_000 {
        // SAFETY: reading the status has no effect.
        let status = unsafe { inb(KEYBOARD_CONTROLLER) };
        if status & INPUT_FULL == 0 || status == ABSENT {
            break;
        }
        spin_loop();
    }
    // SAFETY: a command of the keyboard controller that pulses the reset line.
    unsafe { outb(KEYBOARD_CONTROLLER, PULSE_RESET) };
    wait();
    let none = DescriptorTablePointer::<u64> {
        limit: 0,
        base: core::ptr::null(),
    };
    // SAFETY: nothing is left to run.
    unsafe { lidt(&none) };
    // SAFETY: as above; the exception finds no handler, and the CPU shuts down.
    unsafe { asm!("int3", options(nomem, nostack)) };
}

/// Gives the machine time to reset, 13 ms at 5 GHz, or as many looks where the TSC stands still.
fn wait() {
    const TICKS: u64 = 1 << 26;
    let start = tsc::read();
    for _ in 0..TICKS / 16 {
        if tsc::read().wrapping_sub(start) >= TICKS {
            break;
        }
        spin_loop();
    }
}
