//! The exit statuses that commands have in common.

/// The status for what could not be done as it was asked for.
pub(super) const CANNOT: u8 = 2;
/// The status for too few boots.
pub(super) const UNDECIDED: u8 = 3;
/// The status for a log that is not whole.
pub(super) const BROKEN_LOG: u8 = 4;
