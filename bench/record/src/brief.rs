//! Records in words, for somebody who watches the run on the machine's own screen: the course of it, what was found, and above all
//! what went wrong.

use core::fmt::{self, Write};

use arrayvec::ArrayString;

use crate::{CaseResult, Environment, MAX_TEXT, Machine, Panic, Record, Text};

/// Writes the lines for people of `record` to `out`: none for records that only a program needs.
pub fn write(record: &Record<Text<'_>>, out: &mut impl Write) -> fmt::Result {
    match record {
        Record::Start(start) => {
            writeln!(out, "pagemark {}, suite {}", start.revision, start.suite)
        }
        Record::Machine(machine) => write_machine(machine, out),
        Record::Notice(notice) => writeln!(out, "{}", notice.text),
        Record::Environment(found) => write_environment(found, out),
        Record::Tag(tag) => writeln!(out, "figures need the tag {}: {}", tag.tag, tag.reason),
        Record::Check(check) if !check.pass => {
            writeln!(out, "FAILED {}: {}", check.name, check.detail)
        }
        Record::Result(result) => write_result(result, out),
        Record::Skip(skip) => writeln!(out, "{} skipped: {}", skip.case, skip.reason),
        Record::Error(error) => writeln!(out, "error: {}", error.message),
        Record::Panic(panic) => write_panic(panic, out),
        Record::End(end) => writeln!(out, "verdict: {}", end.verdict),
        Record::Cpu(_)
        | Record::Region(_)
        | Record::Zone(_)
        | Record::Buddyinfo(_)
        | Record::Vmallocinfo(_)
        | Record::Boot(_)
        | Record::Check(_)
        | Record::Frames(_)
        | Record::Crossover(_)
        | Record::Advice(_)
        | Record::Probe(_) => Ok(()),
    }
}

fn write_machine(machine: &Machine<Text<'_>>, out: &mut impl Write) -> fmt::Result {
    let mib = machine.ram_bytes >> 20;
    writeln!(
        out,
        "{}; CPUs: {}; RAM: {mib} MiB; layout: {}; clock: {}",
        machine.cpu, machine.cpus, machine.layout, machine.clock
    )
}

fn write_environment(found: &Environment<Text<'_>>, out: &mut impl Write) -> fmt::Result {
    writeln!(out, "executed by: {}; tags: {}", found.class, found.tags)
}

/// The longest names of cases and figures in the millions leave columns straight.
fn write_result(result: &CaseResult<Text<'_>>, out: &mut impl Write) -> fmt::Result {
    let figure = |figure| match result.resolution {
        Some(resolution) if figure < resolution => column(format_args!("< {resolution}")),
        _ => column(figure),
    };
    let case = column(result.case);
    let [median, p99] = [result.median, result.p99].map(figure);
    writeln!(
        out,
        "{case:<56} median {median:>13} {}, p99 {p99:>13}",
        result.unit
    )
}

/// A text or figure that can be padded as a whole.
fn column(value: impl fmt::Display) -> ArrayString<{ MAX_TEXT + '…'.len_utf8() }> {
    let mut text = ArrayString::new();
    // Neither is longer.
    let _ = write!(text, "{value}");
    text
}

fn write_panic(panic: &Panic<Text<'_>>, out: &mut impl Write) -> fmt::Result {
    writeln!(
        out,
        "\npanic at {}:{}: {}",
        panic.file, panic.line, panic.message
    )?;
    for address in &panic.addresses {
        write!(out, " {address}")?;
    }
    writeln!(out)
}
