//! Arms the watchdog of a run that the command line limits.

use core::fmt;

use arrayvec::ArrayVec;
use pagemark_record::{Notice, Record};

use super::memory::Memory;
use crate::console::log;
use crate::cpu::interrupt_sources::{IO_APIC_BYTES, IoApicRegisters};
use crate::cpu::reference_timers::Hpet;
use crate::cpu::watchdog;
use crate::firmware::acpi::{Firmware, IO_APICS};
use crate::mm::address::{PhysAddr, VirtAddr};
use crate::mm::vmalloc::{Caching, IoremapError};

/// Has the run end in a panic record after so many seconds, or reports why this machine cannot do that.
///
/// # Safety
///
/// Called once, on the boot CPU.
pub(super) unsafe fn arm(firmware: &Firmware, memory: &mut Memory, seconds: u32) {
    let Some(hpet) = firmware.hpet else {
        return notice(seconds, format_args!("ACPI names no HPET"));
    };
    let io_apics = &firmware.io_apics;
    let mut mapped: ArrayVec<_, IO_APICS> = ArrayVec::new();
    for (&registers, &first_line) in io_apics.registers.iter().zip(&io_apics.first_lines) {
        // Why one cannot be mapped is said when it is to be masked.
        if let Ok(registers) = for_good(memory, registers, IO_APIC_BYTES) {
            // SAFETY: the MADT says that an I/O APIC is there, and it is mapped for good.
            mapped.push((first_line, unsafe { IoApicRegisters::new(registers) }));
        }
    }
    let hpet = match for_good(memory, hpet, Hpet::BYTES) {
        Ok(hpet) => hpet,
        Err(error) => return notice(seconds, format_args!("{error}")),
    };
    // SAFETY: all of them are mapped for good, and this CPU alone uses them, one use after the other.
    if let Err(error) = unsafe { watchdog::arm(seconds, hpet, &mapped) } {
        notice(seconds, format_args!("{error}"));
    }
}

/// Maps registers to stay.
fn for_good(memory: &mut Memory, physical: PhysAddr, bytes: u64) -> Result<VirtAddr, IoremapError> {
    let (vmalloc, kernel) = (&mut memory.vmalloc, &mut memory.kernel);
    let area = vmalloc.ioremap(physical, bytes, Caching::Uncached, kernel)?;
    Ok(area.into_raw())
}

fn notice(seconds: u32, why: fmt::Arguments<'_>) {
    log::record(&Record::Notice(Notice {
        text: format_args!(
            "limit={seconds}: this machine has no timer for it: {why}; a run that hangs stays so"
        )
        .into(),
    }));
}
