//! Serial ports: 16550s at I/O ports, in memory and on PCI, with 8 data bits, no parity, 1 stop bit and no flow control.
//!
//! `find` picks the one that the log goes to. Every byte is polled out, so nothing is printed inside a timed region; a port
//! that takes no more bytes is given up, and the run goes on without it.

#[cfg(target_os = "none")]
mod access;
pub mod pci;
pub mod place;
#[cfg(target_os = "none")]
mod port;
#[cfg(target_os = "none")]
mod ports;
pub mod uart;

#[cfg(target_os = "none")]
pub use port::{SerialPort, find, place_of};
