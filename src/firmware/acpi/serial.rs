//! Serial ports that the firmware names: the console of the SPCR table, and the debug ports of DBG2.
//!
//! Microsoft's "Serial Port Console Redirection Table" (revision 4) and "Debug Port Table 2"; ACPI specification 6.5, 5.2.3.2 (generic
//! address structure). Only the 16550 family is of use here. An address of 0 is how the SPCR says that console redirection is off.
//!
//! No crate: `acpi` has no DBG2, and refuses an address structure for an access size that it does not know.

use core::fmt;

use arrayvec::ArrayVec;

use super::bytes::{u8_at, u16_at, u32_at, u64_at};

/// Most hints that are kept: servers name one or two ports.
pub const HINTS: usize = 8;

/// The space that the registers of a serial port lie in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SerialSpace {
    /// I/O ports.
    Io,
    /// Physical memory.
    Memory,
}

/// The table that names a port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SerialTable {
    /// The console that the firmware itself uses.
    Spcr,
    /// A port for a debugger.
    Dbg2,
}

impl SerialTable {
    /// The table's signature.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            SerialTable::Spcr => "SPCR",
            SerialTable::Dbg2 => "DBG2",
        }
    }
}

/// A 16550 that the firmware names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SerialHint {
    /// Who names it.
    pub table: SerialTable,
    /// Where its registers lie.
    pub space: SerialSpace,
    /// The first register. Not 0; of an I/O port, such that all eight registers are below 10000H.
    pub address: u64,
    /// Bytes of one access to a register: 1, 2 or 4; 1 for I/O ports.
    pub access: u8,
    /// Bytes from one register to the next: 1, 2 or 4; 1 for I/O ports.
    pub stride: u8,
    /// Bits a second, 8N1; `None` to leave the divisor as the firmware has set it.
    pub baud: Option<u32>,
}

impl fmt::Display for SerialHint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = self.table.name();
        match self.space {
            SerialSpace::Io => write!(f, "{table}: UART at I/O port {:#x}", self.address)?,
            SerialSpace::Memory => write!(
                f,
                "{table}: memory-mapped UART at {:#x}, registers of {} bytes every {} bytes",
                self.address, self.access, self.stride
            )?,
        }
        match self.baud {
            Some(baud) => write!(f, ", {baud} baud"),
            None => write!(f, ", as fast as the firmware set it"),
        }
    }
}

/// Why a serial port that a table names is of no use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SerialFault {
    /// The table or the structure ends before its address.
    TooShort(usize),
    /// The interface is none of the 16550 family.
    NotA16550(u16),
    /// The registers are neither I/O ports nor memory: the address space's number.
    Space(u8),
    /// An I/O port that there cannot be, or memory that wraps.
    Address(u64),
    /// More ports than [`HINTS`].
    TooMany,
}

impl fmt::Display for SerialFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SerialFault::TooShort(bytes) => write!(f, "its {bytes} bytes end before its address"),
            SerialFault::NotA16550(kind) => write!(f, "a UART of type {kind:#x} is no 16550"),
            SerialFault::Space(space) => write!(
                f,
                "its registers lie in address space {space}, which is neither memory (0) nor I/O (1)"
            ),
            SerialFault::Address(address) => write!(f, "there is no port at {address:#x}"),
            SerialFault::TooMany => write!(f, "more than {HINTS} ports"),
        }
    }
}

/// The ports that tables name, the console first.
pub type SerialHints = ArrayVec<SerialHint, HINTS>;

/// The console of an SPCR table; `None` if redirection is off.
///
/// # Errors
///
/// Why it is of no use.
pub fn spcr(table: &[u8]) -> Result<Option<SerialHint>, SerialFault> {
    const INTERFACE: usize = 36;
    const ADDRESS: usize = 40;
    const BAUD: usize = 58;
    const PRECISE_BAUD: usize = 80;
    let interface = u8_at(table, INTERFACE).ok_or(SerialFault::TooShort(table.len()))?;
    let precise = u32_at(table, PRECISE_BAUD).filter(|&baud| baud != 0 && revision(table) >= 4);
    let baud = precise.or(match u8_at(table, BAUD) {
        Some(3) => Some(9600),
        Some(4) => Some(19_200),
        Some(6) => Some(57_600),
        Some(7) => Some(115_200),
        _ => None,
    });
    let address = table.get(ADDRESS..).unwrap_or(&[]);
    port(SerialTable::Spcr, interface.into(), address, baud)
}

