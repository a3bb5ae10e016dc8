//! What can be wrong with ACPI tables. A complaint names the value that is wrong, and says what it costs.

use core::fmt;

use super::serial::SerialFault;
use crate::mm::address::PhysAddr;

/// One thing that is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Complaint {
    /// There is no root pointer: neither the loader nor the BIOS area nor the command line has one.
    NoRootPointer,
    /// A root pointer, or a part of it, is of no use.
    RootPointer {
        /// Where it lies.
        at: PhysAddr,
        /// What is wrong with it.
        fault: RootFault,
    },
    /// A table, or a part of it, is of no use.
    Table {
        /// Which table.
        table: Name,
        /// Where it lies.
        at: PhysAddr,
        /// What is wrong with it.
        fault: TableFault,
    },
}

/// What can be wrong with a root pointer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RootFault {
    /// It cannot be read where it lies.
    Unreachable,
    /// It does not begin as it has to.
    Signature([u8; 8]),
    /// The bytes of revision 0 add up to this, not to 0.
    Checksum(u8),
    /// All of it adds up to this, not to 0: its XSDT is not used.
    ExtendedChecksum(u8),
    /// It is shorter than its revision has to be: its XSDT is not used.
    Short(usize),
    /// Its length cannot be; the length of revision 2 is taken.
    Length(u32),
    /// Its revision has an XSDT, and it names none; the RSDT is used.
    NoXsdt,
    /// It leads to no table of tables that can be used.
    NoTables,
}

/// What can be wrong with a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TableFault {
    /// Its first bytes, or all of it, cannot be read where it lies.
    Unreachable,
    /// It is another table than the one that was asked for.
    Signature(Name),
    /// Its length cannot be.
    Length(u32),
    /// Its bytes add up to this, not to 0.
    Checksum(u8),
    /// There is another one, which is used.
    Repeated,
    /// It ends before what has to be there.
    Short(usize),
    /// Entries of a table of tables are 0.
    NullEntries(u32),
    /// An entry has a length that cannot be: the entries from here on are not read.
    Entry {
        /// Offset of the entry in the table.
        offset: usize,
        /// Its kind.
        kind: u8,
        /// Its length.
        length: u8,
    },
    /// Entries that are too short for their kind; they are passed over.
    ShortEntries(u32),
    /// Entries that list an enabled CPU again, in the same form or in the other.
    RepeatedCpus(u32),
    /// Entries of enabled CPUs whose APIC id is the broadcast id.
    BroadcastIds(u32),
    /// Enabled CPUs that there is no room for.
    TooManyCpus(u32),
    /// The address of an I/O APIC is none.
    IoApicAddress(PhysAddr),
    /// I/O APICs that there is no room for.
    TooManyIoApics(u32),
    /// The power-management timer lies where it cannot be read.
    PmTimer(Location),
    /// The high-precision event timer lies where it cannot be read.
    Hpet(Location),
    /// A serial port is of no use.
    Serial(SerialFault),
}

/// Where registers are said to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Location {
    /// Number of the address space: 0 is memory, 1 is I/O ports; `None` for one that the specification does not have.
    pub space: Option<u8>,
    /// The address there.
    pub address: u64,
}

/// A table's signature: four letters, if it is one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Name(pub [u8; 4]);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            // The names that the specification gives them.
            Name(super::MADT) => f.write_str("MADT"),
            Name(super::FADT) => f.write_str("FADT"),
            Name(bytes) => write!(f, "{}", bytes.escape_ascii()),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.space {
            Some(0) => write!(f, "memory address {:#x}", self.address),
            Some(1) => write!(f, "I/O port {:#x}", self.address),
            Some(space) => write!(f, "{:#x} in address space {space}", self.address),
            None => write!(f, "{:#x} in an unknown address space", self.address),
        }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Complaint::NoRootPointer => write!(
                f,
                "ACPI: no root pointer from the loader, and none in the BIOS area; rsdp=ADDRESS names it"
            ),
            Complaint::RootPointer { at, fault } => {
                write!(f, "ACPI: root pointer at {at}: {fault}")
            }
            Complaint::Table { table, at, fault } => write!(f, "ACPI: {table} at {at}: {fault}"),
        }
    }
}

impl fmt::Display for RootFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RootFault::Unreachable => write!(f, "out of reach"),
            RootFault::Signature(bytes) => write!(f, "it begins with `{}`", bytes.escape_ascii()),
            RootFault::Checksum(sum) => {
                write!(f, "checksum of its first 20 bytes off by {sum:#x}")
            }
            RootFault::ExtendedChecksum(sum) => {
                write!(f, "checksum off by {sum:#x}; its XSDT is not used")
            }
            RootFault::Short(bytes) => write!(f, "{bytes} bytes of it; its XSDT is not used"),
            RootFault::Length(bytes) => write!(f, "a length of {bytes} bytes; taken for 36"),
            RootFault::NoXsdt => write!(f, "XSDT address 0; the RSDT is used"),
            RootFault::NoTables => write!(f, "neither XSDT nor RSDT can be used"),
        }
    }
}

impl fmt::Display for TableFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TableFault::Unreachable => write!(f, "out of reach; not read"),
            TableFault::Signature(found) => write!(f, "it is `{found}`; not read"),
            TableFault::Length(bytes) => write!(f, "a length of {bytes} bytes; not read"),
            TableFault::Checksum(sum) => write!(f, "checksum off by {sum:#x}; not read"),
            TableFault::Repeated => write!(f, "a second one; not read"),
            TableFault::Short(bytes) => write!(f, "only {bytes} bytes"),
            TableFault::NullEntries(count) => write!(f, "entries that are 0: {count}; passed over"),
            TableFault::Entry {
                offset,
                kind,
                length,
            } => write!(
                f,
                "entry of type {kind:#x} at offset {offset:#x} has a length of {length}; it and what follows is not read"
            ),
            TableFault::ShortEntries(count) => {
                write!(
                    f,
                    "{count} entries are too short for their type; passed over"
                )
            }
            TableFault::RepeatedCpus(count) => {
                write!(
                    f,
                    "entries that list a CPU again: {count}; each CPU counts once"
                )
            }
            TableFault::BroadcastIds(count) => {
                write!(
                    f,
                    "enabled CPUs with the broadcast id: {count}; passed over"
                )
            }
            TableFault::TooManyCpus(count) => {
                write!(
                    f,
                    "CPUs beyond those that there is room for: {count}; not used"
                )
            }
            TableFault::IoApicAddress(address) => {
                write!(f, "an I/O APIC at {address}; passed over")
            }
            TableFault::TooManyIoApics(count) => {
                write!(
                    f,
                    "{count} I/O APICs more than there is room for; not masked"
                )
            }
            TableFault::PmTimer(place) => write!(f, "the PM timer is at {place}; not used"),
            TableFault::Hpet(place) => write!(f, "the HPET is at {place}; not used"),
            TableFault::Serial(fault) => write!(f, "{fault}"),
        }
    }
}
