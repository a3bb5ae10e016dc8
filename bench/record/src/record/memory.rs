//! The frames that the buddy has: where, how many, and in which blocks.

use core::fmt;

#[cfg(feature = "read")]
use serde::Deserialize;
use serde::Serialize;

use crate::Hex;

/// A zone of the buddy, as the boot-time allocator handed it over.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
pub struct Zone<T> {
    /// The zone's name.
    pub name: T,
    /// Its first physical address.
    pub start: Hex,
    /// The physical address behind its last.
    pub end: Hex,
    /// Frames in it that are free.
    pub free_frames: u64,
}

/// Orders of blocks that a [`Buddyinfo`] has figures for: 0 to 10.
pub const ORDERS: usize = 11;

/// The free blocks of one zone at one moment, order by order: Linux's `/proc/buddyinfo` and `extfrag_index`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
pub struct Buddyinfo<T> {
    /// When.
    pub moment: Moment,
    /// The zone's name.
    pub zone: T,
    /// Free blocks of each order.
    pub blocks: [u64; ORDERS],
    /// For each order why a request of it would fail, in thousandths: towards 0 for lack of memory, towards 1000 because what
    /// is free lies in pieces. None where a block is there.
    pub fragmentation: [Option<u64>; ORDERS],
}

/// When something was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
#[serde(rename_all = "lowercase")]
pub enum Moment {
    /// Before the first case.
    Start,
    /// While a check has made what it counts.
    Check,
    /// After the last case.
    End,
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "start",
            Self::Check => "check",
            Self::End => "end",
        })
    }
}

/// Whether the run gave back every frame it took.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
pub struct Frames {
    /// Free frames before the first case.
    pub at_start: u64,
    /// Free frames after the last.
    pub at_end: u64,
}
