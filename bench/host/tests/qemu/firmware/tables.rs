//! ACPI tables, wrong in one way each: the run passes, and what was good of them is used.

use super::*;

/// A MADT entry of this kind and length, filled with ones.
fn odd(kind: u8, length: u8) -> Vec<u8> {
    let mut entry = vec![kind, length];
    entry.resize(usize::from(length.max(2)), 0xff);
    entry
}

fn with_flags(id: u8, flags: u8) -> Vec<u8> {
    vec![0, 8, id, id, flags, 0, 0, 0]
}

/// A run on four CPUs with these tables.
fn on_four(tables: &[Vec<u8>], notices: &[&str]) -> Log {
    let mut made_up = MadeUp::new();
    let pointer = made_up.memory.root_pointer(tables, b"MADEUP", None);
    let address = made_up.memory.put(&pointer);
    let log = by_pvh(made_up, address, usual_map(), &ON_FOUR);
    noticed(&log, &["smp: 4 CPUs run"]);
    noticed(&log, notices);
    log
}

#[test]
fn entries_of_a_madt_cost_themselves_alone() {
    let with = |more: &[Vec<u8>]| madt(&[&four_cpus()[..], more].concat());
    let nothing: [&str; 0] = [];
    for (more, notices) in [
        (
            vec![odd(0, 3), odd(9, 9), odd(1, 11), odd(0x80, 200), odd(0, 2)],
            &["4 entries are too short for their type"][..],
        ),
        (vec![odd(0, 1)], &["entry of type 0x0"]),
        (vec![vec![0, 200, 9, 9]], &["entry of type 0x0"]),
        // Ids that no start-up interrupt of an xAPIC has.
        (
            vec![local_x2apic(0x8000_0000), local_x2apic(0xffff_fffe)],
            &["2 CPUs have APIC ids above 254"],
        ),
        // Absent, and such as could be switched on.
        (vec![with_flags(9, 0), with_flags(10, 2)], &nothing),
        // The same I/O APIC again and again; others with the same lines; and addresses that cannot be.
        (vec![io_apic(0xfec0_0000); 9], &nothing),
        (vec![io_apic(0xfec0_1000), io_apic(0xfec0_2000)], &nothing),
        (
            vec![
                io_apic(0),
                io_apic(u32::MAX),
                io_apic(0xfec1_0001),
                io_apic(2),
            ],
            &["I/O APIC"],
        ),
    ] {
        let log = on_four(&[with(&more), fadt(), hpet(0)], notices);
        assert!(format!("{:?}", log.environment).contains("pm_timer"));
    }
}

/// As old as ACPI, cut anywhere, without a timer, or with one at a port that is nobody's.
#[test]
fn a_fadt_is_read_as_far_as_it_goes() {
    let cut = |bytes: usize| table(b"FACP", &fadt()[36..bytes]);
    let at_port = |port: u32| {
        let mut body = fadt()[36..].to_vec();
        body[76 - 36..][..4].copy_from_slice(&port.to_le_bytes());
        table(b"FACP", &body)
    };
    for (fadt, has_timer, notices) in [
        (cut(116), true, &[][..]),
        (cut(90), false, &["FADT"]),
        (cut(36), false, &["FADT"]),
        (at_port(0), false, &[]),
        (
            at_port(0x1234),
            false,
            &["timer: pm timer: it stands still"],
        ),
        (at_port(0xffff), false, &["PM timer"]),
    ] {
        let log = on_four(&[madt(&four_cpus()), fadt, hpet(0)], notices);
        let found = log.environment.unwrap().frequencies.pm_timer;
        assert_eq!(found.is_some(), has_timer, "{notices:?}");
    }
}

/// No address, one that cannot be, one where nothing is, other devices' registers, a table that is too short.
#[test]
fn an_hpet_that_is_none_is_named() {
    for (hpet, notice) in [
        (hpet_at(0, 0), "HPET"),
        (hpet_at(0, 0xfed0_0004), "HPET"),
        (hpet_at(0, 0xfed4_0000), "timer: hpet: "),
        (hpet_at(0, 0xfec0_0000), "timer: hpet: "),
        (hpet_at(0, 0xfee0_0000), "timer: hpet: "),
        (table(b"HPET", &[0; 7]), "HPET"),
    ] {
        let log = on_four(&[madt(&four_cpus()), fadt(), hpet], &[notice]);
        assert_eq!(log.environment.unwrap().frequencies.hpet, None);
    }
}

