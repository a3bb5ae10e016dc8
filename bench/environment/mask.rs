//! Masks the sources of interrupts, and says which were there.

use arrayvec::ArrayVec;
use pagemark::console::log;
use pagemark::cpu::apic::local_vectors::LocalVectors;
use pagemark::cpu::interrupt_sources::{IO_APIC_BYTES, IoApicRegisters, mask_8259};
use pagemark::cpu::watchdog;
use pagemark::machine::Machine;
use pagemark::mm::address::{PhysAddr, VirtAddr};
use pagemark::mm::vmalloc::Caching;
use pagemark_record::{Notice, Record};

/// Masks them all.
pub(super) fn sources(machine: &mut Machine) -> ArrayVec<&'static str, 3> {
    let mut masked = ArrayVec::new();
    mask_8259();
    masked.push("8259");
    let vectors = LocalVectors::of_this_cpu();
    let done = match vectors {
        LocalVectors::Absent => false,
        // SAFETY: this CPU's APIC, in the mode that was found.
        LocalVectors::X2apic => unsafe {
            vectors.mask(None);
            true
        },
        LocalVectors::Page(page) => with_registers(machine, page, LocalVectors::BYTES, |page| {
            // SAFETY: the page is mapped, and this CPU's.
            unsafe { vectors.mask(Some(page)) }
        }),
    };
    if done {
        masked.push("local_apic");
    }
    let io_apics = machine.firmware.io_apics.clone();
    let mut all = !io_apics.registers.is_empty() && io_apics.left_out == 0;
    for registers in io_apics.registers {
        all &= with_registers(machine, registers, IO_APIC_BYTES, |registers| {
            // SAFETY: the MADT says that an I/O APIC is there, and its registers are mapped.
            unsafe { IoApicRegisters::new(registers) }.mask();
        });
    }
    watchdog::keep();
    if all {
        masked.push("io_apic");
    }
    masked
}

/// Does `work` with a device's registers mapped; returns whether they could be mapped.
fn with_registers(
    machine: &mut Machine,
    physical: PhysAddr,
    bytes: u64,
    work: impl FnOnce(VirtAddr),
) -> bool {
    let (vmalloc, kernel) = (&mut machine.vmalloc, &mut machine.kernel);
    let area = match vmalloc.ioremap(physical, bytes, Caching::Uncached, kernel) {
        Ok(area) => area,
        Err(error) => {
            log::record(&Record::Notice(Notice {
                text: format_args!("interrupts: {error}").into(),
            }));
            return false;
        }
    };
    work(area.address());
    // What cannot be unmapped stays, and the list of areas at the end shows it.
    let _ = vmalloc.iounmap(area, kernel);
    true
}
