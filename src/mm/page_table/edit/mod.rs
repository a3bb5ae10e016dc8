//! What is done to entries. Each edit first goes over its range to look at every entry that it will change, and then goes over it
//! again to change them: an error leaves everything as it was.

pub(in crate::mm::page_table) mod change;
pub(in crate::mm::page_table) mod fixed;
pub(in crate::mm::page_table) mod frames;
pub(in crate::mm::page_table) mod harvest;
pub(in crate::mm::page_table) mod map;
pub(in crate::mm::page_table) mod mapping;
pub mod release;
pub(in crate::mm::page_table) mod resize;
mod unmap;
mod vacant;
