//! Edits of the kernel's page table, in the scratch region, each with the flush that it owes under the policy of the run.
//!
//! As a rule all tables are there, and an edit in one PT finds that it is the one that was edited last. `pt=other`: another one
//! was. `tables=build`: a PT and all above it have to be built first, out of the cache of tables; unmapping gives them back, under
//! the same flush, and what lies between is the first edit since they were built.
//!
//! One page with its PT at hand (`pages=1` and nothing more) is edited 64 and 128 times in a row, each time the next page ([`mod@one`]).
//!
//! `frames=scattered`: frames out of a slice, of which none continues the one before. Without it they are contiguous; more than
//! 1,024 are so in blocks of that many. `size=`: large leaves, where 4 KiB is meant otherwise.

mod gib;
mod look;
mod one;
mod operations;
mod resize;
mod window;

use core::fmt::{self, Write};

use arrayvec::ArrayString;
use pagemark::machine::Machine;
use pagemark::mm::address::{PAGE_SIZE, PageSize, Pfn};
use pagemark::mm::frame::Gfp;

use crate::harness::case::{Case, Failure};
use crate::harness::run::{Run, Tier};
use gib::{Gib, Operation};
use look::{Harvest, Translate};
use one::{Edit, One, ROW};
use operations::{Map, Protect, Remap, Unmap, UnmapWithTables};
use resize::{Collapse, Split};
use window::{Contiguous, Found, InBlocks, Plan, Scattered, Shape, Window};

/// Bytes of a case's name.
type Name = ArrayString<64>;

fn name(text: fmt::Arguments<'_>) -> Name {
    let mut name = Name::new();
    let _ = name.write_fmt(text);
    name
}

/// Whether `pages` pages fit into the scratch region, and one that stays unmapped behind them.
fn fits(machine: &Machine, pages: u64) -> bool {
    let scratch = machine.layout.scratch;
    (scratch.end.0 - scratch.start.0) / PAGE_SIZE > pages
}

/// Measures a case on a window of its own.
fn measure<'m, S: Shape, C: Case>(
    machine: &'m mut Machine,
    run: &mut Run,
    name: &str,
    plan: Plan,
    case: impl FnOnce(Window<'m, S>) -> C,
    end: impl FnOnce(C) -> Window<'m, S>,
) {
    if !run.would(name) {
        return;
    }
    let room = match plan.found {
        Found::Edited => plan.pages,
        Found::OtherEdited => plan.pages + PageSize::Size2M.frames(),
        // Tables of the scratch region that others use too are always there.
        Found::Built(_) => PageSize::Size1G.frames(),
    };
    if !fits(machine, room) {
        return run.skip(name, "the scratch region is too small");
    }
    let outcome = Window::new(machine, plan).and_then(|window| {
        let mut case = case(window);
        run.measure_hot_and_cold(name, &mut case);
        end(case).end()
    });
    if let Err(failure) = outcome {
        run.check(name, Err(failure));
    }
}

/// Operations that are given frames. `rest` is the name from the parameters on.
fn with_frames<S: Shape>(machine: &mut Machine, run: &mut Run, plan: Plan, rest: &str) {
    let named = |operation| name(format_args!("pt/{operation}/{rest}"));
    let map = |window| Map(window, Ok(()));
    measure::<S, _>(machine, run, &named("map"), plan, map, |case| case.0);
    let remap = |window| Remap(window, Ok(()));
    measure::<S, _>(machine, run, &named("remap"), plan, remap, |case| case.0);
}

/// All four operations.
fn all<S: Shape>(machine: &mut Machine, run: &mut Run, plan: Plan, rest: &str) {
    with_frames::<S>(machine, run, plan, rest);
    let named = |operation| name(format_args!("pt/{operation}/{rest}"));
    let protect = |window| Protect(window, Ok(()));
    measure::<S, _>(machine, run, &named("protect"), plan, protect, |case| {
        case.0
    });
    if let Found::Built(_) = plan.found {
        let unmap = |window| UnmapWithTables {
            window,
            tables: 0,
            outcome: Ok(()),
        };
        measure::<S, _>(machine, run, &named("unmap"), plan, unmap, |case| {
            case.window
        });
    } else {
        let unmap = |window| Unmap(window, Ok(()));
        measure::<S, _>(machine, run, &named("unmap"), plan, unmap, |case| case.0);
    }
}

/// A number of pages where PTs and all tables above them have to be built: the scratch region is a whole entry of the root.
fn build(machine: &Machine, pages: u64) -> Plan {
    let between = machine.kernel.table.levels() as u64 - 2;
    let pts = pages.div_ceil(PageSize::Size2M.frames());
    Plan {
        found: Found::Built(pts + between),
        ..Plan::new(pages, PageSize::Size4K)
    }
}

/// All four operations on such.
fn all_built<S: Shape>(machine: &mut Machine, run: &mut Run, pages: u64, rest: &str) {
    let plan = build(machine, pages);
    all::<S>(machine, run, plan, rest);
}

/// What a case does to the GiB that a frame lies in; `None` if it cannot be done on this machine.
type OnGib = fn(&Machine, Pfn) -> Option<Operation>;

