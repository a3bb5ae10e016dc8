//! A look at every leaf of a live table, for what must not be there.

use crate::mm::address::VirtAddr;
use crate::mm::hardware::PhysicalMemory;
use crate::mm::page_table::PageTable;

/// What an audit of a live table found.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Audit {
    /// Leaves of 4 KiB, 2 MiB and 1 GiB.
    pub leaves: [u64; 3],
    /// A leaf that is writable and executable, if there is one.
    pub writable_executable: Option<VirtAddr>,
    /// A leaf in the lower half, if there is one.
    pub lower_half: Option<VirtAddr>,
}

impl Audit {
    /// Looks at every leaf of the table.
    pub fn of<M: PhysicalMemory>(table: &PageTable<M>) -> Self {
        let mut audit = Audit::default();
        table.for_each_leaf(|address, leaf| {
            audit.leaves[leaf.size() as usize] += 1;
            if leaf.protection().is_writable() && leaf.protection().is_executable() {
                audit.writable_executable.get_or_insert(address);
            }
            if address.0 >> 63 == 0 {
                audit.lower_half.get_or_insert(address);
            }
        });
        audit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mm::address::{PageSize, Pfn};
    use crate::mm::model::Arena;
    use crate::mm::page_table::Protection;

    #[test]
    fn an_audit_finds_what_must_not_be() {
        let arena = Arena::new(64);
        let mut table = arena.page_table();
        let mut tables = arena.tables(63);
        let low = VirtAddr(0x5000);
        table
            .map(
                low,
                Pfn(5)..Pfn(6),
                Protection::READ,
                PageSize::Size4K,
                &mut tables,
            )
            .unwrap();
        assert_eq!(Audit::of(&table).lower_half, Some(low));
        assert_eq!(Audit::of(&table).leaves, [1, 0, 0]);
    }
}
