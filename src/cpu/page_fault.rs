//! A page fault as the CPU reports it: the address in CR2, and the error code.

use core::fmt;

use bitflags::bitflags;

use crate::mm::address::VirtAddr;

bitflags! {
    /// The page-fault error code (Intel SDM volume 3, figure 5-12).
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct PageFaultError: u64 {
        /// A protection violation; clear: the page is not present.
        const PRESENT = 1 << 0;
        /// A write; clear: a read or a fetch.
        const WRITE = 1 << 1;
        /// From user mode.
        const USER = 1 << 2;
        /// A reserved bit is set in an entry.
        const RESERVED = 1 << 3;
        /// An instruction fetch.
        const FETCH = 1 << 4;
    }
}

impl fmt::Display for PageFaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let access = if self.contains(Self::FETCH) {
            "fetch"
        } else if self.contains(Self::WRITE) {
            "write"
        } else {
            "read"
        };
        let cause = if self.contains(Self::RESERVED) {
            "reserved bit set"
        } else if self.contains(Self::PRESENT) {
            "protection"
        } else {
            "not present"
        };
        write!(f, "{access}, {cause}")
    }
}

/// A page fault that a probe met.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageFault {
    /// CR2: the address whose access faulted.
    pub address: VirtAddr,
    /// Why.
    pub error: PageFaultError,
}

impl fmt::Display for PageFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "page fault at {} ({})", self.address, self.error)
    }
}
