//! What can go wrong with an area.

use core::{error, fmt};

use super::area::SearchError;
use super::contents::Kind;
use crate::mm::address::VirtAddr;
use crate::mm::frame::{BulkError, FreeError};
use crate::mm::page_table::{ChangeError, MapError};

/// Why no area was allocated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VmallocError {
    /// 0 bytes were asked for.
    NoBytes,
    /// More bytes than the machine has.
    MoreThanRam {
        /// Bytes asked for.
        bytes: u64,
        /// Bytes of RAM that the allocator has in all.
        present: u64,
    },
    /// No addresses.
    Search(SearchError),
    /// No frames.
    Frames(BulkError),
    /// No tables, or somebody else's mapping inside the region.
    Table(MapError),
}

impl From<SearchError> for VmallocError {
    fn from(error: SearchError) -> Self {
        VmallocError::Search(error)
    }
}

impl From<BulkError> for VmallocError {
    fn from(error: BulkError) -> Self {
        VmallocError::Frames(error)
    }
}

impl From<MapError> for VmallocError {
    fn from(error: MapError) -> Self {
        VmallocError::Table(error)
    }
}

impl fmt::Display for VmallocError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            VmallocError::NoBytes => write!(f, "vmalloc of 0 bytes"),
            VmallocError::MoreThanRam { bytes, present } => {
                write!(f, "vmalloc of {bytes} bytes on a machine of {present}")
            }
            VmallocError::Search(error) => error.fmt(f),
            VmallocError::Frames(error) => error.fmt(f),
            VmallocError::Table(error) => error.fmt(f),
        }
    }
}

impl error::Error for VmallocError {}

/// Why an area was not freed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VfreeError {
    /// Areas start at pages.
    Misaligned {
        /// The address that was given.
        address: VirtAddr,
    },
    /// No area starts there: null, inside an area, freed before, or never one.
    NoArea {
        /// The address that was given.
        address: VirtAddr,
    },
    /// The area there is not of the kind that the call frees: vfree of a device, or iounmap of anything else.
    WrongKind {
        /// The address that was given.
        address: VirtAddr,
        /// The kind of the area.
        found: Kind,
    },
    /// The area's pages are not mapped as vmalloc mapped them.
    Pages(ChangeError),
    /// The area is gone, but some of its frames had been freed by number before.
    Frames(FreeError),
}

impl fmt::Display for VfreeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            VfreeError::Misaligned { address } => {
                write!(f, "vfree of {address}, which is not the start of a page")
            }
            VfreeError::NoArea { address } => write!(f, "vfree of {address}, where no area starts"),
            VfreeError::WrongKind { address, found } => {
                write!(f, "vfree of {address}, where an area of {found} starts")
            }
            VfreeError::Pages(error) => write!(f, "vfree: {error}"),
            VfreeError::Frames(error) => write!(f, "vfree: {error}"),
        }
    }
}

impl error::Error for VfreeError {}
