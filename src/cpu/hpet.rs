//! The general registers of the HPET (IA-PC HPET Specification 1.0a, 2.3).

use core::ops::RangeInclusive;

/// Bytes of all registers.
pub const BYTES: u64 = 0x400;
/// Capabilities: bits 63 to 32 are the counter's period in femtoseconds.
pub const CAPABILITIES: u64 = 0x00;
/// Configuration.
pub const CONFIGURATION: u64 = 0x10;
/// The counter.
pub const MAIN_COUNTER: u64 = 0xf0;
/// Bit of the configuration: the counter runs.
pub const RUNS: u64 = 1 << 0;
/// Periods in femtoseconds that a timer can have: up to the specification's 100 ns, and no less than Linux takes for one.
pub const PERIODS: RangeInclusive<u64> = 100_000..=100_000_000;
