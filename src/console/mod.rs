//! The console: the serial port and the screen, and the log that goes out on both.

#[cfg(target_os = "none")]
pub mod log;
pub mod screen;
pub mod serial;
