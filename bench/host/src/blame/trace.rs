//! Runs one case in QEMU and counts the instructions between the two ends of every bracket.
//!
//! An instruction that faults is logged, as it is begun; the clock of a run does not count it. Both images have as many of those.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::ops::Range;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use super::Profile;
use super::gdb::{Gdb, Register};
use crate::image::{Inlined, Symbols};
use crate::log::Log;
use crate::run::{Boot, Door, Process};

/// The functions that bracket each sample.
const BRACKETS: [&str; 2] = ["block::independent", "block::chained"];
/// What they bracket to learn their own cost.
const EMPTY: [&str; 3] = [
    "block::nothing",
    "block::nothing_else",
    "block::nothing_linked",
];
/// LFENCE; RDTSC; LFENCE.
const READ: [u8; 8] = [0x0f, 0xae, 0xe8, 0x0f, 0x31, 0x0f, 0xae, 0xe8];
/// The RDTSC in it.
const RDTSC: u64 = 3;

/// What lies between the ends of one bracket.
struct Window {
    /// The function that it calls.
    operation: u64,
    /// How often.
    calls: u64,
}

/// How often which address was executed.
type Counts = BTreeMap<u64, u64>;

/// A traced run.
#[derive(Clone, Debug)]
pub struct Trace {
    /// What was executed in the samples.
    pub profile: Profile,
    /// The run's own log.
    pub log: Log,
}

/// Boots the image of `boot`, whose command line selects one case, and profiles that case's samples.
pub fn trace(boot: &Boot) -> Result<Trace> {
    let Door::Pvh { image, .. } = &boot.door else {
        bail!("only an image that QEMU loads itself can be traced");
    };
    let symbols = Symbols::read(image)?;
    let elf = std::fs::read(image)?;
    let inlined = Inlined::read(&elf)?;
    let ends = ends(&symbols)?;
    let scratch = tempfile::tempdir().context("no temporary folder for QEMU's files")?;
    let socket = scratch.path().join("gdb");
    let mut command = boot.command(scratch.path())?;
    command
        .arg("-S")
        .arg("-gdb")
        .arg(format!("unix:{},server=on,wait=off", socket.display()))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut qemu = Process::start(&mut command)
        .with_context(|| format!("{} cannot be started", boot.qemu.display()))?;
    let (Some(mut stdout), Some(stderr)) = (qemu.0.stdout.take(), qemu.0.stderr.take()) else {
        bail!("QEMU's output cannot be read");
    };
    let console = thread::spawn(move || {
        let mut raw = Vec::new();
        // A console that breaks off is a log that is not whole.
        let _ = stdout.read_to_end(&mut raw);
        raw
    });
    let starts: Vec<u64> = ends.iter().map(|bracket| bracket.start).collect();
    let log = BufReader::with_capacity(1 << 20, stderr);
    let counting = thread::spawn(move || traced(log, &starts));
    let windows = drive(&socket, &ends, Instant::now() + boot.timeout)?;
    qemu.0.wait()?;
    let log = crate::log::read(&console.join().unwrap_or_default()).context("the traced run")?;
    ensure!(!log.results.is_empty(), "the traced run has no result");
    let counts = counting.join().unwrap_or_default();
    ensure!(
        counts.len() == windows.len(),
        "QEMU's trace has {} of {} brackets",
        counts.len(),
        windows.len()
    );
    let (operations, addresses) = of_last_case(&symbols, &windows, counts);
    let name = |address| {
        let symbol = || symbols.function_name(address).map(str::to_owned);
        inlined.function(address).or_else(symbol)
    };
    let profile = Profile::new(operations, &addresses, name);
    Ok(Trace { profile, log })
}

/// The addresses of the two RDTSC of each bracket.
fn ends(symbols: &Symbols) -> Result<Vec<Range<u64>>> {
    let ends = BRACKETS.iter().map(|name| ends_of(symbols, name));
    ends.collect()
}

fn ends_of(symbols: &Symbols, name: &str) -> Result<Range<u64>> {
    let bracket = symbols
        .named(name)
        .with_context(|| format!("the image has no function {name}"))?;
    let code = usize::try_from(bracket.end - bracket.start)
        .ok()
        .and_then(|bytes| symbols.code(bracket.start, bytes))
        .context("the image has no code")?;
    let reads: Vec<u64> = (bracket.start..)
        .zip(code.windows(READ.len()))
        .filter(|(_, bytes)| *bytes == READ)
        .map(|(address, _)| address + RDTSC)
        .collect();
    let [open, close] = reads[..] else {
        bail!("{name} reads the clock {} times", reads.len());
    };
    Ok(open..close)
}

