//! Tables as real machines have them: what is wrong costs what it concerns and no more, and is said.

mod devices;
mod processors;
mod tables;

use super::*;
use crate::firmware::physical::Pieces;
use crate::mm::shootdown::MAX_CPUS;
use crate::smp::start_up::ApicId;
use proptest::prelude::*;
use std::format;
use std::vec;
use std::vec::Vec;

const RSDP_AT: u64 = 0xf_52c0;
const RSDT_AT: u64 = 0x7fe_0000;
const XSDT_AT: u64 = 0x7fe_8000;
const TABLES_AT: u64 = 0x7ff_0000;

/// Makes byte `at` such that all of `bytes` add up to 0.
fn seal(bytes: &mut [u8], at: usize) {
    bytes[at] = bytes[at].wrapping_sub(bytes::sum(bytes));
}

fn table(name: &[u8; 4], revision: u8, body: &[u8]) -> Vec<u8> {
    let mut table = name.to_vec();
    table.extend((36 + body.len() as u32).to_le_bytes());
    table.extend([revision, 0]);
    table.extend([0xff; 6]);
    table.resize(36, 0);
    table.extend(body);
    seal(&mut table, 9);
    table
}

fn cpu(id: u8, flags: u8) -> Vec<u8> {
    vec![0, 8, id, id, flags, 0, 0, 0]
}

fn x2apic_cpu(id: u32, flags: u32) -> Vec<u8> {
    [
        &[9, 16, 0, 0],
        &id.to_le_bytes()[..],
        &flags.to_le_bytes(),
        &id.to_le_bytes(),
    ]
    .concat()
}

fn io_apic(address: u32) -> Vec<u8> {
    [&[1, 12, 0, 0], &address.to_le_bytes()[..], &[0; 4]].concat()
}

fn madt(entries: &[Vec<u8>]) -> Vec<u8> {
    table(&MADT, 4, &[vec![0; 8], entries.concat()].concat())
}

fn fadt() -> Vec<u8> {
    let mut body = vec![0; 276 - 36];
    body[76 - 36..][..4].copy_from_slice(&0x608u32.to_le_bytes());
    body[91 - 36] = 4;
    body[112 - 36..][..4].copy_from_slice(&(1u32 << 10).to_le_bytes());
    body[116 - 36..][..12].copy_from_slice(&[1, 8, 0, 1, 0xf9, 0xc, 0, 0, 0, 0, 0, 0]);
    body[128 - 36] = 6;
    table(&FADT, 6, &body)
}

fn hpet(space: u8, address: u64) -> Vec<u8> {
    let body = [
        &[0, 0, 0, 0, space, 64, 0, 0][..],
        &address.to_le_bytes(),
        &[0; 4],
    ]
    .concat();
    table(&HPET, 1, &body)
}

fn spcr(space: u8, address: u64) -> Vec<u8> {
    let mut body = vec![0; 52];
    body[4..8].copy_from_slice(&[space, 8, 0, 1]);
    body[8..16].copy_from_slice(&address.to_le_bytes());
    body[58 - 36] = 7;
    table(&SPCR, 2, &body)
}

/// Root pointer, tables of tables and tables, each of which a test may spoil.
#[derive(Clone)]
struct Tables {
    rsdp: Vec<u8>,
    rsdt: Vec<u8>,
    xsdt: Vec<u8>,
    tables: Vec<Vec<u8>>,
}

impl Tables {
    fn new(tables: Vec<Vec<u8>>) -> Self {
        let addresses = (0..tables.len() as u64).map(|number| TABLES_AT + (number << 14));
        let wide: Vec<u8> = addresses.clone().flat_map(u64::to_le_bytes).collect();
        let narrow: Vec<u8> = addresses.flat_map(|at| (at as u32).to_le_bytes()).collect();
        let mut rsdp = b"RSD PTR \0\xff\xfe\xfd\xfc\xfb\xfa\x02".to_vec();
        rsdp.extend((RSDT_AT as u32).to_le_bytes());
        rsdp.extend(36u32.to_le_bytes());
        rsdp.extend(XSDT_AT.to_le_bytes());
        rsdp.extend([0; 4]);
        let mut new = Tables {
            rsdp,
            rsdt: table(&RSDT, 1, &narrow),
            xsdt: table(&XSDT, 1, &wide),
            tables,
        };
        new.seal();
        new
    }

    /// Four CPUs, one I/O APIC, both timers, COM2.
    fn usual() -> Self {
        let entries: Vec<_> = (0..4)
            .map(|id| cpu(id, 1))
            .chain([io_apic(0xfec0_0000)])
            .collect();
        Self::new(vec![
            madt(&entries),
            fadt(),
            hpet(0, 0xfed0_0000),
            spcr(1, 0x2f8),
        ])
    }

