//! The MADT: CPUs and I/O APICs.

use super::*;

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
