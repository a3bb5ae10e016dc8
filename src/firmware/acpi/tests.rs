//! Tables as real machines have them: what is wrong costs what it concerns and no more, and is said.

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
fn a_machine_without_tables_says_so() {
    let firmware = read(&Pieces::default(), []);
    assert_eq!(firmware.complaints.kept(), [Complaint::NoRootPointer]);
    let firmware = read(&Pieces::default(), [RootPointer::at(PhysAddr(8))]);
    assert_eq!(root_faults(&firmware), [RootFault::Unreachable]);
}

/// Whatever is wrong with one way to the tables, the other one is taken.
#[test]
fn a_broken_way_to_the_tables_costs_that_way() {
    let usual = Tables::usual().read();
    let check = |change: &dyn Fn(&mut Tables), roots: &[RootFault], others: usize| {
        let mut tables = Tables::usual();
        change(&mut tables);
        let mut firmware = tables.read();
        assert_eq!(root_faults(&firmware), roots);
        assert_eq!(faults(&firmware).len(), others, "{:?}", firmware.complaints);
        firmware.complaints = Complaints::default();
        assert_eq!(firmware, usual);
    };
    // Revision 0, as SeaBIOS has it, is no fault.
    check(
        &|tables| {
            tables.rsdp[15] = 0;
            tables.rsdp.truncate(20);
            seal(&mut tables.rsdp, 8);
        },
        &[],
        0,
    );
    check(
        &|tables| {
            tables.rsdp[24..32].fill(0);
            tables.seal();
        },
        &[RootFault::NoXsdt],
        0,
    );
    check(
        &|tables| tables.rsdp[33] ^= 1,
        &[RootFault::ExtendedChecksum(1)],
        0,
    );
    check(
        &|tables| {
            tables.rsdp.truncate(32);
        },
        &[RootFault::Short(35)],
        0,
    );
    // The long checksum covers the short one's bytes.
    check(
        &|tables| {
            tables.rsdp[8] = tables.rsdp[8].wrapping_add(3);
            seal(&mut tables.rsdp, 32);
        },
        &[RootFault::Checksum(3)],
        0,
    );
    for length in [0u32, 20, 35, 200, u32::MAX] {
        check(
            &|tables| {
                tables.rsdp[20..24].copy_from_slice(&length.to_le_bytes());
                tables.seal();
            },
            &[RootFault::Length(length)],
            0,
        );
    }
    // One that is longer than it has to be.
    check(
        &|tables| {
            tables.rsdp.extend([1, 2, 3, 4]);
            tables.rsdp[20..24].copy_from_slice(&40u32.to_le_bytes());
            tables.seal();
        },
        &[],
        0,
    );
    check(&|tables| tables.xsdt[9] ^= 0x55, &[], 1);
    check(&|tables| tables.xsdt[0] = b'Y', &[], 1);
    check(&|tables| tables.xsdt.truncate(40), &[], 1);
    check(
        &|tables| tables.xsdt[4..8].copy_from_slice(&35u32.to_le_bytes()),
        &[],
        1,
    );
    check(&|tables| tables.xsdt[4..8].fill(0xff), &[], 1);
    // The RSDT is not even looked at.
    check(&|tables| tables.rsdt.fill(0), &[], 0);
}

#[test]
fn another_root_pointer_is_taken_where_the_first_leads_nowhere() {
    let mut memory = Tables::usual().memory();
    memory.put(0x1000, vec![0; 64]);
    memory.put(0x2000, b"RSD PTR ");
    let pointers = [0x1000, 0x2000, 0x3000, RSDP_AT].map(|at| RootPointer::at(PhysAddr(at)));
    let firmware = read(&memory, pointers);
    assert_eq!(firmware.processors.enabled, 4);
    assert_eq!(
        root_faults(&firmware),
        [
            RootFault::Signature([0; 8]),
            RootFault::Unreachable,
            RootFault::Unreachable
        ]
    );
}

