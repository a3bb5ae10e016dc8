//! The image comes up through every door, on machines small and large, old and new, and does the same every time.

use super::{SHORT, explained, image, passed, pvh, run};
use object::{Object, ObjectSegment, ObjectSymbol};
use pagemark_host::image::{MenuEntry, firmware, pack};
use pagemark_host::log::Log;
use pagemark_host::run::{Accelerator, Boot, Door, MachineType, Outcome};
use pagemark_record::{Clock, Unit};
use std::time::Duration;
use tempfile::TempDir;

const MIB: u64 = 1 << 20;

/// A boot through GRUB, and the folder that its ISO lives in.
pub(super) fn grub(command_line: &[&str], uefi: bool) -> (Boot, TempDir) {
    grub_from(MenuEntry::Screen, command_line, uefi)
}

/// The same by an entry of GRUB's menu.
pub(super) fn grub_from(entry: MenuEntry, command_line: &[&str], uefi: bool) -> (Boot, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let iso = folder.path().join("pagemark.iso");
    let words: Vec<_> = command_line.iter().map(|&word| word.to_owned()).collect();
    pack(&image(), &words, entry, &iso).unwrap();
    let firmware = uefi.then(|| firmware().unwrap());
    // UEFI firmware under icount takes most of a minute.
    let accelerator = if uefi {
        Accelerator::Tcg
    } else {
        Accelerator::Icount
    };
    (
        Boot {
            accelerator,
            door: Door::Grub { iso, firmware },
            ..pvh(&[])
        },
        folder,
    )
}

#[test]
fn by_pvh() {
    let log = passed(&pvh(&SHORT));
    let machine = log.machine.unwrap();
    assert_eq!(
        (machine.loader.as_str(), machine.clock),
        ("pvh", Clock::Icount)
    );
    assert_eq!(log.start.command_line, SHORT.join(" "));
    assert!(!log.results.is_empty() && !log.checks.is_empty() && log.frames.is_some());
}

#[test]
fn by_grub_on_bios() {
    let (boot, _folder) = grub(&SHORT, false);
    let log = passed(&boot);
    let loader = log.machine.unwrap().loader;
    assert!(loader.starts_with("multiboot2: GRUB"), "{loader}");
    assert!(
        log.start.command_line.ends_with(&SHORT.join(" ")),
        "{}",
        log.start.command_line
    );
}

#[test]
fn by_grub_on_uefi() {
    let (boot, _folder) = grub(&SHORT, true);
    let log = passed(&boot);
    let machine = log.machine.unwrap();
    // Plain TCG's time is the host's: its figures must not pass for a CPU's.
    assert!(
        machine.loader.starts_with("multiboot2: GRUB"),
        "{}",
        machine.loader
    );
    assert_eq!(machine.clock, Clock::Emulated);
}

