//! An area as its owner holds it.

use crate::mm::address::VirtAddr;

/// An area that its holder owns. It goes back by value; dropping it leaks the area.
#[must_use = "the area leaks unless it is freed"]
#[derive(PartialEq, Eq, Debug)]
pub struct Area {
    pub(super) start: VirtAddr,
    pub(super) bytes: u64,
    /// Where the search keeps it.
    pub(super) slot: u32,
}

impl Area {
    /// First address.
    #[must_use]
    pub const fn start(&self) -> VirtAddr {
        self.start
    }

    /// Bytes that may be used: a whole number of pages.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The first address behind it: that of the guard page, unless the area was asked for without.
    #[must_use]
    pub const fn guard_page(&self) -> VirtAddr {
        VirtAddr(self.start.0 + self.bytes)
    }

    /// Gives up the value but not the area, which is freed by its address.
    #[must_use = "the area leaks unless somebody remembers its address"]
    pub const fn into_raw(self) -> VirtAddr {
        self.start
    }
}
