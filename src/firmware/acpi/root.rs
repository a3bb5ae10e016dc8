//! From the root pointer to the tables: RSDP, XSDT, RSDT (ACPI specification 6.5, 5.2.5 to 5.2.8), and what every table has to be.
//!
//! The crate `acpi` refuses all tables for an OEM id that is not UTF-8, takes an XSDT address of 0 for an address, and believes
//! lengths; so this is our own.

use super::bytes::{sum, u32_at, u64_at};
use super::complaint::{Complaint, Name, RootFault, TableFault};
use super::{RSDT, XSDT};
use crate::firmware::complaints::Complaints;
use crate::firmware::physical::ReadPhysical;
use crate::mm::address::PhysAddr;

/// Bytes of a table's header.
pub(super) const HEADER: usize = 36;
/// Longest table that is believed: a MADT of 16,000 CPUs is as long.
const LONGEST: usize = 256 << 10;
/// Bytes of a root pointer of revision 0, and of revision 2.
const BASIC: usize = 20;
const EXTENDED: usize = 36;
/// Most bytes of a root pointer that its length is believed for.
const LONGEST_POINTER: usize = 256;

/// Where a root pointer lies, or a copy of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RootPointer {
    /// Its first byte.
    pub address: PhysAddr,
    /// How many bytes of it there are at most.
    pub bytes: usize,
}

impl RootPointer {
    /// A root pointer that is as long as it says.
    #[must_use]
    pub const fn at(address: PhysAddr) -> Self {
        RootPointer {
            address,
            bytes: LONGEST_POINTER,
        }
    }

    /// The table of tables that it leads to: the XSDT, or the RSDT where that is of no use.
    pub(super) fn tables<'m, M: ReadPhysical>(
        self,
        memory: &'m M,
        complaints: &mut Complaints<Complaint>,
    ) -> Option<RootTable<'m>> {
        let at = self.address;
        let (rsdt, xsdt) = {
            let mut complain = |fault| complaints.push(Complaint::RootPointer { at, fault });
            self.addresses(memory, &mut complain)?
        };
        let tables = [(XSDT, xsdt, 8), (RSDT, rsdt, 4)];
        for (name, address, width) in tables {
            if address == 0 {
                continue;
            }
            let address = PhysAddr(address);
            match table(memory, address, name) {
                Ok(bytes) => {
                    return Some(RootTable {
                        name,
                        address,
                        entries: &bytes[HEADER..],
                        width,
                    });
                }
                Err(fault) => complaints.push(Complaint::Table {
                    table: Name(name),
                    at: address,
                    fault,
                }),
            }
        }
        complaints.push(Complaint::RootPointer {
            at,
            fault: RootFault::NoTables,
        });
        None
    }

    /// The addresses of RSDT and XSDT, each 0 if it is not known.
    fn addresses<M: ReadPhysical>(
        self,
        memory: &M,
        complain: &mut impl FnMut(RootFault),
    ) -> Option<(u64, u64)> {
        const REVISION: usize = 15;
        const RSDT_ADDRESS: usize = 16;
        const LENGTH: usize = 20;
        const XSDT_ADDRESS: usize = 24;
        let basic = (self.bytes >= BASIC)
            .then(|| memory.bytes(self.address, BASIC))
            .flatten();
        let Some(basic) = basic else {
            complain(RootFault::Unreachable);
            return None;
        };
        if !basic.starts_with(b"RSD PTR ") {
            complain(RootFault::Signature(*basic.first_chunk()?));
            return None;
        }
        let mut rsdt = u64::from(u32_at(basic, RSDT_ADDRESS)?);
        let basic_sum = sum(basic);
        if basic_sum != 0 {
            complain(RootFault::Checksum(basic_sum));
            rsdt = 0;
        }
        if basic[REVISION] < 2 {
            return Some((rsdt, 0));
        }
        let there = self.bytes.min(LONGEST_POINTER);
        let extended = |length: usize| {
            (length <= there)
                .then(|| memory.bytes(self.address, length))
                .flatten()
        };
        let Some(all) = extended(EXTENDED) else {
            complain(RootFault::Short(self.bytes.min(EXTENDED - 1)));
            return Some((rsdt, 0));
        };
        let length = u32_at(all, LENGTH)?;
        let all = match extended(length as usize) {
            Some(longer) if longer.len() >= EXTENDED => longer,
            _ => {
                complain(RootFault::Length(length));
                all
            }
        };
        let all_sum = sum(all);
        if all_sum != 0 {
            complain(RootFault::ExtendedChecksum(all_sum));
            return Some((rsdt, 0));
        }
        // This checksum covers both addresses.
        let rsdt = u64::from(u32_at(all, RSDT_ADDRESS)?);
        let xsdt = u64_at(all, XSDT_ADDRESS)?;
        if xsdt == 0 {
            complain(RootFault::NoXsdt);
        }
        Some((rsdt, xsdt))
    }
}

/// An RSDT or an XSDT.
pub(super) struct RootTable<'m> {
    pub(super) name: [u8; 4],
    pub(super) address: PhysAddr,
    entries: &'m [u8],
    width: usize,
}

impl RootTable<'_> {
    /// The addresses of the tables, 0 included.
    pub(super) fn addresses(&self) -> impl Iterator<Item = PhysAddr> {
        self.entries.chunks_exact(self.width).map(|entry| {
            let address = u64_at(entry, 0).or(u32_at(entry, 0).map(u64::from));
            PhysAddr(address.unwrap_or(0))
        })
    }
}

/// All bytes of the table at `address`, header included: at least [`HEADER`] of them.
pub(super) fn table<M: ReadPhysical>(
    memory: &M,
    address: PhysAddr,
    name: [u8; 4],
) -> Result<&[u8], TableFault> {
    let header = memory
        .bytes(address, HEADER)
        .ok_or(TableFault::Unreachable)?;
    if !header.starts_with(&name) {
        let found = header.first_chunk().copied().unwrap_or_default();
        return Err(TableFault::Signature(Name(found)));
    }
    let length = u32_at(header, 4).unwrap_or(0);
    if !(HEADER..=LONGEST).contains(&(length as usize)) {
        return Err(TableFault::Length(length));
    }
    let bytes = memory
        .bytes(address, length as usize)
        .ok_or(TableFault::Unreachable)?;
    match sum(bytes) {
        0 => Ok(bytes),
        other => Err(TableFault::Checksum(other)),
    }
}
