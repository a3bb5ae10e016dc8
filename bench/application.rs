//! The run, from the machine that is up to the verdict: the same on the bare machine and in a process.

use core::mem::MaybeUninit;
use core::slice;

#[cfg(not(target_os = "none"))]
use pagemark::boot::command_line::Frequency;
use pagemark::boot::command_line::{Mutate, Signals, Suite};
use pagemark::console::log;
use pagemark::machine::Machine;
use pagemark::mm::address::Order;
use pagemark::mm::frame::{AllocError, Gfp};
use pagemark_record::{Boot, Buddyinfo, Clock, Error, Frames, Moment, Record, Verdict};

use crate::environment::{Found, Strikes};
use crate::harness::case::{Failure, expect_eq};
use crate::harness::ledger::{Entry, Ledger};
use crate::harness::reset::Reset;
use crate::harness::run::Run;
use crate::{cases, checks, environment, platform, provoke, vmallocinfo};

/// Runs the suite, and writes it down.
pub fn run(machine: &mut Machine) -> Verdict {
    if machine.options.signals == Signals::Lava {
        log::signal_test_cases();
    }
    let ledger = match ledger(machine) {
        Ok(ledger) => ledger,
        Err(error) => {
            log::record(&Record::Error(Error {
                message: format_args!("no memory for the ledger: {error}").into(),
            }));
            return Verdict::Error;
        }
    };
    let mut run = Run::new(&machine.options, ledger);
    #[cfg(target_os = "none")]
    checks::mappings::run(machine, &mut run);
    let ticks = machine.ticks_since_entry();
    let found = environment::find_out(machine);
    record_machine(machine, &found);
    found.record();
    #[cfg(target_os = "none")]
    environment::topology::record(machine);
    let strikes = Strikes::before_the_figures();
    log::record(&Record::Boot(Boot {
        ticks,
        unit: found.clock().unit(),
    }));
    #[cfg(not(target_os = "none"))]
    if machine.options.frequency == Frequency::Fixed {
        run.refuse(
            "command line: `frequency=fixed` needs the bare machine: a process may not set it",
        );
    }
    #[cfg(not(target_os = "none"))]
    if machine.options.limit.is_some() {
        run.refuse("command line: `limit` needs the bare machine: timeout(1) ends a process");
    }
    if let Some(provoke) = machine.options.provoke {
        provoke::fail(machine, provoke);
    }
    run.timed_by(
        &machine.options,
        found.clock(),
        found.step(),
        found.constant_rate(),
        found.rate().0,
    );
    let (clock, first_look) = (found.clock(), found.first_look());
    run.watch(found.witness());
    #[cfg(target_os = "none")]
    if clock != Clock::Icount && machine.options.mutate.is_none() {
        match Reset::new(machine) {
            Ok(reset) => run.reset_by(reset),
            Err(error) => run.check("reset", Err(error)),
        }
    }
    #[cfg(not(target_os = "none"))]
    run.reset_by(Reset::new());

    let at_start = frames(machine);
    let tables = machine.kernel.tables_elsewhere();
    let areas = machine.vmalloc.live();
    record_free_blocks(machine, Moment::Start);
    vmallocinfo::record(machine, Moment::Start);
    if machine.options.mutate == Some(Mutate::Flush) && !cfg!(feature = "mutation") {
        run.refuse("command line: `mutate=flush` needs an image built with the feature `mutation`");
    }
    if machine.options.seconds.is_some() && machine.options.suite != Suite::Soak {
        run.refuse("command line: `seconds` needs suite=soak");
    }
    while run.next_pass() {
        #[cfg(not(target_os = "none"))]
        platform::before_pass(machine, run.pass(), run.random());
        cases::run(machine, &mut run);
    }
    #[cfg(target_os = "none")]
    checks::cpus::run(machine, &mut run);
    checks::direct_map::run(machine, &mut run);
    #[cfg(target_os = "none")]
    checks::shootdown::run(machine, &mut run);
    checks::vmalloc::run(machine, &mut run);
    checks::frames::run(machine, &mut run);
    #[cfg(target_os = "none")]
    checks::mappings::run_at_end(machine, &mut run);
    let at_end = frames(machine);
    record_free_blocks(machine, Moment::End);
    vmallocinfo::record(machine, Moment::End);
    log::record(&Record::Frames(Frames { at_start, at_end }));
    run.check(
        "frames/all_returned",
        all_returned(machine, [at_start, at_end], areas),
    );
    run.check(
        "tables/all_returned",
        checks::tables::all_returned(machine, tables),
    );
    run.check(
        "tables/cached_are_zero",
        checks::tables::cached_are_zero(machine),
    );
    #[cfg(target_os = "none")]
    checks::walks::run(&mut run);
    run.end();
    if let Some(measured) = run.median("control/nops=1000")
        && clock != Clock::Emulated
    {
        first_look.compare(measured);
    }
    #[cfg(target_os = "none")]
    strikes.tag(&mut machine.processors);
    #[cfg(not(target_os = "none"))]
    strikes.tag(run.disturbances());
    #[cfg(target_os = "none")]
    cases::record_crossovers(machine, &mut run);
    run.verdict()
}