#[test]
fn the_whole_suite_twice_gives_the_same_results_to_the_byte() {
    let results = || {
        let (outcome, finished) = run(&pvh(&["suite=quick"]));
        assert!(
            matches!(outcome, Outcome::Pass(_)),
            "{}",
            explained(&outcome, &finished)
        );
        let text = String::from_utf8(finished.raw).unwrap();
        let wanted =
            |line: &&str| line.contains("\"record\":\"result\"") || line.starts_with("Benchmark");
        text.lines()
            .filter(wanted)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let (first, second) = (results(), results());
    assert!(first.len() > 20, "{first:?}");
    assert_eq!(first, second);
}

/// TCG's CPU with as many address bits as a large machine has.
fn many_address_bits() -> Option<String> {
    Some("max,phys-bits=46".to_owned())
}

/// The names of checks that passed.
fn checked(log: &Log) -> Vec<&str> {
    let passed = log.checks.iter().filter(|check| check.pass);
    passed.map(|check| check.name.as_str()).collect()
}

#[test]
fn memory_of_every_size_is_found_and_comes_back() {
    for (memory, bytes) in [
        ("64M", 64 * MIB),
        ("1G", 1024 * MIB),
        ("6G", 6144 * MIB),
        ("1T", 1 << 40),
    ] {
        let log = passed(&Boot {
            memory: memory.to_owned(),
            cpu_model: many_address_bits(),
            ..pvh(&["suite=quick"])
        });
        let checks = checked(&log);
        assert!(checks.contains(&"frames/dma_below_16_mib"), "{checks:?}");
        assert!(checks.contains(&"frames/dma32_below_4_gib"), "{checks:?}");
        // All of RAM in random order takes minutes with a tebibyte, and a notice says how to do it.
        assert_eq!(
            checks.contains(&"frames/all_at_order_0"),
            memory != "1T",
            "{checks:?}"
        );
        let found = log.machine.unwrap().ram_bytes;
        assert!(
            found <= bytes && found > bytes - 2 * MIB,
            "{memory}: {found} bytes"
        );
        let free: u64 = log.zones.iter().map(|zone| zone.free_frames * 4096).sum();
        assert!(
            free <= found && free > found / 2,
            "{memory}: {free} of {found} bytes are free"
        );
    }
}

/// As much as QEMU takes: a machine without SMBIOS tables, which have no room for more than some 20 TiB, and every page of the host
/// given when it is touched.
#[test]
fn tens_of_tebibytes_are_found_and_come_back() {
    const TIB: u64 = 1 << 40;
    let boot = |machine: MachineType, tebibytes: u64, words: &[&str]| Boot {
        memory: format!("{tebibytes}T"),
        machine,
        cpu_model: Some("max,phys-bits=52".to_owned()),
        ..pvh(&[&SHORT, words].concat())
    };
    for (machine, tebibytes, words) in [
        (MachineType::Q35, 16, &[][..]),
        (MachineType::Microvm, 63, &[]),
        (MachineType::Microvm, 64, &["layout=wide5"]),
    ] {
        let log = passed(&boot(machine, tebibytes, words));
        let free: u64 = log.zones.iter().map(|zone| zone.free_frames * 4096).sum();
        // What is known of a frame takes eight bytes.
        let least = tebibytes * (TIB - 3 * TIB / 1024);
        assert!(
            (least..tebibytes * TIB).contains(&free),
            "{tebibytes} TiB: {free} bytes are free"
        );
    }
    let (outcome, finished) = run(&boot(MachineType::Microvm, 64, &[]));
    let errors = outcome.log().map(|log| log.errors.clone());
    let named = errors
        .iter()
        .flatten()
        .any(|error| error.contains("layout=wide5"));
    assert!(named, "{}", explained(&outcome, &finished));
}

#[test]
#[ignore = "takes ten minutes"]
fn a_tebibyte_frame_by_frame() {
    let log = passed(&Boot {
        memory: "1T".to_owned(),
        cpu_model: many_address_bits(),
        timeout: Duration::from_secs(3600),
        ..pvh(&["suite=full", "only=control/*"])
    });
    assert!(checked(&log).contains(&"frames/all_at_order_0"));
}

#[test]
fn starting_up_costs_the_same_with_a_tebibyte() {
    let ticks = |memory: &str| {
        let log = passed(&Boot {
            memory: memory.to_owned(),
            cpu_model: many_address_bits(),
            ..pvh(&SHORT)
        });
        log.boot.unwrap().ticks
    };
    // The direct map needs an entry for each GiB, and nothing else grows.
    let more = ticks("1T") - ticks("6G");
    assert!(more < 1024 * 70, "{more} instructions more");
}

#[test]
fn a_leaf_of_a_gib_is_remapped_where_another_gib_has_ram() {
    let boot = |words: &[&str]| {
        let only = ["suite=full", "only=pt/*/size=1GiB", "rounds=3"];
        passed(&Boot {
            memory: "6G".to_owned(),
            ..pvh(&[&only, words].concat())
        })
    };
    assert_eq!(boot(&[]).results.len(), 4);
    let log = boot(&["mutate=operation"]);
    assert!(checked(&log).contains(&"pt/remap/size=1GiB"));
}

#[test]
fn a_cpu_without_pcid_and_large_pages_is_enough() {
    let log = passed(&Boot {
        cpu_model: Some("qemu64".to_owned()),
        ..pvh(&["suite=quick"])
    });
    let skipped = log.skips.iter().find(|skip| skip.case.contains("invpcid"));
    assert!(
        skipped.is_some_and(|skip| skip.reason.to_lowercase().contains("invpcid")),
        "{:?}",
        log.skips
    );
    let machine = log.machine.unwrap();
    assert!(
        !machine
            .features
            .split(' ')
            .any(|feature| feature == "pdpe1gb"),
        "{}",
        machine.features
    );
}

#[test]
fn every_feature_of_the_emulator_is_no_hindrance() {
    let log = passed(&Boot {
        cpu_model: Some("max".to_owned()),
        ..pvh(&["suite=quick"])
    });
    assert!(
        log.machine
            .unwrap()
            .features
            .split(' ')
            .any(|feature| feature == "pdpe1gb")
    );
}

#[test]
fn more_cpus_are_no_hindrance() {
    passed(&Boot {
        cpus: 4,
        ..pvh(&SHORT)
    });
}

#[test]
fn a_glob_picks_the_cases() {
    let log = passed(&pvh(&SHORT));
    assert!(
        log.results
            .iter()
            .all(|result| result.case.starts_with("control/")),
        "{:?}",
        log.results
    );
}

#[test]
fn the_full_suite_has_cases_that_the_quick_one_has_not() {
    let cases = |suite: &str| {
        let log = passed(&pvh(&[suite, "only=control/*", "rounds=3"]));
        let figures = log.results.into_iter();
        figures.map(|result| (result.case, result.median)).collect()
    };
    let quick: Vec<_> = cases("suite=quick");
    let full: Vec<_> = cases("suite=full");
    assert!(quick.iter().all(|figure| full.contains(figure)), "{full:?}");
    let case = ("control/nops=10".to_owned(), 10.into());
    assert!(full.contains(&case) && !quick.contains(&case), "{full:?}");
}

/// No figure of the gate counts the start, so nothing else notices that it takes longer.
#[test]
fn from_entry_to_the_first_sample_in_450_000_instructions() {
    let boot = passed(&pvh(&SHORT)).boot.expect("a boot record");
    assert_eq!(boot.unit, Unit::Insns);
    assert!(
        (1..=450_000).contains(&boot.ticks),
        "{} instructions",
        boot.ticks
    );
}

/// What a loader reads is small: all but the cases, whose number grows with what is measured, and the names of functions,
/// which are for the host.
#[test]
fn the_image_is_small_and_has_its_place_in_memory() {
    let bytes = std::fs::read(image()).unwrap();
    let elf = object::File::parse(&*bytes).unwrap();
    assert_eq!(elf.kind(), object::ObjectKind::Executable);
    let loaded: u64 = elf.segments().map(|segment| segment.file_range().1).sum();
    let is_of_cases = |name: &str| {
        let name = format!("{:#}", rustc_demangle::demangle(name));
        name.contains("pagemark_image::cases::") || name.ends_with("harness::sample::operation")
    };
    let cases: u64 = elf
        .symbols()
        .filter(|symbol| symbol.name().is_ok_and(is_of_cases))
        .map(|symbol| symbol.size())
        .sum();
    let own = loaded - cases;
    assert!(
        (1..=800 * 1024).contains(&own),
        "{own} bytes, and {cases} of cases"
    );
}