/// The serial ports of a DBG2 table, and what is wrong with others.
pub fn dbg2(table: &[u8]) -> impl Iterator<Item = Result<SerialHint, SerialFault>> {
    const DEVICES: usize = 36;
    const COUNT: usize = 40;
    const SERIAL: u16 = 0x8000;
    let mut left = u32_at(table, COUNT).unwrap_or(0);
    let devices = u32_at(table, DEVICES).map_or(usize::MAX, |at| at as usize);
    let mut rest = table.get(devices..).unwrap_or(&[]);
    core::iter::from_fn(move || {
        while left > 0 {
            left -= 1;
            let length = u16_at(rest, 1).map_or(0, usize::from);
            let Some(device) = rest.get(..length).filter(|_| length >= 22) else {
                left = 0;
                return Some(Err(SerialFault::TooShort(rest.len().min(length))));
            };
            rest = &rest[length..];
            // Registers, kind of port, interface, offset of the addresses.
            let [kind, interface, addresses] =
                [12, 14, 18].map(|at| u16_at(device, at).unwrap_or(0));
            if kind != SERIAL || u8_at(device, 3) == Some(0) {
                continue;
            }
            let address = device.get(usize::from(addresses)..).unwrap_or(&[]);
            match port(SerialTable::Dbg2, interface, address, None) {
                Ok(Some(hint)) => return Some(Ok(hint)),
                Ok(None) => {}
                Err(fault) => return Some(Err(fault)),
            }
        }
        None
    })
}

/// The port at a generic address structure.
fn port(
    table: SerialTable,
    interface: u16,
    structure: &[u8],
    baud: Option<u32>,
) -> Result<Option<SerialHint>, SerialFault> {
    const REGISTERS: u64 = 8;
    const PORTS_END: u64 = 1 << 16;
    let (Some(space), Some(width), Some(access), Some(address)) = (
        u8_at(structure, 0),
        u8_at(structure, 1),
        u8_at(structure, 3),
        u64_at(structure, 4),
    ) else {
        return Err(SerialFault::TooShort(structure.len()));
    };
    if address == 0 {
        return Ok(None);
    }
    // A full 16550, one of fewer features, compatible ones of Nvidia's, one that the address structure describes, Intel's LPSS.
    if !matches!(interface, 0 | 1 | 5 | 0x12 | 0x14) {
        return Err(SerialFault::NotA16550(interface));
    }
    // What the access size leaves open the width of a register decides.
    let bytes = match (access, width) {
        (3, _) | (0, 32) => 4,
        (2, _) | (0, 16) => 2,
        _ => 1,
    };
    let (space, bytes, end) = match space {
        0 => (SerialSpace::Memory, bytes, u64::MAX),
        1 => (SerialSpace::Io, 1, PORTS_END),
        other => return Err(SerialFault::Space(other)),
    };
    if address > end - REGISTERS * u64::from(bytes) {
        return Err(SerialFault::Address(address));
    }
    Ok(Some(SerialHint {
        table,
        space,
        address,
        access: bytes,
        stride: bytes,
        baud,
    }))
}

