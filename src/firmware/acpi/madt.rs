//! The MADT (ACPI specification 6.5, 5.2.12): CPUs by their local APICs, and I/O APICs.
//!
//! The entries are the crate's, the walk over them is ours: the crate's goes on for ever where an entry has a length of 0, and
//! reads beyond the table where one is too long.

use acpi::madt::{IoApicEntry, LocalApicEntry, LocalX2ApicEntry};
use arrayvec::ArrayVec;

use super::complaint::TableFault;
use super::root::HEADER;
use crate::mm::address::PhysAddr;
use crate::mm::shootdown::MAX_CPUS;
use crate::smp::start_up::ApicId;

/// Most I/O APICs that are kept: machines of eight sockets have a few each.
pub const IO_APICS: usize = 64;

/// CPUs, as the MADT lists them.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Processors {
    /// The enabled ones by their local APICs, each once, in the table's order, as many as there is room for.
    pub ids: ArrayVec<ApicId, MAX_CPUS>,
    /// Enabled CPUs, those without room included; 0 if there is no MADT.
    pub enabled: u32,
    /// Entries of CPUs that are not enabled, and can be enabled while a system runs.
    pub online_capable: u32,
    /// Entries of CPUs that are neither.
    pub disabled: u32,
    /// Entries that list an enabled CPU again.
    pub repeated: u32,
    /// Enabled CPUs whose ids are beyond what xAPIC can address: 255 and more.
    pub beyond_xapic: u32,
}

/// I/O APICs by where their registers lie.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct IoApics {
    /// As many as there is room for, each once.
    pub registers: ArrayVec<PhysAddr, IO_APICS>,
    /// The number of the first interrupt line of each.
    pub first_lines: ArrayVec<u32, IO_APICS>,
    /// Those that there is no room for.
    pub left_out: u32,
}

/// Reads a MADT, whose checksum is good.
pub(super) fn read(table: &[u8], mut complain: impl FnMut(TableFault)) -> (Processors, IoApics) {
    let mut processors = Processors::default();
    let mut io_apics = IoApics::default();
    let mut broadcast = 0;
    let mut short = 0;
    let mut entries = Entries::of(table);
    if table.len() < ENTRIES {
        complain(TableFault::Short(table.len()));
    }
    for entry in entries.by_ref() {
        match Kind::of(entry.bytes) {
            Kind::TooShort => short += 1,
            Kind::Cpu { flags, .. } if flags & ENABLED == 0 => {
                if flags & ONLINE_CAPABLE == 0 {
                    processors.disabled += 1;
                } else {
                    processors.online_capable += 1;
                }
            }
            Kind::Cpu { id: None, .. } => broadcast += 1,
            Kind::Cpu { id: Some(id), .. } => {
                // Compared with the table itself, so that the number is right whatever there is room for.
                let before = Entries::of(&table[..entry.offset]);
                if before.enabled().any(|known| known == id) {
                    processors.repeated += 1;
                    continue;
                }
                processors.enabled += 1;
                processors.beyond_xapic += u32::from(id.0 > XAPIC_LAST);
                let _ = processors.ids.try_push(id);
            }
            Kind::IoApic { address, .. } if address == 0 || address == u32::MAX => {
                complain(TableFault::IoApicAddress(PhysAddr(address.into())));
            }
            Kind::IoApic {
                address,
                first_line,
            } => {
                let address = PhysAddr(address.into());
                if io_apics.registers.contains(&address) {
                    continue;
                }
                match io_apics.registers.try_push(address) {
                    Ok(()) => io_apics.first_lines.push(first_line),
                    Err(_) => io_apics.left_out += 1,
                }
            }
            Kind::Other => {}
        }
    }
    if let Some(fault) = entries.fault {
        complain(fault);
    }
    let no_room = processors.enabled - processors.ids.len() as u32;
    for (count, fault) in [
        (short, TableFault::ShortEntries as fn(u32) -> TableFault),
        (processors.repeated, TableFault::RepeatedCpus),
        (broadcast, TableFault::BroadcastIds),
        (no_room, TableFault::TooManyCpus),
        (io_apics.left_out, TableFault::TooManyIoApics),
    ] {
        if count > 0 {
            complain(fault(count));
        }
    }
    (processors, io_apics)
}

