//! The few facts that the image takes from the ACPI tables, read once during the boot stretch while the identity mapping of
//! the first 4 GiB is in force, and copied out.
//!
//! A machine without tables, or with broken ones, boots all the same: each fact is then absent.

mod bytes;
mod serial;

use core::ptr::NonNull;
use core::slice;

use acpi::address::AddressSpace;
use acpi::fadt::Fadt;
use acpi::madt::{Madt, MadtEntry};
use acpi::sdt::{SdtHeader, Signature};
use acpi::{AcpiHandler, AcpiTable, AcpiTables, PhysicalMapping};
use arrayvec::ArrayVec;

pub use serial::{HINTS, SerialFault, SerialHint, SerialHints, SerialSpace, SerialTable};

use crate::mm::address::PhysAddr;
use crate::mm::shootdown::MAX_CPUS;
use crate::smp::start_up::ApicId;

/// End of the identity mapping of the boot stretch, in bytes.
const IDENTITY_END: usize = 1 << 32;

/// What the tables say.
#[derive(Clone, Default, Debug)]
pub struct Firmware {
    /// CPUs that the MADT lists as usable; 0 if there is no MADT.
    pub cpus: u32,
    /// Those CPUs by their local APICs, in the table's order, as many as can be used.
    pub processors: ArrayVec<ApicId, MAX_CPUS>,
    /// I/O port of the power-management timer (FADT).
    pub pm_timer: Option<u16>,
    /// Where the registers of the high-precision event timer lie (HPET).
    pub hpet: Option<PhysAddr>,
    /// Where the registers of the I/O APICs lie (MADT).
    pub io_apics: ArrayVec<PhysAddr, 8>,
    /// I/O port and value that reset the machine (FADT).
    pub reset: Option<(u16, u8)>,
    /// The 16550s that the firmware names, its own console first (SPCR, DBG2).
    pub serial: SerialHints,
    /// Why others that it names are of no use.
    pub serial_faults: ArrayVec<(SerialTable, SerialFault), HINTS>,
}

/// Reads tables through the identity mapping.
#[derive(Clone, Copy, Debug)]
struct Identity;

/// Stands in for a table beyond the identity mapping: no signature matches zeros, so the crate reports it as not there.
static ABSENT: [u64; 512] = [0; 512];

impl AcpiHandler for Identity {
    unsafe fn map_physical_region<T>(
        &self,
        address: usize,
        size: usize,
    ) -> PhysicalMapping<Self, T> {
        let reachable = address != 0
            && address
                .checked_add(size)
                .is_some_and(|end| end <= IDENTITY_END);
        let pointer = if reachable {
            address as *mut T
        } else {
            (&raw const ABSENT).cast_mut().cast()
        };
        let pointer = NonNull::new(pointer).unwrap_or(NonNull::dangling());
        // SAFETY: the identity mapping covers the region, or `ABSENT` stands in for it, which is larger than a header and only
        // read.
        unsafe { PhysicalMapping::new(address, pointer, size, size, *self) }
    }

    fn unmap_physical_region<T>(_region: &PhysicalMapping<Self, T>) {}
}

