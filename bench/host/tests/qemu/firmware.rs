//! Made-up firmware, as real machines have it and QEMU does not: what is wrong costs what it concerns, and is a notice.

pub mod made_up;
mod maps;
mod screens;
mod state;
mod tables;

use std::path::PathBuf;

use pagemark_host::log::Log;
use pagemark_host::run::{Boot, Door};
use tempfile::TempDir;

use self::made_up::*;
use super::{explained, image, passed, pvh, run};

/// One case, for runs that are about what comes before it; and the same with four CPUs.
const SHORT: [&str; 2] = ["suite=quick", "only=tlb/invlpg"];
const ON_FOUR: [&str; 4] = ["suite=quick", "only=tlb/invlpg", "smp=4", "shootdowns=50"];

/// A boot of the image in this state, on four CPUs.
fn boot(made_up: MadeUp, command_line: &[&str], handover: Handover) -> (Boot, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file: PathBuf = folder.path().join("made-up.elf");
    made_up.write(&image(), command_line, handover, &file);
    let boot = Boot {
        cpus: 4,
        cpu_model: Some("max".to_owned()),
        door: Door::Pvh {
            image: file,
            command_line: vec![],
        },
        ..pvh(&[])
    };
    (boot, folder)
}

/// Boots through the PVH door, and insists that it passes.
fn by_pvh(made_up: MadeUp, root_pointer: u64, map: Lines, command_line: &[&str]) -> Log {
    let handover = Handover::Pvh {
        version: 1,
        root_pointer,
        map,
    };
    let (boot, _folder) = boot(made_up, command_line, handover);
    passed(&boot)
}

/// Boots through the multiboot2 door, and insists that it passes.
fn by_multiboot2(made_up: MadeUp, tags: Vec<u8>, slack: usize, command_line: &[&str]) -> Log {
    let (boot, _folder) = boot(made_up, command_line, Handover::Multiboot2 { tags, slack });
    passed(&boot)
}

/// Each of the texts is part of a notice.
fn noticed(log: &Log, texts: &[&str]) {
    for text in texts {
        let there = log.notices.iter().any(|notice| notice.contains(text));
        assert!(there, "`{text}` in {:#?}", log.notices);
    }
}

/// Four CPUs run, and a timer that only ACPI leads to was found.
fn all_is_there(log: &Log) {
    noticed(log, &["smp: 4 CPUs run"]);
    assert_eq!(log.machine.as_ref().unwrap().cpus, 4);
    let environment = format!("{:?}", log.environment);
    assert!(environment.contains("pm_timer"), "{environment}");
}

fn free_frames(log: &Log) -> u64 {
    log.zones.iter().map(|zone| zone.free_frames).sum()
}

/// The frames of a map without overlaps that are usable.
fn usable_frames(map: &Lines) -> u64 {
    let usable = map.iter().filter(|line| line.2 == USABLE);
    let frames = usable.map(|&(base, length, _)| (base + length) / 4096 - base.div_ceil(4096));
    frames.sum()
}

#[test]
fn what_is_wrong_with_tables_costs_what_it_concerns() {
    let mut made_up = MadeUp::new();
    let twice = (0..4).map(local_x2apic);
    let broken = vec![0x7f, 0, 0, 0, 0, 0, 0, 0];
    let entries: Vec<_> = four_cpus()
        .into_iter()
        .chain(twice)
        .chain([broken])
        .collect();
    let mut spoilt = hpet(0);
    spoilt[9] ^= 0x55;
    let tables = [madt(&entries), fadt(), hpet(1), spoilt, spcr(0)];
    let pointer = made_up.memory.root_pointer(&tables, &[0xff; 6], Some(0));
    let address = made_up.memory.put(&pointer);
    let log = by_pvh(made_up, address, usual_map(), &ON_FOUR);
    all_is_there(&log);
    noticed(
        &log,
        &[
            "XSDT address 0",
            "entries that list a CPU again: 4",
            "entry of type 0x7f",
            "the HPET is at I/O port 0xfed00000",
            "checksum off by",
        ],
    );
}