/// Where the entries begin: behind the address of the local APICs, and flags.
const ENTRIES: usize = HEADER + 8;
/// Flags of a CPU (5.2.12.2).
const ENABLED: u32 = 1 << 0;
const ONLINE_CAPABLE: u32 = 1 << 1;
/// The highest id that xAPIC can address.
const XAPIC_LAST: u32 = 0xfe;

/// What an entry is about.
enum Kind {
    /// A CPU, in either form. No id: it is the broadcast id.
    Cpu {
        flags: u32,
        id: Option<ApicId>,
    },
    /// An I/O APIC: where its registers lie, and the number of its first interrupt line.
    IoApic {
        address: u32,
        first_line: u32,
    },
    Other,
    /// It is shorter than its kind has to be.
    TooShort,
}

impl Kind {
    fn of(entry: &[u8]) -> Self {
        const LOCAL_APIC: u8 = 0;
        const IO_APIC: u8 = 1;
        const LOCAL_X2APIC: u8 = 9;
        let kind = match entry[0] {
            LOCAL_APIC => view::<LocalApicEntry>(entry).map(|cpu| Kind::Cpu {
                flags: cpu.flags,
                id: (cpu.apic_id != u8::MAX).then_some(ApicId(cpu.apic_id.into())),
            }),
            LOCAL_X2APIC => view::<LocalX2ApicEntry>(entry).map(|cpu| Kind::Cpu {
                flags: cpu.flags,
                id: (cpu.x2apic_id != u32::MAX).then_some(ApicId(cpu.x2apic_id)),
            }),
            IO_APIC => view::<IoApicEntry>(entry).map(|entry| Kind::IoApic {
                address: entry.io_apic_address,
                first_line: entry.global_system_interrupt_base,
            }),
            _ => Some(Kind::Other),
        };
        kind.unwrap_or(Kind::TooShort)
    }
}

/// One entry.
struct Entry<'t> {
    /// Where it begins in the table.
    offset: usize,
    /// All of it; two bytes at least.
    bytes: &'t [u8],
}

/// The entries of a table, up to its end or the first one whose length cannot be.
struct Entries<'t> {
    table: &'t [u8],
    offset: usize,
    /// Why it ended before the table did.
    fault: Option<TableFault>,
}

impl<'t> Entries<'t> {
    fn of(table: &'t [u8]) -> Self {
        Entries {
            table,
            offset: ENTRIES,
            fault: None,
        }
    }

    /// The enabled CPUs.
    fn enabled(self) -> impl Iterator<Item = ApicId> + use<'t> {
        self.filter_map(|entry| match Kind::of(entry.bytes) {
            Kind::Cpu { flags, id } if flags & ENABLED != 0 => id,
            _ => None,
        })
    }
}

impl<'t> Iterator for Entries<'t> {
    type Item = Entry<'t>;

    fn next(&mut self) -> Option<Entry<'t>> {
        let offset = self.offset;
        let rest = self.table.get(offset..)?;
        let (&kind, &length) = (rest.first()?, rest.get(1).unwrap_or(&0));
        let bytes = rest.get(..usize::from(length)).filter(|_| length >= 2);
        if bytes.is_none() {
            self.fault = Some(TableFault::Entry {
                offset,
                kind,
                length,
            });
            self.offset = self.table.len();
        }
        let bytes = bytes?;
        self.offset += bytes.len();
        Some(Entry { offset, bytes })
    }
}

/// An entry of the crate.
///
/// # Safety
///
/// It may lie at any address, and any bytes are one.
unsafe trait Packed {}

// SAFETY: packed structures of numbers.
unsafe impl Packed for LocalApicEntry {}
// SAFETY: the same.
unsafe impl Packed for LocalX2ApicEntry {}
// SAFETY: the same.
unsafe impl Packed for IoApicEntry {}

/// The bytes as an entry of the crate, if there are enough of them.
fn view<T: Packed>(bytes: &[u8]) -> Option<&T> {
    // SAFETY: there are enough bytes, and by the trait's promise they are a `T` wherever they lie.
    (bytes.len() >= size_of::<T>()).then(|| unsafe { &*bytes.as_ptr().cast() })
}
