//! Memory maps that loaders and firmware hand over, wrong in one way each.

use super::*;

/// A run on this map, and what it says of it.
fn on(map: Lines, notices: &[&str]) -> Log {
    let (made_up, address) = MadeUp::usual();
    let log = by_pvh(made_up, address, map, &SHORT);
    noticed(&log, notices);
    log
}

/// As many are free, but for a table more or less.
fn free_but_for_tables(log: &Log, expected: u64) {
    let free = free_frames(log);
    assert!(free.abs_diff(expected) <= 4, "{free}, not {expected}");
}

/// What was put there would read as nothing, page tables among it.
#[test]
fn ram_that_is_not_there_is_named_and_left_out() {
    const GIB: u64 = 1 << 30;
    let usual = free_frames(&on(usual_map(), &[]));
    // A range of its own above 4 GiB, one larger than the CPU can address, and one that goes on where the RAM ends.
    for length in [GIB, 1 << 40, u64::MAX] {
        let map = [&usual_map()[..], &[(4 * GIB, length, USABLE)]].concat();
        let log = on(map, &["no RAM answers from 0x100000000 to "]);
        free_but_for_tables(&log, usual);
    }
    let mut map = usual_map();
    map.truncate(5);
    map.push((TABLES + TABLES_BYTES, 2 * GIB, USABLE));
    let log = on(map, &["no RAM answers from 0x40000000 to 0x88200000"]);
    let to_the_end = (GIB - RAM_END) / 4096;
    free_but_for_tables(&log, usual + to_the_end);
    // Nobody writes to what ACPI has.
    let map = [&usual_map()[..], &[(GIB, 1 << 20, ACPI)]].concat();
    free_but_for_tables(&on(map, &[]), usual);
}

#[test]
fn a_map_without_any_ram_that_answers_is_an_error() {
    let (made_up, root_pointer) = MadeUp::usual();
    let handover = Handover::Pvh {
        version: 1,
        root_pointer,
        map: vec![(1 << 30, 1 << 30, USABLE)],
    };
    let (boot, _folder) = boot(made_up, &SHORT, handover);
    let (outcome, finished) = run(&boot);
    assert_eq!(
        outcome.exit_status(),
        2,
        "{}",
        explained(&outcome, &finished)
    );
    let log = outcome.log().unwrap();
    noticed(log, &["no RAM answers from 0x40000000 to 0x80000000"]);
    assert!(
        log.errors[0].contains("too little memory"),
        "{:?}",
        log.errors
    );
}

#[test]
fn lines_that_contradict_each_other_cost_what_they_concern() {
    let usual = free_frames(&on(usual_map(), &[]));
    let with = |more: &[(u64, u64, u32)]| [&usual_map()[..], more].concat();
    let mut backwards = usual_map();
    backwards.reverse();
    let log = on(backwards, &["is out of order; sorted"]);
    free_but_for_tables(&log, usual);
    let empty = [
        (0, 0, USABLE),
        (0x100_0000, 0, RESERVED),
        (u64::MAX, 0, USABLE),
    ];
    let log = on(with(&empty), &["is empty; dropped"]);
    free_but_for_tables(&log, usual);
    let wraps = [
        (u64::MAX - 0xffff, 0x2_0000, RESERVED),
        (1 << 32, u64::MAX, 12),
    ];
    let log = on(
        with(&wraps),
        &["wraps; cut at the end of the address space"],
    );
    free_but_for_tables(&log, usual);
    // 1,024 frames reserved in the middle of RAM, half of one at each end; and kinds that nobody knows.
    let overlap = [
        (0x1000_0800, 0x3f_f000, RESERVED),
        (0x1000_1000, 0x1000, 0xffff_ffff),
        (0x1000_2000, 0x1000, 0),
    ];
    let log = on(with(&overlap), &["overlap; the stronger kind holds"]);
    free_but_for_tables(&log, usual - 1024);
}

/// As some BIOSes do: graphics memory even keeps what is written to it.
#[test]
fn memory_of_adapters_is_no_ram() {
    let usual = free_frames(&on(usual_map(), &[]));
    let map: Lines = [&usual_map()[..], &[(0xa_0000, 0x5_0000, USABLE)]].concat();
    let log = on(
        map,
        &["a usable line claims 0xa0000 to 0xf0000, which adapters"],
    );
    free_but_for_tables(&log, usual);
}

/// Other CPUs start below 1 MiB; one alone needs nothing there.
#[test]
fn a_map_without_low_ram_runs_on_one_cpu() {
    let map: Lines = usual_map().split_off(3);
    on(map, &[]);
}

#[test]
fn lines_of_another_size_are_read() {
    let map = usual_map();
    let usual = free_frames(&on(usual_map(), &[]));
    for (is, stated) in [(20, 20), (28, 28), (24, 20), (24, 0)] {
        let (made_up, pointer) = MadeUp::usual();
        let mut content = [stated, 0u32].map(u32::to_le_bytes).concat();
        for &(base, length, kind) in &map {
            let start = content.len();
            content.extend([base, length].map(u64::to_le_bytes).concat());
            content.extend(kind.to_le_bytes());
            content.resize(start + is, 0xa5);
        }
        let tags = [
            tag(6, &content),
            tag(15, &made_up.memory.bytes(pointer, 36)),
        ];
        let log = by_multiboot2(made_up, tags.concat(), 0, &SHORT);
        free_but_for_tables(&log, usual);
        if is != stated as usize {
            noticed(
                &log,
                &[&format!("has no lines of {stated}; read as lines of {is}")],
            );
        }
    }
}
