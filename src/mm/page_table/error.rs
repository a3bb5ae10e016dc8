//! What can go wrong, by operation. Whatever it is, no mapping has changed.

use core::{error, fmt};

use crate::mm::address::{PageSize, VirtAddr};

/// Why a range is no range of pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RangeError {
    /// It does not start at a page.
    Misaligned {
        /// Its start.
        address: VirtAddr,
    },
    /// It has no pages, wraps, or leaves the half of the address space that it starts in.
    NotCanonical {
        /// Its start.
        address: VirtAddr,
        /// Its length in pages.
        pages: u64,
    },
    /// Not all of it belongs to who edits it.
    NotOwned {
        /// Its start.
        address: VirtAddr,
        /// Its length in pages.
        pages: u64,
    },
}

impl fmt::Display for RangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RangeError::Misaligned { address } => write!(f, "{address} is not the start of a page"),
            RangeError::NotCanonical { address, pages } => {
                write!(f, "{pages} pages from {address} are no canonical range")
            }
            RangeError::NotOwned { address, pages } => {
                write!(f, "{pages} pages from {address} are not all the owner's")
            }
        }
    }
}

impl error::Error for RangeError {}

/// Why a mapping was not made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MapError {
    /// The range cannot be mapped.
    Range(RangeError),
    /// Something is mapped already.
    AlreadyMapped {
        /// Where.
        address: VirtAddr,
    },
    /// There are too few frames for the tables that are missing.
    OutOfTables {
        /// Where the range starts.
        address: VirtAddr,
        /// How many are missing.
        tables: u64,
    },
}

impl From<RangeError> for MapError {
    fn from(error: RangeError) -> Self {
        MapError::Range(error)
    }
}

impl fmt::Display for MapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MapError::Range(error) => error.fmt(f),
            MapError::AlreadyMapped { address } => write!(f, "{address} is already mapped"),
            MapError::OutOfTables { address, tables } => {
                write!(f, "no frames for {tables} tables to map {address}")
            }
        }
    }
}

impl error::Error for MapError {}

/// Why mappings were not changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChangeError {
    /// The range cannot have mappings.
    Range(RangeError),
    /// Nothing is mapped there.
    NotMapped {
        /// The first address without a mapping.
        address: VirtAddr,
    },
    /// The range holds only a part of a large leaf.
    CutsLeaf {
        /// Where in the leaf the range starts or goes on.
        address: VirtAddr,
        /// The leaf's size.
        size: PageSize,
    },
    /// The frames for a large leaf are not contiguous or not aligned to its size.
    NoBlock {
        /// The leaf.
        address: VirtAddr,
        /// Its size.
        size: PageSize,
    },
    /// A mapping would get more or fewer frames than it has pages.
    FrameCount {
        /// Where the mapping starts.
        address: VirtAddr,
        /// Its pages.
        pages: u64,
        /// The frames for it.
        frames: u64,
    },
}

impl From<RangeError> for ChangeError {
    fn from(error: RangeError) -> Self {
        ChangeError::Range(error)
    }
}

impl fmt::Display for ChangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChangeError::Range(error) => error.fmt(f),
            ChangeError::NotMapped { address } => write!(f, "{address} is not mapped"),
            ChangeError::CutsLeaf { address, size } => {
                write!(f, "the range cuts the {size:?} leaf at {address}")
            }
            ChangeError::NoBlock { address, size } => {
                write!(
                    f,
                    "the frames for the {size:?} leaf at {address} are no aligned block"
                )
            }
            ChangeError::FrameCount {
                address,
                pages,
                frames,
            } => write!(f, "{frames} frames for the {pages} pages from {address}"),
        }
    }
}

impl error::Error for ChangeError {}

/// A tree that cannot be taken apart, as there is still a table or a leaf in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotEmpty {
    /// The first address that the root has an entry for.
    pub address: VirtAddr,
}

impl fmt::Display for NotEmpty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the root still has an entry for {}", self.address)
    }
}

impl error::Error for NotEmpty {}

/// Why a leaf was not split, or leaves were not collapsed into one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResizeError {
    /// Not all that the larger leaf maps belongs to who edits it.
    NotOwned {
        /// The address.
        address: VirtAddr,
        /// The larger leaf's size.
        size: PageSize,
    },
    /// The address is none that the tables can map.
    NotCanonical {
        /// The address.
        address: VirtAddr,
    },
    /// Nothing is mapped there.
    NotMapped {
        /// The first address without a mapping.
        address: VirtAddr,
    },
    /// It is a 4 KiB leaf, or one of 4 KiB was asked for.
    Smallest {
        /// The address.
        address: VirtAddr,
    },
    /// The address is not a multiple of the size that was asked for.
    Misaligned {
        /// The address.
        address: VirtAddr,
        /// The size.
        size: PageSize,
    },
    /// The leaf there has that size already, or a larger one.
    AlreadyLarge {
        /// The address.
        address: VirtAddr,
    },
    /// The leaf there is not of the next smaller size, does not continue the frames before it, or allows something else.
    NoContinuation {
        /// The first such leaf.
        address: VirtAddr,
    },
    /// There is no frame for the table that a split needs.
    OutOfTables {
        /// The address.
        address: VirtAddr,
    },
}

impl fmt::Display for ResizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ResizeError::NotOwned { address, size } => {
                write!(f, "not all of the {size:?} at {address} are the owner's")
            }
            ResizeError::NotCanonical { address } => write!(f, "{address} is not canonical"),
            ResizeError::NotMapped { address } => write!(f, "{address} is not mapped"),
            ResizeError::Smallest { address } => {
                write!(f, "{address}: there is no smaller leaf than 4 KiB")
            }
            ResizeError::Misaligned { address, size } => {
                write!(f, "no {size:?} leaf can start at {address}")
            }
            ResizeError::AlreadyLarge { address } => write!(f, "the leaf at {address} is large"),
            ResizeError::NoContinuation { address } => {
                write!(f, "the leaf at {address} does not continue those before it")
            }
            ResizeError::OutOfTables { address } => {
                write!(f, "no frame for a table to split {address}")
            }
        }
    }
}

impl error::Error for ResizeError {}
