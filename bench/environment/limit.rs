//! Arms the watchdog of a run that the command line limits.

use arrayvec::ArrayVec;
use pagemark::console::log;
use pagemark::cpu::interrupt_sources::{IO_APIC_BYTES, IoApicRegisters};
use pagemark::cpu::reference_timers::Hpet;
use pagemark::cpu::watchdog;
use pagemark::firmware::acpi::IO_APICS;
use pagemark::machine::Machine;
use pagemark::mm::address::{PhysAddr, VirtAddr};
use pagemark::mm::vmalloc::{Caching, IoremapError};
use pagemark_record::{Notice, Record};

/// Has the run end in a panic record after so many seconds, or reports why this machine cannot do that. Called when nobody masks
/// interrupts or uses the HPET any more.
pub fn limit(machine: &mut Machine, seconds: u32) {
    let Some(hpet) = machine.firmware.hpet else {
        return notice(seconds, format_args!("ACPI names no HPET"));
    };
    let io_apics = machine.firmware.io_apics.clone();
    let mut map = |physical, bytes| for_good(machine, physical, bytes);
    let mut mapped: ArrayVec<_, IO_APICS> = ArrayVec::new();
    for (registers, first_line) in io_apics.registers.into_iter().zip(io_apics.first_lines) {
        // Why one cannot be mapped was said when it was to be masked.
        if let Ok(registers) = map(registers, IO_APIC_BYTES) {
            // SAFETY: the MADT says that an I/O APIC is there, and it is mapped for good.
            mapped.push((first_line, unsafe { IoApicRegisters::new(registers) }));
        }
    }
    let hpet = match map(hpet, Hpet::BYTES) {
        Ok(hpet) => hpet,
        Err(error) => return notice(seconds, format_args!("{error}")),
    };
    // SAFETY: all of them are mapped for good, and nobody else uses them any more.
    if let Err(error) = unsafe { watchdog::arm(seconds, hpet, &mapped) } {
        notice(seconds, format_args!("{error}"));
    }
}

/// Maps registers to stay.
fn for_good(
    machine: &mut Machine,
    physical: PhysAddr,
    bytes: u64,
) -> Result<VirtAddr, IoremapError> {
    let (vmalloc, kernel) = (&mut machine.vmalloc, &mut machine.kernel);
    let area = vmalloc.ioremap(physical, bytes, Caching::Uncached, kernel)?;
    Ok(area.into_raw())
}

fn notice(seconds: u32, why: core::fmt::Arguments<'_>) {
    log::record(&Record::Notice(Notice {
        text: format_args!(
            "limit={seconds}: this machine has no timer for it: {why}; a run that hangs stays so"
        )
        .into(),
    }));
}
