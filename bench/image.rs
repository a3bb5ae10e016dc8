//! The run as the image makes it, from the entry code to the verdict.

use core::mem::MaybeUninit;
use core::slice;

use pagemark::boot::command_line::{Mutate, Provoke, Suite};
use pagemark::console::log;
use pagemark::machine::{self, Machine};
use pagemark::mm::address::Order;
use pagemark::mm::frame::{AllocError, Gfp};
use pagemark::mm::shootdown::CpuId;
use pagemark_record::{Boot, Buddyinfo, Clock, Error, Frames, Moment, Record, Verdict};

use crate::environment::{Found, Strikes};
use crate::harness::case::{Failure, expect_eq};
use crate::harness::ledger::{Entry, Ledger, MAX_CASES};
use crate::harness::run::Run;
use crate::{cases, checks, environment, vmallocinfo};

/// The entry code's call into Rust.
///
/// # Safety
///
/// Called by the entry code, once, with what the loader handed over.
#[unsafe(no_mangle)]
unsafe extern "C" fn image_entry(magic: u32, info: u32) -> ! {
    // SAFETY: the caller's promise.
    unsafe { machine::start(magic, info, application) }
}

fn application(machine: &mut Machine) -> Verdict {
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
    checks::mappings::run(machine, &mut run);
    let ticks = machine.ticks_since_entry();
    let found = environment::find_out(machine);
    tell_machine(machine, &found);
    found.tell();
    let strikes = Strikes::before_the_figures();
    log::record(&Record::Boot(Boot {
        ticks,
        unit: found.clock().unit(),
    }));
    if let Some(provoke) = machine.options.provoke {
        fail_on_purpose(machine, provoke);
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

    let at_start = frames(machine);
    let tables = machine.kernel.tables_elsewhere();
    let areas = machine.vmalloc.live();
    tell_free_blocks(machine, Moment::Start);
    vmallocinfo::tell(machine, Moment::Start);
    if machine.options.mutate == Some(Mutate::Flush) && !cfg!(feature = "mutation") {
        run.refuse("command line: `mutate=flush` needs an image built with the feature `mutation`");
    }
    if machine.options.seconds.is_some() && machine.options.suite != Suite::Soak {
        run.refuse("command line: `seconds` needs suite=soak");
    }
    while run.next_pass() {
        cases::run(machine, &mut run);
    }
    checks::cpus::run(machine, &mut run);
    checks::direct_map::run(machine, &mut run);
    checks::shootdown::run(machine, &mut run);
    checks::vmalloc::run(machine, &mut run);
    checks::frames::run(machine, &mut run);
    checks::mappings::run_at_end(machine, &mut run);
    let at_end = frames(machine);
    tell_free_blocks(machine, Moment::End);
    vmallocinfo::tell(machine, Moment::End);
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
    run.end();
    if let Some(measured) = run.median("control/nops=1000")
        && clock != Clock::Emulated
    {
        first_look.compare(measured);
    }
    strikes.tag();
    cases::tell_crossovers(machine, &mut run);
    run.verdict()
}

/// A ledger in a block of frames that never comes back: it is taken before the free frames are counted.
fn ledger(machine: &mut Machine) -> Result<Ledger, AllocError> {
    let frames = &mut machine.kernel.frames;
    let (frame, _) = frames.alloc_pages(Gfp::KERNEL, Ledger::ORDER)?.into_raw();
    let first = machine.frame_address(frame).0 as *mut MaybeUninit<Entry>;
    // SAFETY: the block is in the direct map, ours for good, aligned to its size, and has room for so many entries.
    Ok(Ledger::new(unsafe {
        slice::from_raw_parts_mut(first, MAX_CASES)
    }))
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

fn tell_free_blocks(machine: &Machine, moment: Moment) {
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

fn tell_machine(machine: &Machine, found: &Found) {
    let features = &machine.features;
    let (hertz, source) = found.rate();
    // Logs of counted instructions are equal from run to run, so they carry no date.
    let counted = found.clock() == Clock::Icount;
    let date = match counted {
        true => None,
        false => pagemark::firmware::real_time_clock::read(),
    };
    let date = date.map(|date| {
        let mut text = arrayvec::ArrayString::<32>::new();
        // It has 19 characters.
        let _ = core::fmt::Write::write_fmt(&mut text, format_args!("{date}"));
        text
    });
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
        cpus: machine.firmware.processors.enabled.max(1),
        layout: machine.layout.name.into(),
        loader: format_args!("{}", machine.loader).into(),
        features: features.names().as_str().into(),
        identity: None,
        date: date.as_deref().map(pagemark_record::Text::from),
    }));
}

/// Fails as the command line asks. Comes back only if the failure does not come about.
fn fail_on_purpose(machine: &mut Machine, provoke: Provoke) {
    match provoke {
        Provoke::Panic => panic!("provoked by the command line"),
        Provoke::GuardPage => {
            overflow(0);
        }
        // SAFETY: address 0 is not mapped; the page fault ends the run.
        Provoke::Null => unsafe {
            core::arch::asm!("mov {0}, [{0}]", inout(reg) 0u64 => _, options(nostack, readonly));
        },
        Provoke::Hang => loop {
            core::hint::spin_loop();
        },
        Provoke::OtherCpuPanic => on_another_cpu(machine, &|cpu| {
            panic!("provoked on CPU {cpu} by the command line")
        }),
        Provoke::OtherCpuGuardPage => on_another_cpu(machine, &|_| {
            overflow(0);
        }),
    }
}

/// Has the last CPU fail, while this one waits for it and the others write to the log. Without another CPU nothing happens.
fn on_another_cpu(machine: &mut Machine, fail: &(impl Fn(CpuId) + Sync)) {
    let all = machine.processors.others().clone();
    let Some(last) = (&all).into_iter().last() else {
        return;
    };
    machine.processors.online(&all, |online| {
        let job = |cpu| {
            if cpu == last {
                fail(cpu);
            }
            loop {
                log::line(format_args!("CPU {cpu} is at work"));
            }
        };
        online.run_on_all(&job, || ());
    });
}

/// Fills the stack, frame by frame.
#[inline(never)]
#[expect(unconditional_recursion, reason = "that is what it is for")]
fn overflow(depth: u64) -> u64 {
    let frame = core::hint::black_box([depth; 64]);
    overflow(depth + 1) + frame[0]
}
