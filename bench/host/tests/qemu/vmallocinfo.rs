//! The areas of the vmalloc region, as the log lists them: where each is, what for, and how it is mapped.

use super::{SHORT, explained, passed, pvh, run};
use pagemark_host::log::Log;
use pagemark_host::run::Boot;
use pagemark_record::{Access, Area, AreaKind, Hex, MAX_AREAS, MemoryType, Moment, Vmallocinfo};

const PAGE: u64 = 4096;
/// Pages of the stacks that a started CPU gets: the main one, and those of NMI, #DF and #MC.
const STACKS: [u64; 4] = [16, 4, 4, 4];

fn info(log: &Log, moment: Moment) -> &Vmallocinfo {
    let mut infos = log.vmallocinfo.iter().filter(|info| info.moment == moment);
    let info = infos.next().unwrap();
    assert_eq!(infos.next(), None);
    info
}

/// Where the log says that the region starts.
fn vmalloc_start(log: &Log) -> u64 {
    let mut regions = log.regions.iter();
    let vmalloc = regions.find(|region| region.name == "vmalloc");
    vmalloc.unwrap().start.0
}

/// `pages` pages from page `first` of the region on, for reading and writing, with a guard page behind them.
fn data(log: &Log, first: u64, pages: u64) -> Area {
    let start = vmalloc_start(log) + first * PAGE;
    Area {
        start: Hex(start),
        end: Hex(start + (pages + 1) * PAGE),
        pages,
        kind: AreaKind::Vmalloc,
        access: Access::ReadWrite,
        memory_type: MemoryType::WriteBack,
        huge: false,
        physical: None,
    }
}

/// The stacks of this number of CPUs, side by side from the start of the region, and the page behind them.
fn stacks(log: &Log, cpus: usize) -> (Vec<Area>, u64) {
    let mut next = 0;
    let areas = [STACKS; 64][..cpus].as_flattened().iter().map(|&pages| {
        let area = data(log, next, pages);
        next += pages + 1;
        area
    });
    (areas.collect(), next)
}

#[test]
fn one_of_each_kind_is_listed_as_it_was_made() {
    for layout in ["wide", "classic", "wide5"] {
        let log = passed(&pvh(&[SHORT[0], SHORT[1], &format!("layout={layout}")]));
        for moment in [Moment::Start, Moment::End] {
            assert_eq!((info(&log, moment).live, info(&log, moment).more()), (0, 0));
        }
        let found = info(&log, Moment::Check);
        let free = found.areas[0].start.0 - vmalloc_start(&log);
        let first = free / PAGE;
        let three = data(&log, first, 3);
        let code = Area {
            end: Hex(three.end.0 + PAGE),
            access: Access::ReadExecute,
            ..data(&log, first + 4, 1)
        };
        let shared = Area {
            kind: AreaKind::Vmap,
            access: Access::Read,
            ..data(&log, first + 5, 2)
        };
        let device = Area {
            kind: AreaKind::Ioremap,
            memory_type: MemoryType::Uncacheable,
            physical: Some(Hex(0xfee0_0000)),
            ..data(&log, first + 8, 2)
        };
        let large = Area {
            huge: true,
            ..data(&log, 512, 512)
        };
        assert_eq!(found.areas[..], [three, code, shared, device, large]);
        assert_eq!(found.live, 5);
    }
}

#[test]
fn the_stacks_of_other_cpus_are_there_to_stay() {
    let log = passed(&Boot {
        cpus: 4,
        ..pvh(&[SHORT[0], SHORT[1], "smp=4"])
    });
    let (expected, _) = stacks(&log, 3);
    for moment in [Moment::Start, Moment::End] {
        let found = info(&log, moment);
        assert_eq!(found.areas[..], expected[..]);
        assert_eq!(found.live, 12);
    }
}

#[test]
fn a_long_list_is_cut_and_says_so() {
    let (outcome, finished) = run(&Boot {
        cpus: 8,
        ..pvh(&[SHORT[0], SHORT[1], "smp=8"])
    });
    let log = outcome.log().unwrap();
    let found = info(log, Moment::End);
    let (expected, _) = stacks(log, 7);
    assert_eq!(found.areas[..], expected[..MAX_AREAS]);
    assert_eq!((found.live, found.more()), (28, 12));
    assert_eq!(
        outcome.exit_status(),
        0,
        "{}",
        explained(&outcome, &finished)
    );
}

/// 32 MiB times the bits of the number of CPUs that run, as Linux has it; or what the command line says.
#[test]
fn freed_addresses_wait_for_each_other_up_to_linux_s_limit() {
    let limit = |cpus: u32, words: &[&str]| {
        let log = passed(&Boot {
            cpus,
            ..pvh(&[&SHORT, words].concat())
        });
        let limits: Vec<_> = log
            .vmallocinfo
            .iter()
            .map(|info| info.lazy_max_pages)
            .collect();
        assert!(limits.len() == 3 && limits.iter().all(|&limit| limit == limits[0]));
        (limits[0] * PAGE) >> 20
    };
    assert_eq!(limit(1, &[]), 32);
    assert_eq!(limit(4, &["smp=1"]), 32);
    assert_eq!(limit(2, &["smp=2"]), 64);
    assert_eq!(limit(4, &["smp=3"]), 64);
    assert_eq!(limit(4, &["smp=4"]), 96);
    assert_eq!(limit(8, &["smp=8"]), 128);
    assert_eq!(limit(4, &["smp=4", "lazy_max_pages=256"]), 1);
}
