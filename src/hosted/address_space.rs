//! What stands for CR3: the root that page walks in software begin at.

use super::{tlb, walk};
use crate::mm::address::Pfn;

/// Walks begin at `root` from now on. The software TLB is emptied.
///
/// # Safety
///
/// `root` is the root of a tree, and stays one until the next switch.
pub unsafe fn switch_to(root: Pfn) {
    walk::walker().set_root(root);
    tlb::flush_everything();
}
