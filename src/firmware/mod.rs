//! The firmware: what its ACPI tables say, what a BIOS leaves in memory, and how the machine is left.

pub mod acpi;
pub mod bios;
pub mod complaints;
#[cfg(target_os = "none")]
pub mod leave;
pub mod physical;
pub mod real_time_clock;