/// A copy in a tag ends with the tag, whatever lies behind it.
#[test]
fn no_byte_behind_a_copy_is_read() {
    for (bytes, complaints) in [
        (36, &[][..]),
        (40, &[]),
        (35, &[RootFault::Short(35)]),
        (20, &[RootFault::Short(20)]),
        (19, &[RootFault::Unreachable]),
        (0, &[RootFault::Unreachable]),
    ] {
        let address = PhysAddr(RSDP_AT);
        let firmware = read(&Tables::usual().memory(), [RootPointer { address, bytes }]);
        assert_eq!(root_faults(&firmware), complaints, "{bytes}");
        assert_eq!(firmware.processors.enabled, if bytes < 20 { 0 } else { 4 });
    }
}

#[test]
fn a_broken_table_costs_that_table() {
    for (number, name) in [MADT, FADT, HPET, SPCR].into_iter().enumerate() {
        type Spoil = fn(&mut Vec<u8>);
        let spoils: [(Spoil, _); 3] = [
            (|table| table[9] ^= 0x55, None),
            (|table| table.truncate(20), None),
            (|table| table[4..8].fill(0), Some(TableFault::Length(0))),
        ];
        for (spoil, fault) in spoils {
            let mut tables = Tables::usual();
            spoil(&mut tables.tables[number]);
            let firmware = tables.read();
            let [
                Complaint::Table {
                    table,
                    at,
                    fault: found,
                },
            ] = *firmware.complaints.kept()
            else {
                panic!("{:?}", firmware.complaints);
            };
            assert_eq!(table, Name(name));
            assert_eq!(at, PhysAddr(TABLES_AT + ((number as u64) << 14)));
            assert_eq!(fault.unwrap_or(found), found);
            assert_eq!(firmware.processors.enabled == 4, name != MADT);
            assert_eq!(firmware.pm_timer.is_some(), name != FADT);
            assert_eq!(firmware.hpet.is_some(), name != HPET);
            assert_eq!(firmware.serial.is_empty(), name == SPCR);
        }
    }
}

#[test]
fn what_the_list_of_tables_has_beside_them_is_passed_over() {
    let mut tables = Tables::usual();
    let list: Vec<u8> = [
        0,
        TABLES_AT,
        1 << 40,
        TABLES_AT + (1 << 14),
        0,
        RSDT_AT,
        TABLES_AT,
    ]
    .into_iter()
    .flat_map(u64::to_le_bytes)
    .collect();
    // Bytes that are no whole entry are none.
    tables.xsdt = table(&XSDT, 1, &[list, vec![1, 2, 3]].concat());
    let firmware = tables.read();
    assert_eq!(
        faults(&firmware),
        [TableFault::Unreachable, TableFault::NullEntries(2)]
    );
    assert_eq!(
        (firmware.processors.enabled, firmware.pm_timer),
        (4, Some(0x608))
    );
}

#[test]
fn of_two_tables_the_first_counts() {
    let mut broken = madt(&[cpu(9, 1)]);
    broken[9] ^= 1;
    let tables = vec![
        broken,
        madt(&[cpu(1, 1)]),
        madt(&[cpu(2, 1)]),
        hpet(0, 8),
        hpet(0, 16),
    ];
    let firmware = Tables::new(tables).read();
    assert_eq!(ids(&firmware), [1]);
    assert_eq!(firmware.hpet, Some(PhysAddr(8)));
    assert_eq!(
        faults(&firmware),
        [TableFault::Checksum(1), TableFault::Repeated]
    );
}

#[test]
fn an_entry_whose_length_cannot_be_ends_what_is_read() {
    for (broken, kind, length) in [
        (vec![0x7f, 0, 0, 0, 0, 0, 0, 0], 0x7f, 0),
        (vec![0, 1, 0, 0, 0, 0, 0, 0], 0, 1),
        (vec![9, 0xff], 9, 0xff),
        (vec![4], 4, 0),
    ] {
        let entries = [cpu(0, 1), cpu(1, 1), broken];
        let firmware = Tables::with_madt(&entries).read();
        assert_eq!(ids(&firmware), [0, 1]);
        let entry = TableFault::Entry {
            offset: 44 + 16,
            kind,
            length,
        };
        assert_eq!(faults(&firmware), [entry]);
    }
    // An entry that is too short for its kind, but not for a length, costs itself.
    let entries = [
        vec![0, 4, 7, 7],
        vec![1, 2],
        cpu(1, 1),
        vec![0xc0, 3, 0],
        cpu(2, 1),
    ];
    let firmware = Tables::with_madt(&entries).read();
    assert_eq!(ids(&firmware), [1, 2]);
    assert_eq!(faults(&firmware), [TableFault::ShortEntries(2)]);
}

