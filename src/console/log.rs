//! The one log of the run. Records, text for people and the messages of crates all go through the same writer, which sums
//! up the lines for the `end` record.

use core::fmt::{self, Write};

use arrayvec::ArrayVec;
use log::{Level, LevelFilter, Metadata};
use pagemark_record::{Hex, LogWriter, MAX_ADDRESSES, Panic, Record, Text, Verdict};
use spin::Mutex;

use super::serial::SerialPort;

static LOG: Mutex<Option<LogWriter<SerialPort>>> = Mutex::new(None);

/// Starts the log on a serial port, and takes the messages of crates that use `log`.
pub fn start(port: SerialPort) {
    *LOG.lock() = Some(LogWriter::new(port));
    // An error says that there is a logger already: then the log was started before, and that one serves.
    let _ = log::set_logger(&Messages);
    log::set_max_level(LevelFilter::Info);
}

/// Writes a record.
pub fn record(record: &Record<Text<'_>>) {
    if let Some(log) = LOG.lock().as_mut() {
        // Nobody can be told that the console fails.
        let _ = log.record(record);
    }
}

/// Ends the log with the `end` record.
pub fn end(verdict: Verdict) {
    if let Some(log) = LOG.lock().as_mut() {
        let _ = log.end(verdict);
    }
}

/// Writes a line for people.
pub fn line(text: fmt::Arguments<'_>) {
    if let Some(log) = LOG.lock().as_mut() {
        let _ = writeln!(log, "{text}");
    }
}

/// Writes the `panic` record, even if the panic struck while a line was being written. `port` serves if there is no log yet.
pub fn last_words(
    message: fmt::Arguments<'_>,
    location: Option<(&str, u32)>,
    addresses: &[u64],
    port: impl FnOnce() -> SerialPort,
) {
    let addresses: ArrayVec<Hex, MAX_ADDRESSES> = addresses
        .iter()
        .take(MAX_ADDRESSES)
        .map(|&address| Hex(address))
        .collect();
    let (file, line) = location.unwrap_or(("", 0));
    let record = Record::Panic(Panic {
        message: message.into(),
        file: file.into(),
        line,
        addresses,
    });
    // SAFETY: one CPU runs, and it will not return to whoever holds the lock.
    unsafe { LOG.force_unlock() };
    let _ = LOG
        .lock()
        .get_or_insert_with(|| LogWriter::new(port()))
        .record(&record);
}

/// The backend of the `log` crate.
struct Messages;

impl log::Log for Messages {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Info
    }

    fn log(&self, message: &log::Record<'_>) {
        if self.enabled(message.metadata()) {
            line(format_args!("{}: {}", message.level(), message.args()));
        }
    }

    fn flush(&self) {}
}
