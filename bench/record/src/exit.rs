//! The exit status that the image gives an emulator: one byte written to QEMU's `isa-debug-exit` port.

use crate::Verdict;

/// The byte that the image writes to port 0xf4. QEMU then ends with the status `(byte << 1) | 1`; none of these bytes
/// gives a status that QEMU itself or a shell uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// Every check passed; QEMU ends with 33.
    Pass = 0x10,
    /// A check failed; QEMU ends with 35.
    Fail = 0x11,
    /// The run could not be made as it was asked for; QEMU ends with 37.
    Error = 0x12,
    /// The image panicked; QEMU ends with 39.
    Panic = 0x13,
}

impl ExitCode {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Pass, Self::Fail, Self::Error, Self::Panic];

    /// The status that QEMU ends with.
    pub const fn qemu_status(self) -> i32 {
        ((self as i32) << 1) | 1
    }

    /// The code behind a status that QEMU ended with, if the image gave it.
    pub fn from_qemu_status(status: i32) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|code| code.qemu_status() == status)
    }
}

impl From<Verdict> for ExitCode {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Pass => Self::Pass,
            Verdict::Fail => Self::Fail,
            Verdict::Error => Self::Error,
        }
    }
}
