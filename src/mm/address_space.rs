//! Floor 5: address spaces: roots of their own, whose kernel half follows the reference table.
//!
//! A root is made with the kernel half as it is at that time. An entry that the reference table gets later (the first vmalloc
//! in 512 GiB, with four levels) is missing there until somebody touches it: the page fault copies it, and never again (the
//! book's section 4.6.2 and 7.3.2). With every entry of the vmalloc region preallocated there is nothing to miss, as in Linux
//! on x86-64 today. Nothing is ever taken back, so a table below a root entry has to stay for as long as a root has it.

use super::address::{Pfn, VirtAddr};
use super::hardware::PhysicalMemory;
use super::page_table::{Reference, TableFrames, Tables};

/// A root. Dropping it leaks its frame.
#[must_use = "the frame of the root leaks unless it is given back"]
#[derive(Debug)]
pub struct AddressSpace<M> {
    reference: Reference<M>,
    memory: M,
    root: Pfn,
}

impl<M: PhysicalMemory + Copy> AddressSpace<M> {
    /// A root with the kernel half of `reference` and an empty user half; `None` if there is no frame for it.
    ///
    /// # Safety
    ///
    /// `memory` covers the tables that `tables` gives, and those of the reference table.
    pub unsafe fn new(
        reference: Reference<M>,
        memory: M,
        tables: &mut impl TableFrames,
    ) -> Option<Self> {
        let mut frame = tables.allocate_tables(1)?;
        // SAFETY: the frame is full of zeros, covered (the caller's promise) and nobody else's.
        let root = unsafe {
            let root = frame.pop(&memory)?;
            reference.copy_kernel_half(root);
            root
        };
        Some(AddressSpace {
            reference,
            memory,
            root,
        })
    }

    /// The frame of the root: what CR3 holds while the space is in use.
    #[must_use]
    pub const fn root(&self) -> Pfn {
        self.root
    }

    /// What the page fault does: gives this root the entry for `address` that it misses. `false` if that is not what it misses.
    pub fn propagate(&self, address: VirtAddr) -> bool {
        // SAFETY: the root was made by `copy_kernel_half`.
        unsafe { self.reference.propagate(self.root, address) }
    }

    /// Takes the root's entry for `address` out again, as if the reference table had got it after the root was made. The flush of
    /// what the entry led to is the caller's.
    pub fn forget(&mut self, address: VirtAddr) {
        // SAFETY: the root is this value's, and is shared as atomics.
        unsafe { self.reference.clear_entry(self.root, address) };
    }

    /// Gives the root's frame back, full of zeros.
    ///
    /// # Safety
    ///
    /// No CPU has the root in CR3.
    pub unsafe fn into_tables(self) -> Tables {
        let mut tables = Tables::NONE;
        // SAFETY: the frame is this value's, covered by `memory`, and no CPU walks from it any more.
        unsafe {
            self.memory.zero(self.root);
            tables.push(self.root, &self.memory);
        }
        tables
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mm::address::{PAGE_SIZE, PageSize};
    use crate::mm::model::{Arena, ArenaTables};
    use crate::mm::page_table::{Levels, PageTable, Protection};

    const SLOT: u64 = 512 << 30;
    const REGION: u64 = 0xffff_c900_0000_0000;

    struct World<'a> {
        arena: &'a Arena,
        table: PageTable<&'a Arena>,
        tables: ArenaTables<'a>,
    }

    impl<'a> World<'a> {
        fn new(arena: &'a Arena) -> Self {
            World {
                arena,
                table: arena.page_table(),
                tables: ArenaTables {
                    arena,
                    next: Pfn(1),
                    end: Pfn(64),
                },
            }
        }

        fn map(&mut self, address: u64, frame: u64) {
            let frames = Pfn(frame)..Pfn(frame + 1);
            let (protection, size) = (Protection::READ_WRITE, PageSize::Size4K);
            self.table
                .map(
                    VirtAddr(address),
                    frames,
                    protection,
                    size,
                    &mut self.tables,
                )
                .unwrap();
        }

        fn space(&mut self) -> AddressSpace<&'a Arena> {
            // SAFETY: the tables stay, and the arena covers all.
            unsafe {
                let reference = self.table.reference();
                AddressSpace::new(reference, self.arena, &mut self.tables).unwrap()
            }
        }

