//! The firmware: what its ACPI tables say, and how the machine is left.

pub mod acpi;
pub mod leave;
