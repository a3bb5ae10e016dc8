//! The console: the serial port, and the log that goes out on it.

pub mod log;
pub mod serial;