/// Writes the `machine` record.
fn record_machine(machine: &Machine, found: &Found) {
    let features = &machine.features;
    let (hertz, source) = found.rate();
    let date = platform::date(found);
    log::record(&Record::Machine(pagemark_record::Machine {
        cpu: features.name().into(),
        family: u32::from(features.family),
        model: u32::from(features.model),
        stepping: u32::from(features.stepping),
        hypervisor: features.hypervisor().map(Into::into),
        clock: found.clock(),
        tsc_hz: hertz,
        tsc_source: source.into(),
        invariant_tsc: features.invariant_tsc,
        ticks_per_1000_nops: found.ticks_per_1000_nops(),
        ram_bytes: machine.ram_bytes,
        cpus: platform::cpus(machine),
        layout: machine.layout.name.into(),
        loader: format_args!("{}", platform::loader(machine)).into(),
        features: features.names().as_str().into(),
        identity: None,
        date: date.as_deref().map(Into::into),
    }));
}

/// CPUs with which the cases fit into one block of the ledger: each power of two of them has cases of its own.
const CPUS_OF_A_BLOCK: usize = 4;

/// A ledger in blocks of frames that never come back: they are taken before the free frames are counted.
fn ledger(machine: &mut Machine) -> Result<Ledger, AllocError> {
    let room = block_of_entries(machine)?;
    let more_room = match machine.processors.count() {
        ..=CPUS_OF_A_BLOCK => &mut [],
        _ => block_of_entries(machine)?,
    };
    Ok(Ledger::new(room, more_room))
}

fn block_of_entries(
    machine: &mut Machine,
) -> Result<&'static mut [MaybeUninit<Entry>], AllocError> {
    let frames = &mut machine.kernel.frames;
    let (frame, _) = frames.alloc_pages(Gfp::KERNEL, Ledger::ORDER)?.into_raw();
    let first = machine.frame_address(frame).0 as *mut MaybeUninit<Entry>;
    // SAFETY: the block is in the direct map, ours for good, aligned to its size, and has room for that many entries.
    Ok(unsafe { slice::from_raw_parts_mut(first, Ledger::IN_A_BLOCK) })
}

/// Free frames, and those that became page tables, which stay.
fn frames(machine: &Machine) -> u64 {
    machine.kernel.free_frames() + machine.kernel.table_frames()
}

/// `frames` at the start and the end, and the vmalloc areas that were there at the start: the stacks of other CPUs.
fn all_returned(
    machine: &Machine,
    [at_start, at_end]: [u64; 2],
    areas: usize,
) -> Result<(), Failure> {
    expect_eq!("frames after the last case", at_end, at_start);
    expect_eq!("live areas", machine.vmalloc.live(), areas);
    machine.kernel.frames.validate()?;
    Ok(())
}

fn record_free_blocks(machine: &Machine, moment: Moment) {
    for info in machine.kernel.frames.buddy_info() {
        log::record(&Record::Buddyinfo(Buddyinfo {
            moment,
            zone: format_args!("{}", info.kind).into(),
            blocks: info.blocks,
            fragmentation: core::array::from_fn(|order| {
                info.fragmentation_index(Order::new(order as u8)?)
            }),
        }));
    }
}
