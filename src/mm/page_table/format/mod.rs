//! What an entry is: its bits, the levels of tables, the entries of one table as a whole. Nothing here knows a tree.

pub(in crate::mm::page_table) mod entries;
pub(in crate::mm::page_table) mod entry;
pub(in crate::mm::page_table) mod levels;
pub(in crate::mm::page_table) mod memory_type;
pub(in crate::mm::page_table) mod pt;