#[test]
fn what_is_wrong_with_tags_costs_what_it_concerns() {
    let mut made_up = MadeUp::new();
    let pointer = made_up
        .memory
        .root_pointer(&usual_tables(), b"MADEUP", None);
    // Of red, green and blue, without the last byte of these.
    let mut screen = [0u8; 29];
    screen[21] = 1;
    let module = [0x20_0123u32, 0x20_0000].map(u32::to_le_bytes).concat();
    let tags = [
        tag(2, b"made\xffup\0"),
        map_tag(&usual_map()),
        tag(8, &screen),
        tag(3, &module),
        tag(15, &[pointer, vec![0; 4]].concat()),
    ];
    let log = by_multiboot2(made_up, tags.concat(), 0, &ON_FOUR);
    all_is_there(&log);
    assert_eq!(log.machine.as_ref().unwrap().loader, "multiboot2: madeup");
    noticed(
        &log,
        &[
            "the loader's name is not UTF-8",
            "a module from 0x200123 to 0x200000",
            "its tag has only 37 bytes",
        ],
    );
}

/// kexec-tools 2.0.25 hands over no root pointer, more bytes than tags, and the file's name in front of the command line.
#[test]
fn kexec_leaves_the_root_pointer_to_be_found_or_named() {
    const EXTENDED_DATA: u64 = 0x9_d000;
    let handed_over = |name_it: bool| {
        let (mut made_up, address) = MadeUp::usual();
        let mut command_line = vec!["/boot/pm.elf"];
        command_line.extend(ON_FOUR);
        let option = format!("rsdp={address:#x}");
        if name_it {
            command_line.push(&option);
        } else {
            // movw $0x9d00, 0x40e; movl address, %esi; movl $0x9d000, %edi; movl $36, %ecx; rep movsb
            made_up.preamble = vec![0x66, 0xc7, 0x05, 0x0e, 0x04, 0, 0, 0, 0x9d];
            for (instruction, value) in [(0xbe, address), (0xbf, EXTENDED_DATA), (0xb9, 36)] {
                made_up.preamble.push(instruction);
                made_up.preamble.extend((value as u32).to_le_bytes());
            }
            made_up.preamble.extend([0xf3, 0xa4]);
        }
        let log = by_multiboot2(made_up, map_tag(&usual_map()), 40, &command_line);
        all_is_there(&log);
        noticed(&log, &["`/boot/pm.elf` is no option"]);
    };
    handed_over(false);
    handed_over(true);
}

#[test]
fn a_map_has_as_many_lines_as_the_loader_gives() {
    // Pieces of 12 KiB with 4 KiB reserved between them, below the last of the usual lines that are usable.
    for number in [312, 3000] {
        let mut map = usual_map();
        let (mut at, length, _) = map.remove(5);
        let end = at + length;
        for piece in 0..number {
            let (bytes, kind) = [(0x3000, USABLE), (0x1000, RESERVED)][piece % 2];
            map.push((at, bytes, kind));
            at += bytes;
        }
        map.push((at, end - at, USABLE));
        let (made_up, address) = MadeUp::usual();
        let usable = usable_frames(&map);
        let log = by_pvh(made_up, address, map, &SHORT);
        let free = free_frames(&log);
        assert!(
            (usable - 8192..=usable).contains(&free),
            "{free} of {usable}"
        );
        let given_up = log
            .notices
            .iter()
            .any(|notice| notice.contains("511 ranges"));
        assert_eq!(given_up, number == 3000, "{:#?}", log.notices);
    }
}

#[test]
fn five_levels_left_on_are_no_hindrance() {
    let (mut made_up, address) = MadeUp::usual();
    // movl %cr4, %eax; orl $0x1000, %eax; movl %eax, %cr4
    made_up.preamble = vec![0x0f, 0x20, 0xe0, 0x0d, 0, 0x10, 0, 0, 0x0f, 0x22, 0xe0];
    all_is_there(&by_pvh(made_up, address, usual_map(), &ON_FOUR));
}

/// Of the lines alone the frames 9DH and 9EH are usable.
#[test]
fn the_extended_bios_data_area_is_kept() {
    let free = |preamble: &[u8]| {
        let (mut made_up, address) = MadeUp::usual();
        made_up.preamble = preamble.to_vec();
        free_frames(&by_pvh(made_up, address, usual_map(), &SHORT))
    };
    // movw $0x9d00, 0x40e
    let with = free(&[0x66, 0xc7, 0x05, 0x0e, 0x04, 0, 0, 0, 0x9d]);
    assert_eq!(free(&[]) - with, 2);
}

