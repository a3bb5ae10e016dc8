//! What can go wrong with an area.

use core::{error, fmt};

use super::contents::Kind;
use super::search::SearchError;
use crate::mm::address::VirtAddr;
use crate::mm::frame::{AllocError, BulkError, FreeError};
use crate::mm::page_table::{ChangeError, MapError, ResizeError};

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
    /// An alignment that is no power of two.
    Alignment {
        /// Alignment asked for, in bytes.
        align: u64,
    },
    /// No addresses.
    Search(SearchError),
    /// No frame, for an area of one page.
    Frame(AllocError),
    /// Not enough frames.
    Frames(BulkError),
    /// No tables, or somebody else's mapping inside the region.
    Table(MapError),
    /// An area of code was allocated, and could not become executable.
    Code(ProtectError),
}

impl From<ProtectError> for VmallocError {
    fn from(error: ProtectError) -> Self {
        VmallocError::Code(error)
    }
}

impl From<SearchError> for VmallocError {
    fn from(error: SearchError) -> Self {
        VmallocError::Search(error)
    }
}

impl From<AllocError> for VmallocError {
    fn from(error: AllocError) -> Self {
        VmallocError::Frame(error)
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
            VmallocError::Alignment { align } => {
                write!(
                    f,
                    "vmalloc at a multiple of {align}, which is no power of two"
                )
            }
            VmallocError::Search(error) => error.fmt(f),
            VmallocError::Frame(error) => error.fmt(f),
            VmallocError::Frames(error) => error.fmt(f),
            VmallocError::Table(error) => error.fmt(f),
            VmallocError::Code(error) => error.fmt(f),
        }
    }
}

impl error::Error for VmallocError {}

/// Why frames were not mapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VmapError {
    /// The slice is empty.
    NoFrames,
    /// Code was asked for: who else may write to the frames is their owner's business, and not known.
    Code,
    /// More frames than the machine has.
    MoreThanRam {
        /// Frames in the slice.
        count: u64,
        /// Frames that the allocator has in all.
        present: u64,
    },
    /// No addresses.
    Search(SearchError),
    /// No tables, or somebody else's mapping inside the region.
    Table(MapError),
}

impl From<SearchError> for VmapError {
    fn from(error: SearchError) -> Self {
        VmapError::Search(error)
    }
}

impl From<MapError> for VmapError {
    fn from(error: MapError) -> Self {
        VmapError::Table(error)
    }
}

impl fmt::Display for VmapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            VmapError::Code => write!(f, "vmap of frames as code"),
            VmapError::NoFrames => write!(f, "vmap of no frames"),
            VmapError::MoreThanRam { count, present } => {
                write!(f, "vmap of {count} frames on a machine of {present}")
            }
            VmapError::Search(error) => error.fmt(f),
            VmapError::Table(error) => error.fmt(f),
        }
    }
}

impl error::Error for VmapError {}

/// Why an area was not freed, by whichever call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VfreeError {
    /// Address 0. (2.4 lets it pass without a word; here that is the caller's choice.)
    Null,
    /// Areas start at pages.
    Misaligned {
        /// The address that was given.
        address: VirtAddr,
    },
    /// Not an address of the vmalloc region: of the direct map, of kmap or of the image, say.
    OutsideRegion {
        /// The address that was given.
        address: VirtAddr,
    },
    /// The area that started there was freed, and its addresses wait for a flush.
    AlreadyFreed {
        /// The address that was given.
        address: VirtAddr,
    },
    /// An area lies around the address, but starts elsewhere.
    InsideArea {
        /// The address that was given.
        address: VirtAddr,
        /// Where the area starts.
        start: VirtAddr,
    },
    /// No area is there: it was freed before, or never was.
    NoArea {
        /// The address that was given.
        address: VirtAddr,
    },
    /// The area there is freed by another call.
    WrongKind {
        /// The address that was given.
        address: VirtAddr,
        /// The kind that the call frees.
        wanted: Kind,
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
            VfreeError::Null => write!(f, "vfree of address 0"),
            VfreeError::Misaligned { address } => {
                write!(f, "vfree of {address}, which is not the start of a page")
            }
            VfreeError::OutsideRegion { address } => {
                write!(f, "vfree of {address}, outside the vmalloc region")
            }
            VfreeError::AlreadyFreed { address } => {
                write!(f, "vfree of {address}, which was freed before")
            }
            VfreeError::InsideArea { address, start } => {
                write!(f, "vfree of {address}, inside the area at {start}")
            }
            VfreeError::NoArea { address } => write!(f, "vfree of {address}, where no area is"),
            VfreeError::WrongKind {
                address,
                wanted,
                found,
            } => write!(
                f,
                "{} of {address}, where an area of {found} starts: {} is for it",
                wanted.freed_by(),
                found.freed_by()
            ),
            VfreeError::Pages(error) => write!(f, "vfree: {error}"),
            VfreeError::Frames(error) => write!(f, "vfree: {error}"),
        }
    }
}

impl error::Error for VfreeError {}

/// Why an area's protection was not changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProtectError {
    /// No area of vmalloc starts there.
    NoArea {
        /// The address that was given.
        address: VirtAddr,
    },
    /// A leaf of the direct map that has more than the area's frames was not split.
    Aliases(ResizeError),
    /// The area's pages are not mapped as vmalloc mapped them.
    Pages(ChangeError),
}

impl fmt::Display for ProtectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProtectError::NoArea { address } => {
                write!(f, "protecting {address}, where no area of vmalloc starts")
            }
            ProtectError::Aliases(error) => {
                write!(f, "the direct map beside an area of code: {error}")
            }
            ProtectError::Pages(error) => write!(f, "protecting an area: {error}"),
        }
    }
}

impl error::Error for ProtectError {}