/// Lets the guest run from end to end of each bracket, logging what is between.
fn drive(socket: &Path, ends: &[Range<u64>], deadline: Instant) -> Result<Vec<Window>> {
    let mut gdb = Gdb::connect(socket, deadline)?;
    gdb.patience(deadline)?;
    for bracket in ends {
        gdb.break_at(bracket.start)?;
        gdb.break_at(bracket.end)?;
    }
    let mut windows = Vec::new();
    while gdb.go_on()? {
        gdb.patience(deadline)?;
        let registers = gdb.registers()?;
        let at = registers.get(Register::Rip)?;
        if ends.iter().any(|bracket| bracket.start == at) {
            windows.push(Window {
                operation: registers.get(Register::R14)?,
                calls: registers.get(Register::Rbx)?,
            });
            // One instruction a block, by its name until QEMU 8.0 and its name since.
            gdb.monitor("singlestep on")?;
            gdb.monitor("one-insn-per-tb on")?;
            gdb.monitor("log exec,nochain")?;
        } else {
            gdb.monitor("log none")?;
            gdb.monitor("singlestep off")?;
            gdb.monitor("one-insn-per-tb off")?;
        }
        if !gdb.step()? {
            break;
        }
    }
    Ok(windows)
}

/// Counts what QEMU's execution log names, anew from each execution of one of `opens` on.
fn traced(mut log: impl BufRead, opens: &[u64]) -> Vec<Counts> {
    let mut windows: Vec<Counts> = Vec::new();
    let mut line = Vec::new();
    // A log that breaks off has too few brackets, which is noticed.
    while log
        .read_until(b'\n', &mut line)
        .is_ok_and(|bytes| bytes > 0)
    {
        match event(&line) {
            Some(Event::Executes(address)) => {
                if opens.contains(&address) {
                    windows.push(Counts::new());
                }
                if let Some(window) = windows.last_mut() {
                    *window.entry(address).or_default() += 1;
                }
            }
            Some(Event::Takes(address)) => {
                if let Some(count) = windows
                    .last_mut()
                    .and_then(|window| window.get_mut(&address))
                {
                    *count -= 1;
                }
            }
            None => {}
        }
        line.clear();
    }
    windows
}

#[derive(Debug, PartialEq)]
enum Event {
    /// A block is executed: `Trace 0: 0x7f… [cs base/address/flags/flags] function`.
    Executes(u64),
    /// It was not after all, and comes again: `Stopped execution of TB chain before 0x7f… [address] function`.
    Takes(u64),
}

fn event(line: &[u8]) -> Option<Event> {
    let text = str::from_utf8(line).ok()?;
    let inside = text.split_once('[')?.1.split_once(']')?.0;
    let address = |digits| u64::from_str_radix(digits, 16).ok();
    if text.starts_with("Trace ") {
        Some(Event::Executes(address(inside.split('/').nth(1)?)?))
    } else if text.starts_with("Stopped execution of TB chain before ") {
        Some(Event::Takes(address(inside)?))
    } else {
        None
    }
}

/// The operations in the samples of the case that came last, and their instructions. What the run measured before are the
/// environment's own brackets.
fn of_last_case(symbols: &Symbols, windows: &[Window], counts: Vec<Counts>) -> (u64, Counts) {
    let empty: Vec<u64> = EMPTY
        .iter()
        .filter_map(|name| Some(symbols.named(name)?.start))
        .collect();
    let case = windows
        .iter()
        .rfind(|window| !empty.contains(&window.operation));
    let mut operations = 0;
    let mut all = Counts::new();
    for (window, counts) in windows.iter().zip(counts) {
        if case.is_some_and(|case| case.operation == window.operation) {
            operations += window.calls;
            for (address, count) in counts {
                *all.entry(address).or_default() += count;
            }
        }
    }
    (operations, all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_execution_log() {
        let trace = b"Trace 0: 0x7f5c0c000100 [00000000/ffffffffc0101234/00c0c2b0/ff020201] main\n";
        assert_eq!(event(trace), Some(Event::Executes(0xffff_ffff_c010_1234)));
        let stop = b"Stopped execution of TB chain before 0x7f5c0c000100 [ffffffffc0101234] main\n";
        assert_eq!(event(stop), Some(Event::Takes(0xffff_ffff_c010_1234)));
        assert_eq!(event(b"qemu: warning: x [1/2/3]\n"), None);
        assert_eq!(event(b"Trace 0: nothing\n"), None);
    }

    #[test]
    fn a_bracket_begins_at_its_first_read() {
        let lines = ["2", "1", "2", "3", "1", "2", "2"];
        let log: String = lines
            .map(|address| format!("Trace 0: 0x7f [0/{address}/0/0] f\n"))
            .concat()
            + "Stopped execution of TB chain before 0x7f [2] f\n";
        let windows = traced(log.as_bytes(), &[1]);
        assert_eq!(
            windows,
            [
                Counts::from([(1, 1), (2, 1), (3, 1)]),
                Counts::from([(1, 1), (2, 1)])
            ]
        );
    }
}