#[test]
fn io_apics_that_there_is_no_room_for_are_not_called_masked() {
    let masked = |number: u32| {
        let mut made_up = MadeUp::new();
        // All but the first are addresses at which nothing answers.
        let entries = (0..number).map(|number| io_apic(0xfec0_0000 + (number << 12)));
        let entries: Vec<_> = [local_apic(0)].into_iter().chain(entries).collect();
        let pointer = made_up
            .memory
            .root_pointer(&[madt(&entries), fadt()], b"MADEUP", None);
        let address = made_up.memory.put(&pointer);
        by_pvh(made_up, address, usual_map(), &SHORT)
    };
    let is_said = |log: &Log| {
        let masked = &log.environment.as_ref().unwrap().masked;
        masked.split(' ').any(|source| source == "io_apic")
    };
    assert!(is_said(&masked(9)));
    let log = masked(67);
    assert!(!is_said(&log));
    noticed(&log, &["3 I/O APICs more than there is room for"]);
}

#[test]
fn a_start_info_without_a_map_is_refused() {
    let (made_up, root_pointer) = MadeUp::usual();
    let handover = Handover::Pvh {
        version: 0,
        root_pointer,
        map: usual_map(),
    };
    let (boot, _folder) = boot(made_up, &SHORT, handover);
    let (outcome, finished) = run(&boot);
    assert_eq!(
        outcome.exit_status(),
        2,
        "{}",
        explained(&outcome, &finished)
    );
    let errors = &outcome.log().unwrap().errors;
    assert!(
        errors[0].contains("memory map: the loader gave none"),
        "{errors:?}"
    );
}

/// The CPU has 40 bits of physical address; entries with higher ones would be page faults.
#[test]
fn addresses_beyond_the_cpu_s_are_complaints() {
    const BEYOND: u64 = 1 << 45;
    let mut made_up = MadeUp::new();
    let tables = [madt(&four_cpus()), fadt(), hpet_at(0, BEYOND)];
    let pointer = made_up.memory.root_pointer(&tables, b"MADEUP", None);
    // Behind it, 1,024 by 768 pixels of 32 bits.
    const SCREEN: u64 = BEYOND + (1 << 24);
    let mut screen = SCREEN.to_le_bytes().to_vec();
    screen.extend([4096u32, 1024, 768].map(u32::to_le_bytes).concat());
    screen.extend([32, 1, 0, 0, 16, 8, 8, 8, 0, 8]);
    let tags = [map_tag(&usual_map()), tag(8, &screen), tag(15, &pointer)];
    let log = by_multiboot2(made_up, tags.concat(), 0, &ON_FOUR);
    all_is_there(&log);
    let of = |source: &str, at: u64| {
        let beyond = format!("at {at:#x}, which end beyond the CPU's physical addresses (40 bits)");
        let of = |notice: &&String| notice.starts_with(source) && notice.contains(&beyond);
        log.notices.iter().filter(of).count()
    };
    assert_eq!(
        (of("timer: hpet: ", BEYOND), of("screen: ", SCREEN)),
        (1, 1),
        "{:#?}",
        log.notices
    );
}

/// What is written to try a port there would be written to what the RAM holds.
#[test]
fn ram_is_no_serial_port() {
    // In the image, in free RAM, in the tables themselves, and where the boot's mapping ends.
    for (address, why) in [
        (0x10_0000, "RAM is there"),
        (0x100_0000, "RAM is there"),
        (TABLES + 0x8_0000, "RAM is there"),
        (1 << 33, "it is above 4 GiB"),
    ] {
        let mut made_up = MadeUp::new();
        let tables = [madt(&four_cpus()), fadt(), spcr_in_memory(address)];
        let pointer = made_up.memory.root_pointer(&tables, b"MADEUP", None);
        let pointer = made_up.memory.put(&pointer);
        let log = by_pvh(made_up, pointer, usual_map(), &ON_FOUR);
        all_is_there(&log);
        noticed(&log, &[&format!("{address:#x}"), why]);
    }
}

#[test]
fn a_serial_port_that_cannot_be_one_is_refused_by_its_address() {
    for (address, why) in [
        ("0x1000000", "RAM is there"),
        ("0x200000000", "above 4 GiB"),
    ] {
        let (made_up, root_pointer) = MadeUp::usual();
        let handover = Handover::Pvh {
            version: 1,
            root_pointer,
            map: usual_map(),
        };
        let word = format!("serial=mmio:{address},32");
        let words = [&SHORT[..], &[&word]].concat();
        let (boot, _folder) = boot(made_up, &words, handover);
        let (outcome, finished) = run(&boot);
        assert_eq!(
            outcome.exit_status(),
            2,
            "{}",
            explained(&outcome, &finished)
        );
        let errors = &outcome.log().unwrap().errors;
        let [error] = &errors[..] else {
            panic!("{errors:?}")
        };
        assert!(error.contains(address) && error.contains(why), "{error}");
    }
}

