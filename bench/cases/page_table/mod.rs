//! Edits of the kernel's page table, in the scratch region, each with the flush that it owes under the policy of the run.
//!
//! `tables=build`: a PT and all above it have to be built first, out of the cache of tables. Without it they are there.
//! `frames=scattered`: frames out of a slice, of which none continues the one before. Without it they are contiguous; more than
//! 1,024 are so in blocks of that many. `size=`: large leaves, where 4 KiB is meant otherwise.

mod gib;
mod look;
mod operations;
mod resize;
mod window;

use core::fmt::{self, Write};

use arrayvec::ArrayString;
use pagemark::machine::Machine;
use pagemark::mm::address::{PAGE_SIZE, PageSize};
use pagemark::mm::frame::Gfp;

use crate::harness::case::{Case, Failure};
use crate::harness::run::{Run, Tier};
use gib::{Gib, Operation};
use look::{Harvest, Translate};
use operations::{Map, Protect, Remap, Unmap};
use resize::{Collapse, Split};
use window::{Contiguous, InBlocks, Scattered, Shape, Window};

/// Bytes of a case's name.
type Name = ArrayString<64>;

fn name(text: fmt::Arguments<'_>) -> Name {
    let mut name = Name::new();
    let _ = name.write_fmt(text);
    name
}

/// Whether so many pages fit into the scratch region, and one that stays unmapped behind them.
fn fits(machine: &Machine, pages: u64) -> bool {
    let scratch = machine.layout.scratch;
    (scratch.end.0 - scratch.start.0) / PAGE_SIZE > pages
}

/// Measures a case on a window of its own.
fn measure<'m, S: Shape, C: Case>(
    machine: &'m mut Machine,
    run: &mut Run,
    name: &str,
    (pages, largest): (u64, PageSize),
    case: impl FnOnce(Window<'m, S>) -> C,
    end: impl FnOnce(C) -> Window<'m, S>,
) {
    if !run.would(name) {
        return;
    }
    if !fits(machine, pages) {
        return run.skip(name, "the scratch region is too small");
    }
    let outcome = Window::new(machine, pages, largest).and_then(|window| {
        let mut case = case(window);
        run.measure_hot_and_cold(name, &mut case);
        end(case).end()
    });
    if let Err(failure) = outcome {
        run.check(name, Err(failure));
    }
}

/// Operations that are given frames, where the tables are there. `rest` is the name from the parameters on.
fn with_frames<S: Shape>(machine: &mut Machine, run: &mut Run, shape: (u64, PageSize), rest: &str) {
    let map = |window| Map {
        window,
        build: None,
        outcome: Ok(()),
    };
    let named = |operation| name(format_args!("pt/{operation}/{rest}"));
    measure::<S, _>(machine, run, &named("map"), shape, map, |case| case.window);
    let remap = |window| Remap(window, Ok(()));
    measure::<S, _>(machine, run, &named("remap"), shape, remap, |case| case.0);
}

/// All four operations, where the tables are there.
fn warm<S: Shape>(machine: &mut Machine, run: &mut Run, shape: (u64, PageSize), rest: &str) {
    with_frames::<S>(machine, run, shape, rest);
    let named = |operation| name(format_args!("pt/{operation}/{rest}"));
    let protect = |window| Protect(window, Ok(()));
    measure::<S, _>(machine, run, &named("protect"), shape, protect, |case| {
        case.0
    });
    let unmap = |window| Unmap(window, Ok(()));
    measure::<S, _>(machine, run, &named("unmap"), shape, unmap, |case| case.0);
}

/// Map where `pts` PTs and all above them have to be built: the scratch region is a whole entry of the root.
fn build<S: Shape>(machine: &mut Machine, run: &mut Run, pages: u64, pts: u64, rest: &str) {
    let between = machine.kernel.table.levels() as u64 - 2;
    let name = name(format_args!("pt/map/{rest}/tables=build"));
    if !fits(machine, PageSize::Size1G.frames()) {
        // Tables of the scratch region that others use too are always there.
        return run.skip(&name, "the scratch region is too small");
    }
    let map = |window| Map {
        window,
        build: Some(pts + between),
        outcome: Ok(()),
    };
    let shape = (pages, PageSize::Size4K);
    measure::<S, _>(machine, run, &name, shape, map, |case| case.window);
}

