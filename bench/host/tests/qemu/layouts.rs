//! Where the regions lie, and that the whole suite passes there: the book's machine with little RAM and with much.

use super::{explained, passed, pvh, run};
use pagemark_host::log::Log;
use pagemark_host::run::Boot;

fn regions(log: &Log) -> Vec<(&str, u64, u64)> {
    let regions = log.regions.iter();
    regions
        .map(|region| (region.name.as_str(), region.start.0, region.end.0))
        .collect()
}

fn zones(log: &Log) -> Vec<&str> {
    log.zones.iter().map(|zone| zone.name.as_str()).collect()
}

/// The whole suite in the classic layout with so much RAM, whose vmalloc region has to start at `vmalloc_start`, as it does on
/// i386.
fn classic(memory: &str, vmalloc_start: u64, expected_zones: &[&str]) -> Log {
    let log = passed(&Boot {
        memory: memory.to_owned(),
        ..pvh(&["suite=quick", "layout=classic"])
    });
    let high = |low: u64| 0xffff_ffff_0000_0000 + low;
    let found = regions(&log);
    let high_memory = found[0].2;
    assert!(high_memory <= high(0xf800_0000), "{high_memory:#x}");
    assert_eq!(
        found,
        [
            ("direct_map", high(0xc000_0000), high_memory),
            ("hole", high_memory, high(vmalloc_start)),
            ("vmalloc", high(vmalloc_start), high(0xfdff_e000)),
            ("kmap", high(0xfe00_0000), high(0xfe20_0000)),
            ("scratch", high(0xfe40_0000), high(0xff80_0000)),
            ("fixmap", high(0xfffb_e000), high(0xffff_f000)),
        ]
    );
    assert_eq!(zones(&log), expected_zones);
    assert_eq!(log.machine.as_ref().unwrap().layout, "classic");
    log
}

#[test]
fn classic_with_32_mib() {
    let log = classic("32M", 0xc280_0000, &["DMA", "NORMAL"]);
    // What does not fit says so.
    let skip = log
        .skips
        .iter()
        .find(|skip| skip.case.starts_with("buddy/"));
    assert!(skip.unwrap().reason.contains("too little memory"));
}

#[test]
fn classic_with_512_mib() {
    classic("512M", 0xe080_0000, &["DMA", "NORMAL"]);
}

#[test]
fn classic_with_896_mib() {
    classic("896M", 0xf880_0000, &["DMA", "NORMAL"]);
}

#[test]
fn classic_with_6_gib_has_high_memory() {
    let log = classic("6G", 0xf880_0000, &["DMA", "NORMAL", "HIGHMEM"]);
    let high = log.zones.last().unwrap();
    assert_eq!(high.start.0, 896 << 20);
    // 5 GiB and more, less what QEMU keeps.
    assert!(high.free_frames > 5 << 18, "{} frames", high.free_frames);
    let checks: Vec<_> = log.checks.iter().map(|check| check.name.as_str()).collect();
    for check in ["frames/ordinary_in_direct_map", "kmap/vmalloc_agrees"] {
        assert!(checks.contains(&check), "{check} in {checks:?}");
    }
    for case in ["kmap/map/frame=new", "kmap/map/turn=over", "kmap/unmap"] {
        let found = log.results.iter().any(|result| result.case == case);
        assert!(found, "{case}");
    }
}

#[test]
fn wide_has_every_region() {
    let log = passed(&pvh(&["suite=quick", "only=control/*"]));
    let found = regions(&log);
    let names: Vec<_> = found.iter().map(|region| region.0).collect();
    assert_eq!(
        names,
        [
            "direct_map",
            "hole",
            "vmalloc",
            "scratch",
            "image",
            "fixmap"
        ]
    );
    assert!(found.is_sorted_by(|below, above| below.2 <= above.1));
    assert_eq!(zones(&log), ["DMA", "DMA32"]);
}

#[test]
fn wide5_has_the_same_regions_in_57_bits() {
    let log = passed(&pvh(&["suite=quick", "layout=wide5"]));
    assert_eq!(log.machine.as_ref().unwrap().layout, "wide5");
    let found = regions(&log);
    let high_memory = found[0].2;
    let slot = 1 << 48;
    assert_eq!(
        found,
        [
            ("direct_map", 0xff11_0000_0000_0000, high_memory),
            ("hole", high_memory, 0xff11_0000_0000_0000 + 2 * slot),
            (
                "vmalloc",
                0xff11_0000_0000_0000 + 2 * slot,
                0xffd1_ffff_ffff_e000
            ),
            ("scratch", 0xffd4_0000_0000_0000, 0xffd5_0000_0000_0000),
            ("image", 0xffff_ffff_c000_0000, 0xffff_ffff_fffb_e000),
            ("fixmap", 0xffff_ffff_fffb_e000, 0xffff_ffff_ffff_f000),
        ]
    );
}

#[test]
fn wide5_is_refused_on_a_cpu_without_la57() {
    let (outcome, finished) = run(&Boot {
        cpu_model: Some("qemu64".to_owned()),
        ..pvh(&["suite=quick", "layout=wide5"])
    });
    assert_eq!(
        outcome.exit_status(),
        2,
        "{}",
        explained(&outcome, &finished)
    );
    let errors = &outcome.log().unwrap().errors;
    assert!(errors[0].contains("LA57"), "{errors:?}");
}

#[test]
fn other_cpus_walk_the_same_tables_in_every_layout() {
    for (layout, memory) in [("wide5", "1G"), ("classic", "32M"), ("classic", "6G")] {
        let log = passed(&Boot {
            cpus: 3,
            memory: memory.to_owned(),
            ..pvh(&[
                "suite=quick",
                "smp=3",
                "only=control/*",
                &format!("layout={layout}"),
            ])
        });
        let running = |notice: &String| notice.starts_with("smp: 3 CPUs run of 3");
        assert!(log.notices.iter().any(running), "{:?}", log.notices);
    }
}
