//! Page tables of other projects behind one interface, so that one set of shapes measures them all.
//!
//! Four levels, in a root of their own, all tables out of a few frames of their own. Each flushes as it is meant to, and
//! where that is left to the caller, by the cheapest way that is enough: nothing for a new mapping, INVLPG for one page, a CR3
//! reload for more than [`CEILING`]. Their leaves are not global.

mod multiarch;
mod offset_page_table;

pub use multiarch::Multiarch;
pub use offset_page_table::Offset;

/// Frames that a peer gets for its tables.
pub const TABLE_FRAMES: u64 = 8;
/// Most pages that are flushed one by one.
pub const CEILING: u64 = 33;

/// What every one of them does. Ranges are pages of 4 KiB, mapped to contiguous frames. `false` is any error.
pub trait PageTables {
    /// Physical address of the root.
    fn root(&self) -> u64;

    /// Maps `pages` pages from `start` to what lies from `physical` on, to be read and written.
    fn map(&mut self, start: u64, physical: u64, pages: u64) -> bool;

    /// Makes mapped pages read-only.
    fn protect(&mut self, start: u64, pages: u64) -> bool;

    /// Takes the mapping of pages away.
    fn unmap(&mut self, start: u64, pages: u64) -> bool;

    /// The physical address behind `address`.
    fn translate(&self, address: u64) -> Option<u64>;
}