#[test]
fn a_cpu_counts_once_in_whichever_form_it_is_listed() {
    let both: Vec<_> = (0..4)
        .map(|id| cpu(id, 1))
        .chain((0..4).map(|id| x2apic_cpu(id, 1)))
        .chain([x2apic_cpu(300, 1), cpu(2, 1), x2apic_cpu(300, 1)])
        .collect();
    let firmware = Tables::with_madt(&both).read();
    assert_eq!(ids(&firmware), [0, 1, 2, 3, 300]);
    let processors = &firmware.processors;
    assert_eq!(
        (
            processors.enabled,
            processors.repeated,
            processors.beyond_xapic
        ),
        (5, 6, 1)
    );
    assert_eq!(faults(&firmware), [TableFault::RepeatedCpus(6)]);
}

#[test]
fn cpus_that_are_not_enabled_are_counted_and_no_complaint() {
    let entries = [
        cpu(0, 1),
        cpu(1, 0),
        cpu(0xff, 0),
        x2apic_cpu(2, 2),
        cpu(0xff, 1),
        x2apic_cpu(u32::MAX, 1),
        // A place for a CPU that is enabled elsewhere.
        cpu(0, 0),
    ];
    let firmware = Tables::with_madt(&entries).read();
    assert_eq!(ids(&firmware), [0]);
    let processors = &firmware.processors;
    assert_eq!((processors.disabled, processors.online_capable), (3, 1));
    assert_eq!(faults(&firmware), [TableFault::BroadcastIds(2)]);
}

#[test]
fn cpus_beyond_what_there_is_room_for_are_counted_once_each() {
    let number = MAX_CPUS as u32 + 40;
    let twice: Vec<_> = (0..number)
        .chain(0..number)
        .map(|id| x2apic_cpu(7 * id, 1))
        .collect();
    let firmware = Tables::with_madt(&twice).read();
    assert_eq!(firmware.processors.ids.len(), MAX_CPUS);
    assert_eq!(firmware.processors.enabled, number);
    assert_eq!(
        faults(&firmware),
        [
            TableFault::RepeatedCpus(number),
            TableFault::TooManyCpus(40)
        ]
    );
}

#[test]
fn io_apics_are_listed_once_each_or_counted() {
    let many = IO_APICS as u32 + 3;
    let entries: Vec<_> = [0, u32::MAX, 0xfec0_0000]
        .into_iter()
        .chain((0..many).map(|number| 0xfec0_0000 + (number << 12)))
        .map(io_apic)
        .collect();
    let io_apics = Tables::with_madt(&entries).read().io_apics;
    assert_eq!((io_apics.registers.len(), io_apics.left_out), (IO_APICS, 3));
    assert_eq!(io_apics.registers[8], PhysAddr(0xfec0_8000));
    let faults = faults(&Tables::with_madt(&entries).read());
    assert_eq!(
        faults,
        [
            TableFault::IoApicAddress(PhysAddr(0)),
            TableFault::IoApicAddress(PhysAddr(0xffff_ffff)),
            TableFault::TooManyIoApics(3),
        ]
    );
}

