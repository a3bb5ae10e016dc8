//! Why the machine does not come up: what the user reads in the `error` record.

use core::{error, fmt};

use crate::boot::BootError;
use crate::console::serial::place::Place;
use crate::mm::address::PhysAddr;
use crate::mm::frame;
use crate::mm::kernel_map::KernelMapError;
use crate::mm::layout::LayoutError;
use crate::mm::memory_map::TooManyRanges;
use crate::mm::page_table;

/// Why the machine could not be brought up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BringUpError {
    /// The loader's information cannot be used.
    Boot(BootError),
    /// The memory map has too many ranges.
    Map(TooManyRanges),
    /// The regions do not fit.
    Layout(LayoutError),
    /// The CPU lacks what the image cannot do without.
    NoFeature(&'static str),
    /// Too little RAM to run.
    TooLittleMemory {
        /// Bytes that are free.
        free: u64,
        /// Bytes that have to be.
        needed: u64,
    },
    /// RAM ends beyond what the layout's direct map can cover.
    BeyondDirectMap {
        /// Where RAM ends.
        top: PhysAddr,
        /// Where the direct map ends.
        limit: PhysAddr,
    },
    /// The serial port that the command line names cannot be one, and why.
    NoSerialPort(Place, &'static str),
    /// The number of free frames beyond the zones that the frame allocator has room for.
    TooManyFrames(u64),
    /// The memory system could not be set up.
    Memory(SetUpError),
}

impl fmt::Display for BringUpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BringUpError::Boot(error) => error.fmt(f),
            BringUpError::Map(error) => error.fmt(f),
            BringUpError::Layout(error) => error.fmt(f),
            BringUpError::NoFeature(name) => write!(f, "this CPU has no {name}"),
            BringUpError::TooLittleMemory { free, needed } => {
                write!(
                    f,
                    "too little memory: {} KiB are free, {} KiB are needed",
                    free >> 10,
                    needed >> 10
                )
            }
            BringUpError::BeyondDirectMap { top, limit } => write!(
                f,
                "RAM ends at {top}, and the direct map of this layout at {limit}: layout=wide5 has more room"
            ),
            BringUpError::NoSerialPort(place, why) => {
                write!(f, "command line: no serial port is in {place}: {why}")
            }
            BringUpError::TooManyFrames(frames) => {
                write!(
                    f,
                    "{frames} free frames are beyond the last zone that there is room for"
                )
            }
            BringUpError::Memory(error) => error.fmt(f),
        }
    }
}

impl error::Error for BringUpError {}

/// Why the memory system could not be set up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SetUpError {
    /// No frames for what must be there before the allocator.
    Boot(frame::BootError),
    /// No frame for the root table.
    NoRootTable,
    /// The kernel's map could not be built.
    Map(KernelMapError),
    /// A table that is there from the start could not be made.
    Tables(page_table::MapError),
    /// The frame allocator refused the ranges.
    Frames(frame::NewError),
}

impl fmt::Display for SetUpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SetUpError::Boot(error) => error.fmt(f),
            SetUpError::NoRootTable => write!(f, "no frame below 4 GiB for the root table"),
            SetUpError::Map(error) => error.fmt(f),
            SetUpError::Tables(error) => write!(f, "tables of the start: {error}"),
            SetUpError::Frames(error) => error.fmt(f),
        }
    }
}

impl error::Error for SetUpError {}

impl From<SetUpError> for BringUpError {
    fn from(error: SetUpError) -> Self {
        BringUpError::Memory(error)
    }
}