/// What is written to try a port at another device's registers would do harm there.
#[test]
fn a_console_at_another_device_s_registers_is_not_tried() {
    let in_memory = [0xfee0_0000, 0xfec0_0000, 0xfed0_0000].map(spcr_in_memory);
    let ports = [0x20, 0x60, 0x70, 0xcf8].map(spcr);
    for console in in_memory.into_iter().chain(ports) {
        let tables = [madt(&four_cpus()), fadt(), hpet(0), console];
        on_four(&tables, &["ACPI: SPCR: "]);
    }
}

/// Kinds of ports that are no 16550, widths that no access has, spaces that are neither memory nor ports.
#[test]
fn a_console_of_another_kind_is_passed_over() {
    let patched = |at: usize, value: u8| {
        let mut body = spcr(0x3f8)[36..].to_vec();
        body[at - 36] = value;
        table(b"SPCR", &body)
    };
    for console in [
        patched(36, 3),
        patched(36, 0xff),
        patched(40, 0x7f),
        patched(41, 0),
        patched(41, 64),
        patched(43, 0),
        patched(43, 9),
        patched(46, 1),
        table(b"SPCR", &[0; 3]),
        table(b"DBG2", &[44, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]),
        table(b"DBG2", &[0xf0, 0xff, 0xff, 0xff, 3, 0, 0, 0]),
    ] {
        on_four(&[madt(&four_cpus()), fadt(), hpet(0), console], &[]);
    }
}

/// The newer list of tables counts; where it cannot be read, the older one.
#[test]
fn the_two_lists_of_tables_may_disagree() {
    for astray in [1 << 32, 0xfee0_0000, u64::MAX, TABLES + 1] {
        let mut made_up = MadeUp::new();
        let pointer = made_up
            .memory
            .root_pointer(&usual_tables(), b"MADEUP", Some(astray));
        let address = made_up.memory.put(&pointer);
        all_is_there(&by_pvh(made_up, address, usual_map(), &ON_FOUR));
    }
    let mut made_up = MadeUp::new();
    let of_two = madt(&four_cpus()[2..]);
    let older = made_up
        .memory
        .root_pointer(&[of_two, fadt()], b"MADEUP", None);
    let mut pointer = made_up
        .memory
        .root_pointer(&usual_tables(), b"MADEUP", None);
    pointer[16..20].copy_from_slice(&older[16..20]);
    seal(&mut pointer[..20], 8);
    seal(&mut pointer, 32);
    let address = made_up.memory.put(&pointer);
    all_is_there(&by_pvh(made_up, address, usual_map(), &ON_FOUR));
}

/// A root pointer whose checksum, length or signature is wrong, or that lies nowhere, costs the tables, and no run.
#[test]
fn a_root_pointer_that_is_none_costs_the_tables() {
    let run = |at: Option<u64>, patch: Option<(usize, u8)>| {
        let (mut made_up, good) = MadeUp::usual();
        let mut pointer = made_up.memory.bytes(good, 36);
        if let Some((at, value)) = patch {
            pointer[at] = value;
        }
        let address = at.unwrap_or_else(|| made_up.memory.put(&pointer));
        by_pvh(made_up, address, usual_map(), &SHORT)
    };
    for patch in [(8, 0x77), (20, 0), (23, 0xff), (0, b'X')] {
        noticed(&run(None, Some(patch)), &["ACPI"]);
    }
    for at in [1 << 33, 0xfee0_0000, u64::MAX] {
        noticed(&run(Some(at), None), &["ACPI"]);
    }
}

/// The boot CPU is there, whatever the table says.
#[test]
fn a_boot_cpu_that_no_entry_lists_is_named() {
    let entries: Vec<_> = (1..4).map(local_apic).collect();
    let mut made_up = MadeUp::new();
    let tables = [madt(&entries), fadt(), hpet(0)];
    let pointer = made_up.memory.root_pointer(&tables, b"MADEUP", None);
    let address = made_up.memory.put(&pointer);
    let words = ["suite=quick", "only=tlb/invlpg", "smp=3", "shootdowns=50"];
    let log = by_pvh(made_up, address, usual_map(), &words);
    noticed(
        &log,
        &[
            "the boot CPU, with APIC id 0, is not in the MADT",
            "smp: 3 CPUs run of 3",
        ],
    );
}
