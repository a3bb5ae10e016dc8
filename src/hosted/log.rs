//! The log of the run, on standard output: records and text go through one writer, which sums up the lines for the `end` record.

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::sync::{Mutex, MutexGuard};

use pagemark_record::{End, Hex, LogWriter, Panic, Record, Text, Verdict, source};

static LOG: Mutex<LogWriter<Stdout>> = Mutex::new(LogWriter::new(Stdout));

/// Standard output, which Rust writes line by line.
struct Stdout;

impl fmt::Write for Stdout {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        std::io::stdout()
            .write_all(text.as_bytes())
            .map_err(|_| fmt::Error)
    }
}

/// The log, even if its last user panicked within a line: the `panic` record ends that line.
fn log() -> MutexGuard<'static, LogWriter<Stdout>> {
    LOG.lock().unwrap_or_else(|error| error.into_inner())
}

/// Writes LAVA's signal of each case and check from now on.
pub fn signal_test_cases() {
    log().signal_test_cases();
}

/// Writes a record.
pub fn record(record: &Record<Text<'_>>) {
    // Without standard output there is nobody to report that to; the log's reader misses the `end` record.
    let _ = log().record(record);
}

/// Ends the log with the `end` record.
pub fn end(verdict: Verdict) {
    // The log knows its lines and their sum.
    record(&Record::End(End {
        verdict,
        lines: 0,
        crc32: Hex(0),
    }));
}

/// Writes a line for people.
pub fn line(text: fmt::Arguments<'_>) {
    let _ = writeln!(log(), "{text}");
}

/// Writes the `panic` record. The addresses of a process mean nothing to a reader: there are none.
pub fn last_words(message: fmt::Arguments<'_>, location: Option<(&str, u32)>) {
    let (file, line) = location.unwrap_or(("", 0));
    record(&Record::Panic(Panic {
        message: message.into(),
        file: source(file).into(),
        line,
        addresses: Default::default(),
    }));
}