        /// What a CPU with this root sees.
        fn seen(&self, space: &AddressSpace<&'a Arena>, address: u64) -> Option<Pfn> {
            // SAFETY: the value only reads.
            let table = unsafe { PageTable::new(self.arena, space.root(), Levels::Four) };
            let found = table.translate(VirtAddr(address))?;
            Some(found.address.frame())
        }
    }

    #[test]
    fn what_was_mapped_before_is_seen_at_once_and_so_is_all_below_its_entry() {
        let arena = Arena::new(64);
        let mut world = World::new(&arena);
        world.map(REGION, 40);
        let space = world.space();
        assert_eq!(world.seen(&space, REGION), Some(Pfn(40)));
        world.map(REGION + (1 << 30), 41);
        assert_eq!(world.seen(&space, REGION + (1 << 30)), Some(Pfn(41)));
        assert!(!space.propagate(VirtAddr(REGION)), "it missed nothing");
    }

    #[test]
    fn each_entry_is_missed_once_and_nothing_else_is_let_pass() {
        let arena = Arena::new(64);
        let mut world = World::new(&arena);
        world.map(REGION, 40);
        let spaces = [world.space(), world.space()];
        world.map(REGION + SLOT, 41);
        world.map(REGION + SLOT + PAGE_SIZE, 42);
        for space in &spaces {
            assert_eq!(world.seen(space, REGION + SLOT), None);
            assert!(
                !space.propagate(VirtAddr(REGION + SLOT + 2 * PAGE_SIZE)),
                "absent there, too"
            );
            assert!(space.propagate(VirtAddr(REGION + SLOT + 8)));
            assert!(!space.propagate(VirtAddr(REGION + SLOT + 8)));
            assert!(!space.propagate(VirtAddr(REGION + SLOT + PAGE_SIZE)));
            assert_eq!(world.seen(space, REGION + SLOT), Some(Pfn(41)));
            assert_eq!(world.seen(space, REGION + SLOT + PAGE_SIZE), Some(Pfn(42)));
        }
        // The user half is nobody's but the space's.
        world.map(0x5000, 43);
        for bad in [
            0x5000,
            0,
            0x8000_0000_0000_0000,
            REGION + 2 * SLOT,
            u64::MAX,
        ] {
            assert!(!spaces[0].propagate(VirtAddr(bad)), "{bad:#x}");
        }
        assert_eq!(world.seen(&spaces[0], 0x5000), None);
    }

    #[test]
    fn with_all_entries_there_nothing_is_missed() {
        let arena = Arena::new(64);
        let mut world = World::new(&arena);
        world.map(REGION, 40);
        let pages = 4 * SLOT / PAGE_SIZE;
        let World { table, tables, .. } = &mut world;
        assert_eq!(table.preallocate(VirtAddr(REGION), pages, tables), Ok(3));
        assert_eq!(table.preallocate(VirtAddr(REGION), pages, tables), Ok(0));
        let space = world.space();
        for slot in 0..4 {
            let address = REGION + slot * SLOT + PAGE_SIZE;
            world.map(address, 50 + slot);
            assert_eq!(world.seen(&space, address), Some(Pfn(50 + slot)));
        }
        // More than there are frames for: none is taken.
        let left = world.tables.next;
        let World { table, tables, .. } = &mut world;
        let all = VirtAddr(0xffff_8000_0000_0000);
        assert!(
            table
                .preallocate(all, 256 * SLOT / PAGE_SIZE, tables)
                .is_err()
        );
        assert_eq!(world.tables.next, left);
    }

    #[test]
    fn a_root_comes_back_full_of_zeros() {
        let arena = Arena::new(64);
        let mut world = World::new(&arena);
        world.map(REGION, 40);
        let mut space = world.space();
        space.forget(VirtAddr(REGION));
        assert_eq!(world.seen(&space, REGION), None);
        assert!(space.propagate(VirtAddr(REGION)));
        let root = space.root();
        // SAFETY: no CPU has it.
        let tables = unsafe { space.into_tables() };
        assert_eq!(tables.count(), 1);
        for word in (0..PAGE_SIZE).step_by(8) {
            let address = crate::mm::address::PhysAddr(root.address().0 + word);
            assert_eq!(arena.read(address), 0);
        }
    }
}
