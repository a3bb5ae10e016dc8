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
}

impl fmt::Display for RangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RangeError::Misaligned { address } => write!(f, "{address} is not the start of a page"),
            RangeError::NotCanonical { address, pages } => {
                write!(f, "{pages} pages from {address} are no canonical range")
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
        }
    }
}

impl error::Error for ChangeError {}