fn gib(machine: &mut Machine, run: &mut Run) {
    for (operation, name) in [
        (Operation::Map, "pt/map/size=1GiB"),
        (Operation::Protect, "pt/protect/size=1GiB"),
        (Operation::Unmap, "pt/unmap/size=1GiB"),
    ] {
        if !machine.features.gib_pages {
            run.skip(name, "the CPU has no 1 GiB pages");
        } else if !fits(machine, PageSize::Size1G.frames()) {
            run.skip(name, "the scratch region is too small");
        } else {
            let outcome = measure_gib(machine, run, name, operation);
            if let Err(failure) = outcome {
                run.check(name, Err(failure));
            }
        }
    }
}

fn measure_gib(
    machine: &mut Machine,
    run: &mut Run,
    name: &str,
    operation: Operation,
) -> Result<(), Failure> {
    if !run.would(name) {
        return Ok(());
    }
    // An empty window, for the tables that others may have left there.
    Window::<Contiguous>::new(machine, 1, PageSize::Size1G)?.end()?;
    let block = machine.kernel.frames.alloc_page(Gfp::KERNEL)?;
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
    Window::<Contiguous>::new(machine, 1, PageSize::Size1G)?.end()
}

fn look(machine: &mut Machine, run: &mut Run) {
    let one = (1, PageSize::Size4K);
    let name = "pt/translate";
    measure(machine, run, name, one, Translate::new, |case| case.window);
    for (pages, name) in [(1, "pt/harvest/pages=1"), (512, "pt/harvest/pages=512")] {
        let harvest = |window| Harvest {
            window,
            dirty: 0,
            outcome: Ok(()),
        };
        let shape = (pages, PageSize::Size4K);
        measure::<Contiguous, _>(machine, run, name, shape, harvest, |case| case.window);
    }
}

fn resize(machine: &mut Machine, run: &mut Run) {
    let shape = (512, PageSize::Size2M);
    let split = |window| Split(window, Ok(()));
    measure(machine, run, "pt/split/size=2MiB", shape, split, |case| {
        case.0
    });
    let collapse = |window| Collapse {
        window,
        old: None,
        outcome: Ok(()),
    };
    let name = "pt/collapse/size=2MiB";
    measure(machine, run, name, shape, collapse, |case| case.window);
}

pub(super) fn run(machine: &mut Machine, run: &mut Run) {
    const SMALL: PageSize = PageSize::Size4K;
    warm::<Contiguous>(machine, run, (1, SMALL), "pages=1");
    warm::<Contiguous>(machine, run, (512, SMALL), "pages=512");
    with_frames::<Scattered>(machine, run, (512, SMALL), "pages=512/frames=scattered");
    build::<Contiguous>(machine, run, 1, 1, "pages=1");
    warm::<Contiguous>(machine, run, (512, PageSize::Size2M), "size=2MiB");
    look(machine, run);
    resize(machine, run);
    run.in_tier(Tier::Full, |run| {
        warm::<Contiguous>(machine, run, (8, SMALL), "pages=8");
        warm::<Contiguous>(machine, run, (64, SMALL), "pages=64");
        warm::<InBlocks>(machine, run, (4096, SMALL), "pages=4096");
        with_frames::<Scattered>(machine, run, (8, SMALL), "pages=8/frames=scattered");
        with_frames::<Scattered>(machine, run, (64, SMALL), "pages=64/frames=scattered");
        build::<Contiguous>(machine, run, 512, 1, "pages=512");
        build::<InBlocks>(machine, run, 4096, 8, "pages=4096");
        build::<Scattered>(machine, run, 512, 1, "pages=512/frames=scattered");
        gib(machine, run);
    });
}
