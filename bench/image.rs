//! The image: the entry code's call, and what the bare machine adds to the application.

use core::fmt::Write;

use arrayvec::ArrayString;
use pagemark::boot::Loader;
use pagemark::machine::{self, Machine};
use pagemark_record::Clock;

use crate::application;
use crate::environment::Found;

/// The entry code's call into Rust.
///
/// # Safety
///
/// Called by the entry code, once, with what the loader handed over.
#[unsafe(no_mangle)]
unsafe extern "C" fn image_entry(magic: u32, info: u32) -> ! {
    // SAFETY: the caller's promise.
    unsafe { machine::start(magic, info, application::run) }
}

/// CPUs that the machine has.
pub fn cpus(machine: &Machine) -> u32 {
    machine.firmware.processors.enabled.max(1)
}

/// Who loaded the image.
pub const fn loader(machine: &Machine) -> &Loader {
    &machine.loader
}

/// The date and time. Logs of counted instructions are equal from run to run, so they carry none.
pub fn date(found: &Found) -> Option<ArrayString<32>> {
    if found.clock() == Clock::Icount {
        return None;
    }
    let date = pagemark::firmware::real_time_clock::read()?;
    let mut text = ArrayString::new();
    // It has 19 characters.
    let _ = write!(text, "{date}");
    Some(text)
}