fn gib(machine: &mut Machine, run: &mut Run) {
    const CASES: [(&str, OnGib); 4] = [
        ("pt/map/size=1GiB", |_, _| Some(Operation::Map)),
        ("pt/remap/size=1GiB", |machine, frame| {
            gib::elsewhere(machine, frame).map(Operation::Remap)
        }),
        ("pt/protect/size=1GiB", |_, _| Some(Operation::Protect)),
        ("pt/unmap/size=1GiB", |_, _| Some(Operation::Unmap)),
    ];
    for (name, operation) in CASES {
        if !machine.features.gib_pages {
            run.skip(name, "the CPU has no 1 GiB pages");
        } else if !fits(machine, PageSize::Size1G.frames()) {
            run.skip(name, "the scratch region is too small");
        } else if let Err(failure) = measure_gib(machine, run, name, operation) {
            run.check(name, Err(failure));
        }
    }
}

fn measure_gib(
    machine: &mut Machine,
    run: &mut Run,
    name: &str,
    operation: OnGib,
) -> Result<(), Failure> {
    if !run.would(name) {
        return Ok(());
    }
    const SIZE: PageSize = PageSize::Size1G;
    // An empty window, for the tables that others may have left there.
    Window::<Contiguous>::new(machine, Plan::new(1, SIZE))?.end()?;
    let block = machine.kernel.frames.alloc_page(Gfp::KERNEL)?;
    let Some(operation) = operation(machine, block.pfn()) else {
        run.skip(name, "no other GiB has RAM in the same place");
        machine.kernel.frames.free(block)?;
        return Ok(());
    };
    let mut case = Gib {
        machine,
        block,
        operation,
        map: Ok(()),
        change: Ok(()),
    };
    run.measure_hot_and_cold(name, &mut case);
    let Gib { machine, block, .. } = case;
    machine.kernel.frames.free(block)?;
    // And for its own.
    Window::<Contiguous>::new(machine, Plan::new(1, SIZE))?.end()
}

/// One operation on one page, out of a row.
fn one<E: Edit>(machine: &mut Machine, run: &mut Run, name: &str, edit: E) {
    let row = Plan::new(ROW, PageSize::Size4K);
    let case = |row| One::new(row, edit);
    measure::<Contiguous, _>(machine, run, name, row, case, One::into_row);
}

/// Where another PT was edited last, and over many pages.
fn look(machine: &mut Machine, run: &mut Run) {
    let other = Plan {
        found: Found::OtherEdited,
        ..Plan::new(1, PageSize::Size4K)
    };
    let name = "pt/translate/pt=other";
    measure(machine, run, name, other, Translate::new, |case| {
        case.window
    });
    let harvest = |window| Harvest {
        window,
        dirty: 0,
        outcome: Ok(()),
    };
    let (name, plan) = ("pt/harvest/pages=512", Plan::new(512, PageSize::Size4K));
    measure::<Contiguous, _>(machine, run, name, plan, harvest, |case| case.window);
}

fn resize(machine: &mut Machine, run: &mut Run) {
    let plan = Plan::new(512, PageSize::Size2M);
    let split = |window| Split(window, Ok(()));
    measure(machine, run, "pt/split/size=2MiB", plan, split, |case| {
        case.0
    });
    let collapse = |window| Collapse {
        window,
        old: None,
        outcome: Ok(()),
    };
    let name = "pt/collapse/size=2MiB";
    measure(machine, run, name, plan, collapse, |case| case.window);
}

pub(super) fn run(machine: &mut Machine, run: &mut Run) {
    let small = |pages| Plan::new(pages, PageSize::Size4K);
    let other = Plan {
        found: Found::OtherEdited,
        ..small(1)
    };
    let large = Plan::new(512, PageSize::Size2M);
    one(machine, run, "pt/map/pages=1", one::Map);
    one(machine, run, "pt/remap/pages=1", one::Remap);
    one(machine, run, "pt/protect/pages=1", one::Protect);
    one(machine, run, "pt/unmap/pages=1", one::Unmap);
    #[cfg(target_os = "none")]
    one(
        machine,
        run,
        "tlb/invlpg/translation=present",
        one::DropPresent,
    );
    one(machine, run, "pt/translate", one::Translate::default());
    one(machine, run, "pt/harvest/pages=1", one::Harvest::default());
    all::<Contiguous>(machine, run, other, "pages=1/pt=other");
    all::<Contiguous>(machine, run, small(512), "pages=512");
    with_frames::<Scattered>(machine, run, small(512), "pages=512/frames=scattered");
    all_built::<Contiguous>(machine, run, 1, "pages=1/tables=build");
    all::<Contiguous>(machine, run, large, "size=2MiB");
    look(machine, run);
    resize(machine, run);
    run.in_tier(Tier::Full, |run| {
        all::<Contiguous>(machine, run, small(8), "pages=8");
        all::<Contiguous>(machine, run, small(64), "pages=64");
        all::<InBlocks>(machine, run, small(4096), "pages=4096");
        with_frames::<Scattered>(machine, run, small(8), "pages=8/frames=scattered");
        with_frames::<Scattered>(machine, run, small(64), "pages=64/frames=scattered");
        all_built::<Contiguous>(machine, run, 8, "pages=8/tables=build");
        all_built::<Contiguous>(machine, run, 64, "pages=64/tables=build");
        all_built::<Contiguous>(machine, run, 512, "pages=512/tables=build");
        all_built::<InBlocks>(machine, run, 4096, "pages=4096/tables=build");
        let scattered = build(machine, 512);
        let rest = "pages=512/frames=scattered/tables=build";
        with_frames::<Scattered>(machine, run, scattered, rest);
        gib(machine, run);
    });
}