/// Where RAM is, no device is: its registers would be somebody's frames.
#[test]
fn devices_that_would_lie_in_ram_are_passed_over() {
    const RAM: u64 = 0x2000_0000;
    let entries: Vec<_> = (0..4).map(local_apic).collect();
    let with_io_apic = [&entries[..], &[io_apic(RAM as u32)]].concat();
    let mut made_up = MadeUp::new();
    let tables = [
        madt(&with_io_apic),
        fadt_of_timer_in_memory(RAM),
        hpet_at(0, RAM),
        spcr_in_memory(RAM),
    ];
    let pointer = made_up.memory.root_pointer(&tables, b"MADEUP", None);
    let address = made_up.memory.put(&pointer);
    let log = by_pvh(made_up, address, usual_map(), &ON_FOUR);
    noticed(
        &log,
        &[
            "smp: 4 CPUs run",
            "interrupts: ioremap of 0x20000000, which is RAM",
            "timer: hpet: ioremap of 0x20000000, which is RAM",
            "the PM timer is at memory address 0x20000000; not used",
            "memory-mapped UART at 0x20000000",
        ],
    );
    let (made_up, address) = MadeUp::usual();
    let usual = by_pvh(made_up, address, usual_map(), &ON_FOUR);
    assert_eq!(free_frames(&log), free_frames(&usual));
}

/// Entries that lead nowhere, to no table, to a table a byte off its boundary, and to the list itself.
#[test]
fn an_xsdt_whose_entries_lead_astray_still_leads_to_the_tables() {
    let mut made_up = MadeUp::new();
    let tables = usual_tables();
    let odd = made_up.memory.put(&[&[0u8][..], &tables[0]].concat()) + 1;
    let good: Vec<u64> = tables
        .iter()
        .map(|table| made_up.memory.put(table))
        .collect();
    let astray = [
        0,
        3,
        0x7fff_ffff,
        0xfed0_0000,
        0xffff_ffff_ffff_fff0,
        TABLES,
        odd,
    ];
    let addresses = astray.iter().chain(&good).flat_map(|at| at.to_le_bytes());
    // Its length is no multiple of an entry's.
    let body: Vec<u8> = addresses.chain([1, 2, 3]).collect();
    let pointer = made_up.memory.root_pointer_to(&body);
    let address = made_up.memory.put(&pointer);
    let log = by_pvh(made_up, address, usual_map(), &ON_FOUR);
    all_is_there(&log);
    noticed(
        &log,
        &[
            "at 0xfffffffffffffff0: out of reach",
            "a second one; not read",
        ],
    );
}

/// CPUs that no xAPIC reaches, that are listed and not there, and that have the broadcast id.
#[test]
fn cpus_that_are_not_there_are_reported_and_fail_a_run_that_wants_them() {
    let ids = [255, 300, 0xffff_ffff].map(local_x2apic);
    let ids = ids.into_iter().chain([255, 9].map(local_apic));
    let entries: Vec<_> = (0..4).map(local_apic).chain(ids).collect();
    let mut made_up = MadeUp::new();
    let pointer = made_up
        .memory
        .root_pointer(&[madt(&entries), fadt(), hpet(0)], b"MADEUP", None);
    let root_pointer = made_up.memory.put(&pointer);
    let handover = Handover::Pvh {
        version: 1,
        root_pointer,
        map: usual_map(),
    };
    let words = [SHORT[0], SHORT[1], "smp=9", "shootdowns=20"];
    let (boot, _folder) = boot(made_up, &words, handover);
    let (outcome, finished) = run(&boot);
    assert_eq!(
        outcome.exit_status(),
        1,
        "{}",
        explained(&outcome, &finished)
    );
    noticed(
        outcome.log().unwrap(),
        &[
            "enabled CPUs with the broadcast id: 2",
            "2 CPUs have APIC ids above 254",
            "the CPU with APIC id 9 does not answer",
            "smp: 4 CPUs run of 7 that there are",
        ],
    );
}
