//! The console: the serial port and the screen, and the log that goes out on both.

pub mod codes;
#[cfg(target_os = "none")]
pub mod delivery;
#[cfg(target_os = "none")]
pub mod log;
#[cfg(hosted)]
pub use crate::hosted::log;
pub mod screen;
pub mod serial;
#[cfg(target_os = "none")]
pub mod show;
#[cfg(any(target_os = "none", hosted))]
pub mod start;
pub mod tape;
