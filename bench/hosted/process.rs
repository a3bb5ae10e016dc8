//! The process: its arguments, its log, its end.

use std::process::ExitCode;

use pagemark::boot::command_line::Options;
use pagemark::console::{log, start};
use pagemark::hosted::arena::Pages;
use pagemark::hosted::machine::{self, Request};
use pagemark::machine::Machine;
use pagemark_record::{Error, Record, Verdict};

use crate::environment::{Found, date};
use crate::harness::random::Random;
use crate::{addresses, application, placement};

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
    addresses::fix();
    addresses::with_own_stack(suite)
}

fn suite() -> ExitCode {
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
    start::record(&options, command_line);
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

/// CPUs that the machine has.
pub const fn cpus(machine: &Machine) -> u32 {
    machine.cpus as u32
}

/// Who loaded the application.
pub const fn loader(_: &Machine) -> &'static str {
    "process"
}

/// The date and time in UTC.
pub fn date(_: &Found) -> Option<String> {
    Some(date::now())
}

/// What comes before the pass of this number.
pub fn before_pass(machine: &mut Machine, pass: u32, random: &mut Random) {
    // Pages of 2 MiB hold what a case has together as they are.
    if machine.small_pages {
        placement::renew(machine, pass, random);
    }
}
