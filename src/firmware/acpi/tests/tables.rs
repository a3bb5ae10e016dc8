//! Root pointers and the tables they lead to, some of them broken.

use super::*;

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
