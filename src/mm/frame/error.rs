//! What can go wrong: one enum per operation, each naming the value that offends.

use core::{error, fmt};

use super::zone::ZoneKind;
use crate::mm::address::{Order, Pfn};

/// Why frames could not be allocated. Nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AllocError {
    /// No zone of the zonelist may give a block of this order, or has one.
    OutOfFrames {
        /// The order that was asked for.
        order: Order,
    },
    /// The buddy back end in use has no blocks of this order.
    OrderTooLarge {
        /// The order that was asked for.
        order: Order,
        /// The largest that it has.
        largest: Order,
    },
}

impl fmt::Display for AllocError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            AllocError::OutOfFrames { order } => {
                write!(f, "out of frames for a block of order {order}")
            }
            AllocError::OrderTooLarge { order, largest } => {
                write!(f, "order {order} is above the largest order, {largest}")
            }
        }
    }
}

impl error::Error for AllocError {}

/// The zones of the zonelist may not give enough frames. Those already taken went back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BulkError {
    /// Frames asked for.
    pub frames: u64,
    /// Frames that could be had.
    pub available: u64,
}

impl fmt::Display for BulkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BulkError { frames, available } = self;
        write!(
            f,
            "out of frames: {frames} asked for, {available} to be had"
        )
    }
}

impl error::Error for BulkError {}

/// Why a block was not freed. Nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FreeError {
    /// The buddy back end in use has no blocks of this order.
    OrderTooLarge {
        /// The order that was given.
        order: Order,
        /// The largest that it has.
        largest: Order,
    },
    /// A block of this order cannot start at this frame.
    Misaligned {
        /// The frame that was given.
        pfn: Pfn,
        /// The order that was given.
        order: Order,
    },
    /// The frame lies in no zone.
    OutOfRange {
        /// The frame that was given.
        pfn: Pfn,
    },
    /// The frame lies in a zone, but was never the allocator's to hand out.
    Reserved {
        /// The frame that was given.
        pfn: Pfn,
    },
    /// The frame is free already (double free).
    AlreadyFree {
        /// The frame that was given.
        pfn: Pfn,
    },
    /// The block was allocated with another order.
    WrongOrder {
        /// The frame that was given.
        pfn: Pfn,
        /// The order that was given.
        order: Order,
        /// The order that it was allocated with.
        allocated: Order,
    },
    /// The block is on somebody's list of blocks, and goes back with that.
    OnList {
        /// The frame that was given.
        pfn: Pfn,
    },
    /// The frame lies inside an allocated block, not at its start.
    InsideBlock {
        /// The frame that was given.
        pfn: Pfn,
        /// The order of the block.
        order: Order,
    },
}

impl fmt::Display for FreeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            FreeError::OrderTooLarge { order, largest } => {
                write!(f, "order {order} is above the largest order, {largest}")
            }
            FreeError::Misaligned { pfn, order } => {
                write!(f, "{pfn:?} is no start of a block of order {order}")
            }
            FreeError::OutOfRange { pfn } => write!(f, "{pfn:?} lies in no zone"),
            FreeError::Reserved { pfn } => write!(f, "{pfn:?} is reserved"),
            FreeError::AlreadyFree { pfn } => write!(f, "{pfn:?} is free already"),
            FreeError::WrongOrder {
                pfn,
                order,
                allocated,
            } => write!(
                f,
                "{pfn:?} was allocated with order {allocated}, freed with order {order}"
            ),
            FreeError::OnList { pfn } => write!(f, "{pfn:?} is on a list of blocks"),
            FreeError::InsideBlock { pfn, order } => {
                write!(f, "{pfn:?} lies inside an allocated block of order {order}")
            }
        }
    }
}

impl error::Error for FreeError {}

/// Why an allocator could not be constructed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NewError {
    /// A range of usable frames is not above the one before it.
    Unsorted {
        /// Position of the range in the slice.
        range: usize,
    },
    /// A zone does not end at a multiple of 1,024 frames above the end of the one before it.
    ZoneEnd {
        /// The end that was given.
        end: Pfn,
    },
    /// A zone is not of a higher kind than the one before it.
    ZoneKind {
        /// The kind that was given.
        kind: ZoneKind,
    },
}

impl fmt::Display for NewError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            NewError::Unsorted { range } => {
                write!(
                    f,
                    "range {range} of the usable frames is not above the one before it"
                )
            }
            NewError::ZoneEnd { end } => write!(
                f,
                "zone end {end:?} is not a multiple of 1024 frames above the zone before it"
            ),
            NewError::ZoneKind { kind } => {
                write!(f, "zone {kind} is not above the zone before it in kind")
            }
        }
    }
}

impl error::Error for NewError {}
