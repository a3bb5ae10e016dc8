//! The one log of the run. Records, text for people and the messages of crates all go through the same writer, which sums
//! up the lines for the `end` record. Where there is a screen, it shows in words what a person wants to know of them.

use core::fmt::{self, Write};
use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::Relaxed;

use arrayvec::ArrayVec;
use log::{Level, LevelFilter, Metadata};
use pagemark_record::{
    End, Hex, LogWriter, MAX_ADDRESSES, Notice, Panic, Record, Text, Verdict, brief, source,
};
use spin::{Mutex, MutexGuard};

use super::delivery;
use super::screen::{COLUMNS, Cells, ROWS, Screen};
use super::serial::SerialPort;
use super::serial::uart::Lost;
use super::tape::Tape;
use crate::boot::framebuffer::Framebuffer;

static LOG: Mutex<Option<LogWriter<Console>>> = Mutex::new(None);
/// Where the log is kept until there is memory for it.
static EARLY: Mutex<[u8; EARLY_BYTES]> = Mutex::new([0; EARLY_BYTES]);
/// The boot stretch writes some KiB.
const EARLY_BYTES: usize = 24 << 10;
/// Taken while `LOG` is held, or by itself.
static SCREEN: Mutex<Option<Screen<'_>>> = Mutex::new(None);
/// What it shows. It is the screen's for ever, once there is one.
static CELLS: Mutex<Cells> = Mutex::new([[0; COLUMNS]; ROWS]);
/// The screen shows that the port is lost.
static LOSS_SHOWN: AtomicBool = AtomicBool::new(false);
/// The screen shows a panic.
static LAST_WORDS_SHOWN: AtomicBool = AtomicBool::new(false);

/// Starts the log on a serial port, if there is one, and takes the messages of crates that use `log`.
pub fn start(port: SerialPort) {
    *LOG.lock() = Some(LogWriter::new(Console { port, tape: None }));
    // An error says that there is a logger already: then the log was started before, and that one serves.
    let _ = log::set_logger(&Messages);
    log::set_max_level(LevelFilter::Info);
}

/// Writes LAVA's signal of each case and check from now on.
pub fn signal_test_cases() {
    if let Some(log) = LOG.lock().as_mut() {
        log.signal_test_cases();
    }
}

/// Has a screen show what is written from now on, once it is shown itself.
///
/// # Safety
///
/// As for [`Screen::new`], and called once.
pub unsafe fn add_screen(framebuffer: Framebuffer, identity: bool) {
    let cells = MutexGuard::leak(CELLS.lock());
    // SAFETY: the caller's promise.
    *SCREEN.lock() = unsafe { Screen::new(framebuffer, identity, cells) };
    if let Some(log) = LOG.lock().as_mut() {
        log.out().tape = Some(Tape::new(&mut MutexGuard::leak(EARLY.lock())[..]));
    }
}

/// The identity mapping of the boot stretch is about to go.
pub fn boot_stretch_ends() {
    if let Some(log) = LOG.lock().as_mut() {
        delivery::timed(|| log.out().port.unmap());
    }
    with_screen(Screen::boot_stretch_ends);
}

/// Does something with the serial port, once the log has been started.
pub fn with_port<T>(work: impl FnOnce(&mut SerialPort) -> T) -> Option<T> {
    LOG.lock().as_mut().map(|log| work(&mut log.out().port))
}

/// Keeps the log in this memory from now on, if it is kept at all.
pub fn move_tape(memory: &'static mut [u8]) {
    if let Some(log) = LOG.lock().as_mut()
        && let Some(tape) = &mut log.out().tape
    {
        tape.move_to(memory);
    }
}

/// Does something with the log as it is kept, and the screen.
pub fn with_tape_and_screen(work: impl FnOnce(&Tape, &mut Screen<'static>)) {
    if let Some(log) = LOG.lock().as_mut()
        && let Some(tape) = &log.out().tape
    {
        with_screen(|screen| work(tape, screen));
    }
}

/// Whether the log reaches anybody: by a serial port, or at least in words on the screen.
pub fn is_heard() -> bool {
    with_port(|port| port.works()).unwrap_or(false)
        || SCREEN.lock().as_ref().is_some_and(Screen::is_shown)
}

/// Writes to the screen only: text that is no part of the log, such as where the log goes.
#[inline(never)]
pub fn aside(text: fmt::Arguments<'_>) {
    with_screen(|screen| {
        let _ = writeln!(screen, "{text}");
    });
}

/// Where the log goes: the port, if there is one, and memory, if there is a screen to show it on.
struct Console {
    port: SerialPort,
    tape: Option<Tape>,
}

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if let Some(tape) = &mut self.tape {
            tape.write(text.as_bytes());
        }
        delivery::timed(|| self.port.write_str(text))
    }
}

/// Says on the screen, once, that the port was given up.
#[inline(never)]
fn show_loss(port: &SerialPort) {
    let Some(why) = port.lost() else {
        return;
    };
    let Some(place) = port.place() else {
        return;
    };
    if !LOSS_SHOWN.swap(true, Relaxed) {
        let why = match why {
            Lost::Stuck => "takes no more bytes",
            Lost::Gone => "does not answer any more",
            Lost::NotMapped => "cannot be mapped",
        };
        aside(format_args!(
            "serial port given up: {place} {why}; the log is not whole there"
        ));
    }
}

/// Does something with the screen, if there is one.
pub fn with_screen(work: impl FnOnce(&mut Screen<'static>)) {
    if let Some(screen) = SCREEN.lock().as_mut() {
        delivery::timed(|| work(screen));
    }
}

/// Writes a record.
pub fn record(record: &Record<Text<'_>>) {
    if let Some(log) = LOG.lock().as_mut() {
        // A failure of the console has nowhere to be reported.
        let _ = log.record(record);
        with_screen(|screen| {
            let _ = brief::write(record, screen);
        });
        show_loss(&log.out().port);
    }
}

/// Writes a notice.
#[inline(never)]
pub fn notice(text: fmt::Arguments<'_>) {
    record(&Record::Notice(Notice { text: text.into() }));
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
#[inline(never)]
pub fn line(text: fmt::Arguments<'_>) {
    if let Some(log) = LOG.lock().as_mut() {
        let _ = writeln!(log, "{text}");
        with_screen(|screen| {
            let _ = writeln!(screen, "{text}");
        });
        show_loss(&log.out().port);
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
        file: source(file).into(),
        line,
        addresses,
    });
    // SAFETY: one CPU runs, and it does not return to the code that holds the lock.
    unsafe { LOG.force_unlock() };
    // SAFETY: as above.
    unsafe { SCREEN.force_unlock() };
    let _ = LOG
        .lock()
        .get_or_insert_with(|| {
            LogWriter::new(Console {
                port: port(),
                tape: None,
            })
        })
        .record(&record);
    // Last, and only once, as what fails may be the screen.
    if !LAST_WORDS_SHOWN.swap(true, Relaxed) {
        with_screen(|screen| {
            screen.show_early();
            let _ = brief::write(&record, screen);
        });
    }
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