fn revision(table: &[u8]) -> u8 {
    u8_at(table, 8).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    fn structure(space: u8, width: u8, access: u8, address: u64) -> Vec<u8> {
        let mut bytes = vec![space, width, 0, access];
        bytes.extend(address.to_le_bytes());
        bytes
    }

    fn table(revision: u8, interface: u8, structure: &[u8], baud: u8, precise: u32) -> Vec<u8> {
        let mut bytes = vec![0; 88];
        bytes[8] = revision;
        bytes[36] = interface;
        bytes[40..52].copy_from_slice(structure);
        bytes[58] = baud;
        bytes[80..84].copy_from_slice(&precise.to_le_bytes());
        bytes
    }

    #[test]
    fn the_console_is_where_and_what_the_table_says() {
        let hint = |space, address, bytes, baud| {
            Ok(Some(SerialHint {
                table: SerialTable::Spcr,
                space,
                address,
                access: bytes,
                stride: bytes,
                baud,
            }))
        };
        let (io, memory) = (SerialSpace::Io, SerialSpace::Memory);
        for (interface, [space, width, access], address, baud, expected) in [
            (0, [1, 8, 1], 0x3f8, 7, hint(io, 0x3f8, 1, Some(115_200))),
            (0, [1, 8, 0], 0x2f8, 0, hint(io, 0x2f8, 1, None)),
            // Registers of I/O ports are bytes, whatever else is claimed.
            (1, [1, 32, 3], 0x3e8, 3, hint(io, 0x3e8, 1, Some(9600))),
            (
                0x12,
                [0, 32, 3],
                0xfe03_0000,
                4,
                hint(memory, 0xfe03_0000, 4, Some(19_200)),
            ),
            (
                0x12,
                [0, 32, 0],
                0xfe03_0000,
                6,
                hint(memory, 0xfe03_0000, 4, Some(57_600)),
            ),
            (
                0x12,
                [0, 8, 1],
                0x80_fe03_0000,
                7,
                hint(memory, 0x80_fe03_0000, 1, Some(115_200)),
            ),
            (
                0x14,
                [0, 16, 2],
                0xfe03_0000,
                5,
                hint(memory, 0xfe03_0000, 2, None),
            ),
            // An access size that the specification does not know: a byte.
            (
                0,
                [0, 8, 0xff],
                0xfe03_0000,
                7,
                hint(memory, 0xfe03_0000, 1, Some(115_200)),
            ),
            // Redirection is off, whatever else is claimed.
            (0, [1, 8, 1], 0, 7, Ok(None)),
            (3, [9, 8, 1], 0, 7, Ok(None)),
            (
                3,
                [0, 32, 3],
                0xfe03_0000,
                7,
                Err(SerialFault::NotA16550(3)),
            ),
            (0, [2, 8, 1], 0x3f8, 7, Err(SerialFault::Space(2))),
            (0, [1, 8, 1], 0xfff9, 7, Err(SerialFault::Address(0xfff9))),
            (
                0,
                [1, 8, 1],
                0x1_03f8,
                7,
                Err(SerialFault::Address(0x1_03f8)),
            ),
            (
                0,
                [0, 32, 3],
                u64::MAX - 30,
                7,
                Err(SerialFault::Address(u64::MAX - 30)),
            ),
        ] {
            let structure = structure(space, width, access, address);
            assert_eq!(spcr(&table(2, interface, &structure, baud, 0)), expected);
        }
    }

    #[test]
    fn the_rate_to_the_bit_counts_from_revision_4_on() {
        let structure = structure(1, 8, 1, 0x3f8);
        for (revision, expected) in [(3, 9600), (4, 230_400)] {
            let hint = spcr(&table(revision, 0, &structure, 3, 230_400));
            assert_eq!(hint.unwrap().unwrap().baud, Some(expected));
        }
    }

    #[test]
    fn a_table_cut_short_is_an_error_up_to_its_address() {
        let table = table(2, 0, &structure(1, 8, 1, 0x3f8), 3, 0);
        for length in 0..52 {
            assert!(
                matches!(spcr(&table[..length]), Err(SerialFault::TooShort(_))),
                "{length}"
            );
        }
        // The rate is behind it.
        assert_eq!(spcr(&table[..52]).unwrap().unwrap().baud, None);
        assert_eq!(spcr(&table[..59]).unwrap().unwrap().baud, Some(9600));
    }

    fn device(kind: u16, interface: u16, structure: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 22 + structure.len() as u8, 0, 1];
        bytes.extend(
            [1u16, 38, 0, 0, kind, interface, 0, 22, 34]
                .map(u16::to_le_bytes)
                .concat(),
        );
        bytes.extend(structure);
        bytes
    }

    fn debug_ports(devices: &[Vec<u8>], count: u32) -> Vec<u8> {
        let mut bytes = vec![0; 36];
        bytes.extend([44, count].map(u32::to_le_bytes).concat());
        bytes.extend(devices.concat());
        bytes
    }

    #[test]
    fn debug_ports_are_found_behind_others() {
        let uart = structure(1, 8, 1, 0x2f8);
        let mapped = structure(0, 32, 3, 0xfe03_4000);
        let devices = [
            device(0x8003, 0, &mapped),
            device(0x8000, 0, &uart),
            device(0x8000, 3, &mapped),
            device(0x8000, 0x12, &mapped),
        ];
        let found: Vec<_> = dbg2(&debug_ports(&devices, 4)).collect();
        let places: Vec<_> = found
            .iter()
            .map(|port| port.map(|hint| (hint.space, hint.address, hint.stride)))
            .collect();
        assert_eq!(
            places,
            [
                Ok((SerialSpace::Io, 0x2f8, 1)),
                Err(SerialFault::NotA16550(3)),
                Ok((SerialSpace::Memory, 0xfe03_4000, 4)),
            ]
        );
        // More are claimed than there are, and one of length 0.
        assert_eq!(dbg2(&debug_ports(&devices, u32::MAX)).count(), 4);
        let broken = [devices[1].clone(), vec![0; 22], devices[3].clone()];
        assert_eq!(
            dbg2(&debug_ports(&broken, 3)).skip(1).collect::<Vec<_>>(),
            [Err(SerialFault::TooShort(0))]
        );
    }
}
