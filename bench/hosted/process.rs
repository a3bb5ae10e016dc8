//! The process: its arguments, its log, its end.

use std::process::ExitCode;

use pagemark::boot::command_line::{Options, Provoke};
use pagemark::console::log;
use pagemark::hosted::arena::Pages;
use pagemark::hosted::machine::{self, Request};
use pagemark::machine::Machine;
use pagemark::mm::shootdown::CpuId;
use pagemark_record::{Error, Record, Start, Verdict};

use crate::application;
use crate::environment::{Found, date};

/// The statuses that the process ends with, those of `pagemark run`.
const PASS: u8 = 0;
const FAIL: u8 = 1;
const ERROR: u8 = 2;
const PANIC: u8 = 3;

/// What precedes the words of the command line.
struct Arguments {
    bytes: u64,
    cpus: usize,
    pages: Pages,
    /// The words, separated by spaces.
    command_line: String,
}

/// The arguments, or the one that cannot be followed.
fn arguments(arguments: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut parsed = Arguments {
        bytes: 1 << 30,
        cpus: 1,
        pages: Pages::Small,
        command_line: String::new(),
    };
    let mut words = Vec::new();
    for argument in arguments {
        let bad = || format!("argument: `{argument}` cannot be followed");
        match argument.split_once('=') {
            Some(("--bytes", bytes)) => parsed.bytes = bytes.parse().map_err(|_| bad())?,
            Some(("--cpus", cpus)) => parsed.cpus = cpus.parse().map_err(|_| bad())?,
            None if argument == "--huge" => parsed.pages = Pages::Huge,
            _ if argument.starts_with("--") => return Err(bad()),
            _ => words.push(argument),
        }
    }
    parsed.cpus = parsed.cpus.max(1);
    parsed.command_line = words.join(" ");
    Ok(parsed)
}

/// Runs the suite as the arguments ask, and writes it down.
pub fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|info| {
        let message = info.payload_as_str().unwrap_or("a panic without words");
        let location = info.location().map(|place| (place.file(), place.line()));
        log::last_words(format_args!("{message}"), location);
        std::process::exit(PANIC.into());
    }));
    let arguments = arguments(std::env::args().skip(1));
    let command_line = arguments
        .as_ref()
        .map_or("", |arguments| &arguments.command_line);
    let options = Options::parse(command_line);
    log::record(&Record::Start(Start {
        schema: pagemark_record::SCHEMA,
        revision: env!("PAGEMARK_REVISION").into(),
        suite: options
            .as_ref()
            .map_or("none", |options| options.suite.name())
            .into(),
        command_line: command_line.into(),
        text_offset: 0,
    }));
    let verdict = match (&arguments, options) {
        (Err(error), _) => refuse(error),
        (_, Err(error)) => refuse(&error),
        (Ok(arguments), Ok(options)) => run(arguments, options),
    };
    log::end(verdict);
    ExitCode::from(match verdict {
        Verdict::Pass => PASS,
        Verdict::Fail => FAIL,
        Verdict::Error => ERROR,
    })
}

fn run(arguments: &Arguments, options: Options) -> Verdict {
    let machine = machine::bring_up(Request {
        bytes: arguments.bytes,
        pages: arguments.pages,
        cpus: arguments.cpus,
        options,
    });
    match machine {
        Ok(mut machine) => application::run(&mut machine),
        Err(error) => refuse(&error),
    }
}

/// Reports why there is no run.
fn refuse(error: &dyn std::fmt::Display) -> Verdict {
    log::record(&Record::Error(Error {
        message: format_args!("{error}").into(),
    }));
    Verdict::Error
}

/// Writes the `machine` record.
pub fn tell_machine(machine: &Machine, found: &Found) {
    let features = &machine.features;
    let (hertz, source) = found.rate();
    let date = date::now();
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
        cpus: machine.cpus as u32,
        layout: machine.layout.name.into(),
        loader: "process".into(),
        features: features.names().as_str().into(),
        identity: None,
        date: Some(date.as_str().into()),
    }));
}

/// Fails as the command line asks. Comes back only if the failure does not come about.
pub fn fail_on_purpose(machine: &mut Machine, provoke: Provoke) {
    match provoke {
        Provoke::Panic => panic!("provoked by the command line"),
        Provoke::Hang => loop {
            std::hint::spin_loop();
        },
        // SAFETY: address 0 is not mapped; the kernel ends the process.
        Provoke::Null => unsafe {
            std::arch::asm!("mov {0}, [{0}]", inout(reg) 0u64 => _, options(nostack, readonly));
        },
        Provoke::OtherCpuPanic => on_another_cpu(machine),
        Provoke::GuardPage
        | Provoke::OtherCpuGuardPage
        | Provoke::BringUpHang
        | Provoke::StartingCpuPanic => {}
    }
}

/// Has the last CPU panic, while this one waits for it.
fn on_another_cpu(machine: &mut Machine) {
    let all = machine.processors.others().clone();
    let Some(last) = (&all).into_iter().last() else {
        return;
    };
    machine.processors.online(&all, |online| {
        let job = |cpu: CpuId| {
            if cpu == last {
                panic!("CPU {cpu}: provoked by the command line");
            }
        };
        online.run_on_all(&job, || ());
    });
}
