//! How an entry is found: one cursor that goes over a range table by table, from the PD that it went to last where that has the
//! range. Nothing here changes an entry.

pub(in crate::mm::page_table) mod count;
pub(in crate::mm::page_table) mod cursor;
pub(in crate::mm::page_table) mod directory;
#[cfg(test)]
mod path;
pub(in crate::mm::page_table) mod translate;
