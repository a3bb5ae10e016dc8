//! What an area is for, and what it owns.

use core::fmt;

use crate::mm::address::Pfn;
use crate::mm::frame::{Block, BlockList};
use crate::mm::page_table::Mapping;

/// The mapping behind an area, and with it the frames that are freed with the area.
#[derive(PartialEq, Eq, Debug)]
pub enum Contents {
    /// vmalloc of frames that are one block.
    Block(Mapping<Block>),
    /// vmalloc of any frames.
    Frames(Mapping<BlockList>),
    /// vmalloc of frames that are free only after the flush, under any policy: the area was executable once, or its protection was
    /// changed.
    Flushed(Mapping<BlockList>),
    /// vmap: the frames are the caller's.
    Borrowed(Mapping<()>),
    /// ioremap: a device's memory, from this frame on.
    Device(Mapping<Pfn>),
}

impl Contents {
    /// What the area is for.
    #[must_use]
    #[inline]
    pub const fn kind(&self) -> Kind {
        match self {
            Contents::Block(_) | Contents::Frames(_) | Contents::Flushed(_) => Kind::Vmalloc,
            Contents::Borrowed(_) => Kind::Vmap,
            Contents::Device(_) => Kind::Ioremap,
        }
    }

    /// The mapping of one block, if it is that.
    #[inline]
    pub(super) const fn block(&self) -> Option<&Mapping<Block>> {
        match self {
            Contents::Block(mapping) => Some(mapping),
            _ => None,
        }
    }

    /// [`block`](Self::block), taken out.
    #[inline]
    pub(super) fn into_block(self) -> Option<Mapping<Block>> {
        match self {
            Contents::Block(mapping) => Some(mapping),
            _ => None,
        }
    }

    /// The mapping of any frames, if it is that and none of them has to wait for the flush.
    pub(super) const fn frames(&self) -> Option<&Mapping<BlockList>> {
        match self {
            Contents::Frames(mapping) => Some(mapping),
            _ => None,
        }
    }

    /// [`frames`](Self::frames), taken out.
    pub(super) fn into_frames(self) -> Option<Mapping<BlockList>> {
        match self {
            Contents::Frames(mapping) => Some(mapping),
            _ => None,
        }
    }

    /// The mapping of the caller's frames, if it is that.
    #[inline]
    pub(super) const fn borrowed(&self) -> Option<&Mapping<()>> {
        match self {
            Contents::Borrowed(mapping) => Some(mapping),
            _ => None,
        }
    }

    /// [`borrowed`](Self::borrowed), taken out.
    #[inline]
    pub(super) fn into_borrowed(self) -> Option<Mapping<()>> {
        match self {
            Contents::Borrowed(mapping) => Some(mapping),
            _ => None,
        }
    }

    /// Pages that are mapped.
    #[must_use]
    pub const fn pages(&self) -> u64 {
        match self {
            Contents::Block(mapping) => mapping.pages(),
            Contents::Frames(mapping) | Contents::Flushed(mapping) => mapping.pages(),
            Contents::Borrowed(mapping) => mapping.pages(),
            Contents::Device(mapping) => mapping.pages(),
        }
    }
}

/// What an area is for; named after the call that made it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// vmalloc and its variants; freed by vfree.
    Vmalloc,
    /// vmap; freed by vunmap.
    Vmap,
    /// ioremap; freed by iounmap.
    Ioremap,
}

impl Kind {
    /// The call that frees such an area.
    #[must_use]
    pub const fn freed_by(self) -> &'static str {
        match self {
            Kind::Vmalloc => "vfree",
            Kind::Vmap => "vunmap",
            Kind::Ioremap => "iounmap",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Vmalloc => "vmalloc",
            Kind::Vmap => "vmap",
            Kind::Ioremap => "ioremap",
        })
    }
}
