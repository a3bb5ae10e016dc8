//! What an area is for, and what it owns.

use core::fmt;

use crate::mm::frame::BlockList;
use crate::mm::page_table::Mapping;

/// The mapping behind an area.
#[derive(PartialEq, Eq, Debug)]
pub enum Contents {
    /// vmalloc: the frames go with the area.
    Frames(Mapping<BlockList>),
    /// ioremap: a device's memory.
    Device(Mapping<()>),
}

impl Contents {
    /// What the area is for.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Contents::Frames(_) => Kind::Vmalloc,
            Contents::Device(_) => Kind::Ioremap,
        }
    }
}

/// What an area is for; named after the call that made it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// vmalloc and its variants.
    Vmalloc,
    /// ioremap.
    Ioremap,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Vmalloc => "vmalloc",
            Kind::Ioremap => "ioremap",
        })
    }
}
