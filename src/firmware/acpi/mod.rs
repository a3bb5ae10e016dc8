//! The few facts that the image takes from the ACPI tables, read once during the boot stretch and copied out.
//!
//! ```text
//! root       from the root pointer to the tables
//! madt       CPUs and I/O APICs
//! timers     the power-management timer, the HPET; how the machine is reset
//! serial     serial ports that the firmware names
//! complaint  what can be wrong with all of it
//! ```
//!
//! Tables are input, and wrong somewhere on many machines. Whatever is wrong costs what it concerns and no more, and is a complaint
//! that names the value. A machine without tables boots all the same: each fact is then absent. Fuzzed in `fuzz`.

mod bytes;
mod complaint;
mod madt;
mod root;
mod serial;
#[cfg(test)]
mod tests;
mod timers;

pub use complaint::{Complaint, Location, Name, RootFault, TableFault};
pub use madt::{IO_APICS, IoApics, Processors};
pub use root::RootPointer;
pub use serial::{HINTS, SerialFault, SerialHint, SerialHints, SerialSpace, SerialTable};

use core::ops::Range;

use super::complaints::Complaints;
use super::physical::ReadPhysical;
use crate::mm::address::{PAGE_SIZE, PhysAddr};

/// Signatures.
const RSDT: [u8; 4] = *b"RSDT";
const XSDT: [u8; 4] = *b"XSDT";
const MADT: [u8; 4] = *b"APIC";
const FADT: [u8; 4] = *b"FACP";
const HPET: [u8; 4] = *b"HPET";
const SPCR: [u8; 4] = *b"SPCR";
const DBG2: [u8; 4] = *b"DBG2";
/// The tables that are read, in this order.
const READ: [[u8; 4]; 5] = [MADT, FADT, HPET, SPCR, DBG2];

/// What the tables say.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Firmware {
    /// CPUs (MADT).
    pub processors: Processors,
    /// I/O APICs (MADT).
    pub io_apics: IoApics,
    /// First I/O port of the power-management timer (FADT).
    pub pm_timer: Option<u16>,
    /// Where the registers of the high-precision event timer lie (HPET).
    pub hpet: Option<PhysAddr>,
    /// I/O port and value that reset the machine (FADT).
    pub reset: Option<(u16, u8)>,
    /// The 16550s that the firmware names, its own console first (SPCR, DBG2).
    pub serial: SerialHints,
    /// What is wrong with the tables.
    pub complaints: Complaints<Complaint>,
}

/// Reads the tables that the first of `pointers` leads to that leads to any.
#[must_use]
pub fn read<M: ReadPhysical>(
    memory: &M,
    pointers: impl IntoIterator<Item = RootPointer>,
) -> Firmware {
    let mut firmware = Firmware::default();
    let complaints = &mut firmware.complaints;
    let mut there_are_some = false;
    let tables = pointers.into_iter().find_map(|pointer| {
        there_are_some = true;
        pointer.tables(memory, complaints)
    });
    if !there_are_some {
        complaints.push(Complaint::NoRootPointer);
    }
    let Some(tables) = tables else {
        return firmware;
    };

    let mut found: [Option<(PhysAddr, &[u8])>; READ.len()] = [None; READ.len()];
    let mut null = 0;
    for at in tables.addresses() {
        if at.0 == 0 {
            null += 1;
            continue;
        }
        let name = memory.array(at);
        let Some(place) = READ.iter().position(|&read| Some(read) == name) else {
            if name.is_none() {
                firmware.complain(*b"????", at, TableFault::Unreachable);
            }
            continue;
        };
        let name = READ[place];
        // Once is enough: a table's sum takes time.
        if found[place].is_some_and(|(first, _)| first == at) {
            continue;
        }
        match (found[place], root::table(memory, at, name)) {
            (None, Ok(bytes)) => found[place] = Some((at, bytes)),
            // There may be several HPETs; the first one is enough.
            (Some(_), Ok(_)) if name == HPET => {}
            (Some(_), Ok(_)) => firmware.complain(name, at, TableFault::Repeated),
            (_, Err(fault)) => firmware.complain(name, at, fault),
        }
    }
    if null > 0 {
        firmware.complain(tables.name, tables.address, TableFault::NullEntries(null));
    }
    for (name, table) in READ.into_iter().zip(found) {
        if let Some((at, bytes)) = table {
            firmware.read(name, at, bytes);
        }
    }
    firmware
}

impl Firmware {
    /// Whose registers lie among these bytes, of the interrupt controllers and timers that the tables name.
    #[must_use]
    pub fn device_in(&self, bytes: &Range<PhysAddr>) -> Option<&'static str> {
        let touches = |first: PhysAddr, length: u64| {
            bytes.start.0 < first.0.saturating_add(length) && first < bytes.end
        };
        let has_io_apic = |&first: &PhysAddr| touches(first, PAGE_SIZE);
        if self.io_apics.registers.iter().any(has_io_apic) {
            Some("an I/O APIC")
        } else if self.hpet.is_some_and(|hpet| touches(hpet, PAGE_SIZE)) {
            Some("the HPET")
        } else {
            None
        }
    }

    fn complain(&mut self, name: [u8; 4], at: PhysAddr, fault: TableFault) {
        self.complaints.push(Complaint::Table {
            table: Name(name),
            at,
            fault,
        });
    }

    /// Reads one of the tables, whose checksum is good.
    fn read(&mut self, name: [u8; 4], at: PhysAddr, table: &[u8]) {
        let complaints = &mut self.complaints;
        let complain = |fault| {
            complaints.push(Complaint::Table {
                table: Name(name),
                at,
                fault,
            });
        };
        match name {
            MADT => (self.processors, self.io_apics) = madt::read(table, complain),
            FADT => {
                let fixed = timers::fadt(table, complain);
                (self.pm_timer, self.reset) = (fixed.pm_timer, fixed.reset);
            }
            HPET => match timers::hpet(table) {
                Ok(registers) => self.hpet = Some(registers),
                Err(fault) => self.complain(name, at, fault),
            },
            SPCR => match serial::spcr(table) {
                Ok(None) => {}
                Ok(Some(hint)) => self.name_port(name, at, hint),
                Err(fault) => self.complain(name, at, TableFault::Serial(fault)),
            },
            _ => {
                for port in serial::dbg2(table) {
                    match port {
                        Ok(hint) => self.name_port(name, at, hint),
                        Err(fault) => self.complain(name, at, TableFault::Serial(fault)),
                    }
                }
            }
        }
    }

    /// Keeps a port that a table names, once.
    fn name_port(&mut self, name: [u8; 4], at: PhysAddr, hint: SerialHint) {
        let same = |known: &SerialHint| (known.space, known.address) == (hint.space, hint.address);
        if !self.serial.iter().any(same) && self.serial.try_push(hint).is_err() {
            self.complain(name, at, TableFault::Serial(SerialFault::TooMany));
        }
    }
}