#[test]
fn timers_that_are_not_where_they_can_be_read_are_left_out() {
    let with = |fadt, hpet| Tables::new(vec![madt(&[cpu(0, 1)]), fadt, hpet]).read();
    let change = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut fadt = fadt();
        change(&mut fadt);
        seal(&mut fadt, 9);
        fadt
    };
    for (hpet_table, place) in [
        (hpet(1, 0xfed0_0000), (1, 0xfed0_0000)),
        (hpet(0, 0), (0, 0)),
        (hpet(0, 0xfed0_0001), (0, 0xfed0_0001)),
    ] {
        let firmware = with(fadt(), hpet_table);
        assert_eq!((firmware.hpet, firmware.pm_timer), (None, Some(0x608)));
        let (space, address) = (Some(place.0), place.1);
        assert_eq!(
            faults(&firmware),
            [TableFault::Hpet(Location { space, address })]
        );
    }
    let cut = table(&HPET, 1, &[0; 15]);
    assert_eq!(faults(&with(fadt(), cut)), [TableFault::Short(51)]);

    // The wide field of the PM timer counts where it is not 0.
    let wide = |space, address: u64| {
        change(&|fadt| {
            fadt[208..212].copy_from_slice(&[space, 32, 0, 3]);
            fadt[212..220].copy_from_slice(&address.to_le_bytes());
        })
    };
    let good = hpet(0, 0xfed0_0000);
    assert_eq!(with(wide(1, 0x1808), good.clone()).pm_timer, Some(0x1808));
    assert_eq!(with(wide(1, 0), good.clone()).pm_timer, Some(0x608));
    for (space, address) in [(0, 0xfe00_0608), (1, 0x1_0608), (1, 0xfffd)] {
        let firmware = with(wide(space, address), good.clone());
        assert_eq!(firmware.pm_timer, None);
        let place = Location {
            space: Some(space),
            address,
        };
        assert_eq!(faults(&firmware), [TableFault::PmTimer(place)]);
    }
    assert_eq!(with(wide(0x55, 0x608), good.clone()).pm_timer, None);
    // No timer is no fault.
    let none = change(&|fadt| fadt[91] = 0);
    let firmware = with(none, good.clone());
    assert_eq!(
        (firmware.pm_timer, firmware.complaints.kept()),
        (None, &[][..])
    );
    // Revision 1 ends before the wide fields, and a FADT may end anywhere.
    for length in 36..276u32 {
        let mut short = fadt();
        short.truncate(length as usize);
        short[4..8].copy_from_slice(&length.to_le_bytes());
        seal(&mut short, 9);
        let firmware = with(short, good.clone());
        assert_eq!(
            firmware.pm_timer,
            (length > 91).then_some(0x608),
            "{length}"
        );
        assert_eq!(
            faults(&firmware).len(),
            usize::from(length < 116),
            "{length}"
        );
        assert_eq!(firmware.hpet, Some(PhysAddr(0xfed0_0000)));
    }
}

#[test]
fn serial_ports_are_named_once_and_their_faults_said() {
    let serial = |tables| {
        let firmware = Tables::new(tables).read();
        let ports: Vec<_> = firmware.serial.iter().map(|hint| hint.address).collect();
        (ports, faults(&firmware))
    };
    assert_eq!(serial(vec![spcr(1, 0)]), (vec![], vec![]));
    let space = TableFault::Serial(SerialFault::Space(7));
    assert_eq!(serial(vec![spcr(7, 0x3f8)]), (vec![], vec![space]));
    let device = |port: u16| {
        let [low, high] = port.to_le_bytes();
        let head = vec![
            0, 34, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 0, 22, 0, 0, 0,
        ];
        [head, vec![1, 8, 0, 1, low, high, 0, 0, 0, 0, 0, 0]].concat()
    };
    let ports = |ports: &[u16]| {
        let head = [44, ports.len() as u32].map(u32::to_le_bytes).concat();
        let devices: Vec<_> = ports.iter().flat_map(|&port| device(port)).collect();
        table(&DBG2, 0, &[head, devices].concat())
    };
    let both = serial(vec![ports(&[0x2f8, 0x3f8, 0x3e8]), spcr(1, 0x3f8)]);
    assert_eq!(both, (vec![0x3f8, 0x2f8, 0x3e8], vec![]));
    let many: Vec<u16> = (0..HINTS as u16 + 2)
        .map(|number| 0x1000 + 8 * number)
        .collect();
    let too_many = TableFault::Serial(SerialFault::TooMany);
    assert_eq!(serial(vec![ports(&many)]).1, [too_many; 2]);
}

#[test]
fn complaints_name_what_is_wrong() {
    let mut tables = Tables::usual();
    tables.tables[1][9] ^= 0x55;
    tables.tables[0] = madt(&[cpu(0, 1), cpu(0, 1), vec![0x7f, 0]]);
    tables.rsdp[24..32].fill(0);
    tables.seal();
    let mut told = Vec::new();
    tables
        .read()
        .complaints
        .for_each(|text| told.push(format!("{text}")));
    assert_eq!(
        told,
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
