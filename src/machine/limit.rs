//! Arms the watchdog of a run that the command line limits.

use core::fmt;

use arrayvec::ArrayVec;

use super::memory::Memory;
use crate::console::log;
use crate::cpu::interrupt_sources::{IO_APIC_BYTES, IoApicRegisters};
use crate::cpu::reference_timers::Hpet;
use crate::cpu::watchdog::{self, NoWatchdog};
use crate::firmware::acpi::{Firmware, IO_APICS};
use crate::mm::address::{PhysAddr, VirtAddr};
use crate::mm::vmalloc::{Caching, IoremapError};

/// Arms the limit: after `seconds` the run ends in a panic record. Reports why, if this machine has no timer for it.
///
/// # Safety
///
/// Called once, on the boot CPU.
pub(super) unsafe fn arm(firmware: &Firmware, memory: &mut Memory, seconds: u32) {
    let io_apics = &firmware.io_apics;
    let mut mapped: ArrayVec<_, IO_APICS> = ArrayVec::new();
    for (&registers, &first_line) in io_apics.registers.iter().zip(&io_apics.first_lines) {
        // Why one cannot be mapped is said when it is to be masked.
        if let Ok(registers) = for_good(memory, registers, IO_APIC_BYTES) {
            // SAFETY: the MADT says that an I/O APIC is there, and it is mapped for good.
            mapped.push((first_line, unsafe { IoApicRegisters::new(registers) }));
        }
    }
    let by_hpet = firmware.hpet.ok_or(NoHpet::None);
    let by_hpet = by_hpet
        .and_then(|hpet| for_good(memory, hpet, Hpet::BYTES).map_err(NoHpet::NotMapped))
        // SAFETY: all of them are mapped for good, and this CPU alone uses them, one use after the other.
        .and_then(|hpet| unsafe {
            watchdog::hpet::arm(seconds, hpet, &mapped).map_err(NoHpet::OfNoUse)
        });
    let Err(no_hpet) = by_hpet else {
        return;
    };
    // SAFETY: as above.
    match unsafe { watchdog::alarm::arm(seconds, &mapped) } {
        Ok(()) => log::notice(format_args!(
            "limit={seconds}: by the alarm of the real-time clock, as {no_hpet}"
        )),
        Err(no_alarm) => log::notice(format_args!(
            "limit={seconds}: this machine has no timer for it: {no_hpet}; {no_alarm}; a run that hangs stays so"
        )),
    }
}

/// Why the HPET does not serve.
enum NoHpet {
    None,
    NotMapped(IoremapError),
    OfNoUse(NoWatchdog),
}

impl fmt::Display for NoHpet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoHpet::None => write!(f, "ACPI names no HPET"),
            NoHpet::NotMapped(error) => error.fmt(f),
            NoHpet::OfNoUse(error) => error.fmt(f),
        }
    }
}

/// Maps registers to stay.
fn for_good(memory: &mut Memory, physical: PhysAddr, bytes: u64) -> Result<VirtAddr, IoremapError> {
    let (vmalloc, kernel) = (&mut memory.vmalloc, &mut memory.kernel);
    let area = vmalloc.ioremap(physical, bytes, Caching::Uncached, kernel)?;
    Ok(area.into_raw())
}
