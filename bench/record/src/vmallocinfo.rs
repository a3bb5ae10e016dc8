//! The areas of the vmalloc region: the contents of Linux's `/proc/vmallocinfo`, as a record.

use core::fmt;

use arrayvec::ArrayVec;
#[cfg(feature = "read")]
use serde::Deserialize;
use serde::Serialize;

use crate::{Hex, Moment};

/// The most areas that a [`Vmallocinfo`] lists. A machine can have a hundred thousand, and the log a slow line.
pub const MAX_AREAS: usize = 16;

/// The vmalloc region at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
pub struct Vmallocinfo {
    /// When.
    pub moment: Moment,
    /// Areas in use, listed or not.
    pub live: u64,
    /// Areas that were freed, but whose addresses wait for a flush: Linux's "unpurged" ones.
    pub waiting: u64,
    /// Pages of such areas above which the flush is due.
    pub lazy_max_pages: u64,
    /// Those in use with the lowest addresses, lowest first.
    pub areas: ArrayVec<Area, MAX_AREAS>,
}

impl Vmallocinfo {
    /// Areas in use that are not listed.
    pub fn more(&self) -> u64 {
        self.live.saturating_sub(self.areas.len() as u64)
    }
}

/// One area.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
pub struct Area {
    /// Its first address.
    pub start: Hex,
    /// The address behind its last, the guard page counted in.
    pub end: Hex,
    /// Pages of 4 KiB that are mapped.
    pub pages: u64,
    /// What it is for.
    pub kind: AreaKind,
    /// What its first page allows.
    pub access: Access,
    /// How accesses to its first page are cached.
    pub memory_type: MemoryType,
    /// Its first page is mapped by a leaf of 2 MiB.
    #[serde(default, skip_serializing_if = "is_false")]
    pub huge: bool,
    /// Of a device, where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub physical: Option<Hex>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// Makes an enum whose variants the log has as words.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$variant_about:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
        #[cfg_attr(feature = "read", derive(Deserialize))]
        pub enum $name {
            $($(#[$variant_about])* #[serde(rename = $word)] $variant,)+
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(match self {
                    $(Self::$variant => $word,)+
                })
            }
        }
    };
}

words! {
    /// What an area is for: the call that made it.
    AreaKind {
        /// vmalloc and its variants: the frames are the area's.
        Vmalloc = "vmalloc",
        /// vmap: the frames are the caller's.
        Vmap = "vmap",
        /// ioremap: the memory of a device.
        Ioremap = "ioremap",
    }
}

words! {
    /// What a mapping allows.
    Access {
        /// Reads.
        Read = "r",
        /// Reads and writes.
        ReadWrite = "rw",
        /// Reads and instruction fetches.
        ReadExecute = "rx",
    }
}

words! {
    /// How accesses through a mapping are cached (Intel SDM volume 3, table 13-2), unless the MTRRs say less.
    MemoryType {
        /// As RAM.
        WriteBack = "WB",
        /// Writes are gathered, nothing is cached.
        WriteCombining = "WC",
        /// Not cached, unless an MTRR says WC.
        UncacheableMinus = "UC-",
        /// Not cached.
        Uncacheable = "UC",
        /// Reads are cached, writes go to memory.
        WriteProtected = "WP",
        /// Reads are cached, writes go to cache and memory.
        WriteThrough = "WT",
    }
}