impl Firmware {
    /// Reads the tables that the root pointer at `rsdp` leads to.
    ///
    /// # Errors
    ///
    /// Why the tables as a whole cannot be used; single tables that are missing or broken only leave their facts out.
    ///
    /// # Safety
    ///
    /// Called during the boot stretch, while the first 4 GiB are mapped at their own addresses; the loader vouches for `rsdp`.
    pub unsafe fn read(rsdp: PhysAddr) -> Result<Self, acpi::AcpiError> {
        // SAFETY: the caller's promise; the crate checks signatures and checksums.
        let tables = unsafe { AcpiTables::from_rsdp(Identity, rsdp.0 as usize)? };
        let mut firmware = Firmware::default();
        if let Ok(madt) = tables.find_table::<Madt>() {
            for cpu in madt.get().entries().filter_map(|entry| usable_cpu(&entry)) {
                firmware.cpus += 1;
                // Those beyond are counted, and not used.
                let _ = firmware.processors.try_push(cpu);
            }
        }
        if let Ok(madt) = tables.find_table::<Madt>() {
            let io_apics = madt.get().entries().filter_map(|entry| match entry {
                MadtEntry::IoApic(entry) => Some(PhysAddr(u64::from(entry.io_apic_address))),
                _ => None,
            });
            firmware.io_apics = io_apics.take(firmware.io_apics.capacity()).collect();
        }
        if let Ok(table) = tables.find_table::<HpetTable>() {
            let table = table.get();
            // Address space 0 is memory.
            firmware.hpet =
                (table.address_space == 0 && table.base != 0).then_some(PhysAddr(table.base));
        }
        if let Ok(fadt) = tables.find_table::<Fadt>() {
            firmware.pm_timer = fadt
                .pm_timer_block()
                .ok()
                .flatten()
                .filter(|timer| timer.address_space == AddressSpace::SystemIo)
                .and_then(|timer| u16::try_from(timer.address).ok())
                .filter(|&port| port != 0);
            let flags = fadt.flags;
            if flags.supports_system_reset_via_fadt()
                && let Ok(register) = fadt.reset_register()
                && register.address_space == AddressSpace::SystemIo
                && let Ok(port) = u16::try_from(register.address)
            {
                firmware.reset = Some((port, fadt.reset_value));
            }
        }
        if let Ok(table) = tables.find_table::<SpcrTable>() {
            let port = serial::spcr(table_bytes(&table));
            firmware.name_port(SerialTable::Spcr, port);
        }
        if let Ok(table) = tables.find_table::<Dbg2Table>() {
            for port in serial::dbg2(table_bytes(&table)) {
                firmware.name_port(SerialTable::Dbg2, port.map(Some));
            }
        }
        Ok(firmware)
    }
}

impl Firmware {
    /// Keeps a port that a table names, once.
    fn name_port(&mut self, table: SerialTable, port: Result<Option<SerialHint>, SerialFault>) {
        let fault = match port {
            Ok(None) => return,
            Ok(Some(hint)) => {
                let same =
                    |known: &SerialHint| (known.space, known.address) == (hint.space, hint.address);
                if self.serial.iter().any(same) || self.serial.try_push(hint).is_ok() {
                    return;
                }
                SerialFault::TooMany
            }
            Err(fault) => fault,
        };
        // One fault of a kind is enough to say that there is something wrong.
        let _ = self.serial_faults.try_push((table, fault));
    }
}

/// All of a table's bytes, its header included.
fn table_bytes<T: AcpiTable>(mapping: &PhysicalMapping<Identity, T>) -> &[u8] {
    let length = mapping.get().header().length as usize;
    // SAFETY: the crate maps tables by the length in their header, which is what this one was just found by.
    unsafe { slice::from_raw_parts(mapping.virtual_start().as_ptr().cast(), length) }
}

/// The CPU that an entry of the MADT is about, if it is enabled: flag bit 0 (ACPI specification 5.2.12.2 and 5.2.12.12). An xAPIC
/// id of 255 means that there is another entry for the CPU.
fn usable_cpu(entry: &MadtEntry<'_>) -> Option<ApicId> {
    let (flags, id) = match entry {
        MadtEntry::LocalApic(cpu) => (cpu.flags, u32::from(cpu.apic_id)),
        MadtEntry::LocalX2Apic(cpu) => (cpu.flags, cpu.x2apic_id),
        _ => return None,
    };
    let broadcast = matches!(entry, MadtEntry::LocalApic(_)) && id == 0xff;
    (flags & 1 != 0 && !broadcast).then_some(ApicId(id))
}

/// IA-PC HPET Specification 3.2.4, up to the address. The crate's own reader panics on an address that is none of memory.
#[repr(C, packed)]
struct HpetTable {
    header: SdtHeader,
    event_timer_block: u32,
    address_space: u8,
    width: u8,
    offset: u8,
    access: u8,
    base: u64,
}

// SAFETY: the layout is that of the specification, and every bit pattern is a value.
unsafe impl AcpiTable for HpetTable {
    const SIGNATURE: Signature = Signature::HPET;

    fn header(&self) -> &SdtHeader {
        &self.header
    }
}

/// A table that is read byte by byte.
macro_rules! table_of_bytes {
    ($name:ident, $signature:ident) => {
        #[repr(C, packed)]
        struct $name {
            header: SdtHeader,
        }

        // SAFETY: a header is what every table begins with.
        unsafe impl AcpiTable for $name {
            const SIGNATURE: Signature = Signature::$signature;

            fn header(&self) -> &SdtHeader {
                &self.header
            }
        }
    };
}

table_of_bytes!(SpcrTable, SPCR);
table_of_bytes!(Dbg2Table, DBG2);