    fn with_madt(entries: &[Vec<u8>]) -> Self {
        Self::new(vec![madt(entries), fadt()])
    }

    /// Makes the root pointer's checksums right.
    fn seal(&mut self) {
        seal(&mut self.rsdp[..20], 8);
        let length = self.rsdp.len();
        seal(&mut self.rsdp[..length], 32);
    }

    fn memory(&self) -> Pieces {
        let mut memory = Pieces::default();
        memory.put(RSDP_AT, self.rsdp.clone());
        memory.put(RSDT_AT, self.rsdt.clone());
        memory.put(XSDT_AT, self.xsdt.clone());
        for (number, table) in self.tables.iter().enumerate() {
            memory.put(TABLES_AT + ((number as u64) << 14), table.clone());
        }
        memory
    }

    fn read(&self) -> Firmware {
        read(&self.memory(), [RootPointer::at(PhysAddr(RSDP_AT))])
    }
}

fn ids(firmware: &Firmware) -> Vec<u32> {
    firmware.processors.ids.iter().map(|id| id.0).collect()
}

/// The faults of tables, without where they lie.
fn faults(firmware: &Firmware) -> Vec<TableFault> {
    let complaints = firmware.complaints.kept().iter();
    let faults = complaints.filter_map(|complaint| match complaint {
        Complaint::Table { fault, .. } => Some(*fault),
        _ => None,
    });
    faults.collect()
}

fn root_faults(firmware: &Firmware) -> Vec<RootFault> {
    let complaints = firmware.complaints.kept().iter();
    let faults = complaints.filter_map(|complaint| match complaint {
        Complaint::RootPointer { fault, .. } => Some(*fault),
        _ => None,
    });
    faults.collect()
}

#[test]
fn good_tables_are_read_without_a_complaint() {
    let firmware = Tables::usual().read();
    assert_eq!(ids(&firmware), [0, 1, 2, 3]);
    assert_eq!(firmware.processors.enabled, 4);
    assert_eq!(firmware.io_apics.registers[..], [PhysAddr(0xfec0_0000)]);
    assert_eq!(firmware.io_apics.first_lines[..], [0]);
    assert_eq!(firmware.pm_timer, Some(0x608));
    assert_eq!(firmware.hpet, Some(PhysAddr(0xfed0_0000)));
    assert_eq!(firmware.reset, Some((0xcf9, 6)));
    assert_eq!(firmware.serial[0].address, 0x2f8);
    assert_eq!(firmware.complaints.kept(), []);
}

#[test]
fn complaints_name_what_is_wrong() {
    let mut tables = Tables::usual();
    tables.tables[1][9] ^= 0x55;
    tables.tables[0] = madt(&[cpu(0, 1), cpu(0, 1), vec![0x7f, 0]]);
    tables.rsdp[24..32].fill(0);
    tables.seal();
    let mut reported = Vec::new();
    tables
        .read()
        .complaints
        .for_each(|text| reported.push(format!("{text}")));
    assert_eq!(
        reported,
        [
            "ACPI: root pointer at 0xf52c0: XSDT address 0; the RSDT is used",
            &format!(
                "ACPI: FADT at 0x7ff4000: checksum off by {:#x}; not read",
                tables.tables[1]
                    .iter()
                    .fold(0u8, |sum, &byte| sum.wrapping_add(byte))
            ),
            "ACPI: MADT at 0x7ff0000: entry of type 0x7f at offset 0x3c has a length of 0; it and what follows is not read",
            "ACPI: MADT at 0x7ff0000: entries that list a CPU again: 1; each CPU counts once",
        ]
    );
}

proptest! {
    /// Whatever is spoilt, reading ends, and no CPU is listed twice.
    #[test]
    fn damaged_tables_never_panic(
        damage in prop::collection::vec((0usize..7, any::<prop::sample::Index>(), any::<u8>()), 1..8),
        sealed in any::<bool>(),
    ) {
        let mut tables = Tables::usual();
        tables.tables.push(table(&DBG2, 0, &[44, 1, 0, 0, 0, 0, 0, 0]));
        for (which, at, value) in damage {
            let bytes = match which {
                0 => &mut tables.rsdp,
                1 => &mut tables.xsdt,
                which => &mut tables.tables[which - 2],
            };
            let at = at.index(bytes.len());
            bytes[at] = value;
            if sealed {
                seal(bytes, if which == 0 { 8 } else { 9 });
            }
        }
        let firmware = tables.read();
        let mut ids: Vec<ApicId> = firmware.processors.ids.to_vec();
        ids.sort_unstable();
        ids.dedup();
        prop_assert_eq!(ids.len(), firmware.processors.ids.len());
    }
}
