//! Roots beside the reference table, and what a CPU sees and has cached of each.

use super::*;
use crate::mm::model::{Arena, ArenaTables, ModelTlb, Stale};
use crate::mm::page_table::{Levels, OwnedRange};
use crate::mm::tlb::{Contexts, Switch, Tlb};

const SLOT: u64 = 512 << 30;
const REGION: u64 = 0xffff_c900_0000_0000;

struct World<'a> {
    arena: &'a Arena,
    table: OwnedRange<&'a Arena>,
    tables: ArenaTables<'a>,
}

impl<'a> World<'a> {
    fn new(arena: &'a Arena) -> Self {
        World {
            arena,
            table: arena.owned_range(),
            tables: arena.tables(63),
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
        // SAFETY: the tables stay.
        let reference = unsafe { self.table.reference() };
        // SAFETY: the arena covers all.
        let space = unsafe { AddressSpace::new(reference, self.arena, &mut self.tables) };
        space.unwrap()
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

#[test]
fn the_user_half_is_the_spaces_own() {
    let arena = Arena::new(64);
    let mut world = World::new(&arena);
    world.map(REGION, 40);
    let [mut one, two] = [world.space(), world.space()];
    let start = VirtAddr(0x40_0000);
    let frames = Pfn(50)..Pfn(52);
    let map = |space: &mut AddressSpace<_>, start, tables: &mut _| {
        space.map(start, frames.clone(), Protection::READ_WRITE, tables)
    };
    map(&mut one, start, &mut world.tables).unwrap();
    assert_eq!(world.seen(&one, start.0 + PAGE_SIZE), Some(Pfn(51)));
    assert_eq!(world.seen(&two, start.0), None);
    // SAFETY: the value only reads.
    let seen = unsafe { PageTable::new(&arena, one.root(), Levels::Four) };
    assert!(!seen.translate(start).unwrap().protection().is_global());

    let kernel = VirtAddr(REGION);
    let error = UserError::KernelHalf { address: kernel };
    assert_eq!(map(&mut one, kernel, &mut world.tables), Err(error));
    assert_eq!(one.unmap(kernel, 1), Err(error));
    assert_eq!(one.remap(kernel, frames.clone()), Err(error));
    assert_eq!(world.seen(&one, REGION), Some(Pfn(40)));

    let tlb = ModelTlb::default();
    let tlb = Tlb::new(&tlb, 33);
    let mut contexts = Contexts::new(true);
    let waiting = one.remap(start, Pfn(52)..Pfn(54)).unwrap().guard('x');
    assert_eq!(waiting.flush(&mut contexts, &tlb), 'x');
    assert_eq!(world.seen(&one, start.0), Some(Pfn(52)));
    one.unmap(start, 2).unwrap().flush(&mut contexts, &tlb);
    // SAFETY: no CPU has it.
    let tables = unsafe { one.into_tables() };
    assert_eq!(tables.count(), 4, "the root and three tables below it");
}
/// What a CPU knows of the kernel half's tables it knows under the PCID of each context, whichever is loaded when one goes.
#[test]
fn a_table_that_leaves_the_kernel_half_leaves_every_context() {
    let arena = Arena::new(64);
    let mut world = World::new(&arena);
    let cache = ModelTlb::default();
    let tlb = Tlb::new(&cache, 33);
    let mut contexts = Contexts::new(true);
    let start = VirtAddr(REGION);
    world.map(REGION, 40);
    // It keeps the PD, which would go otherwise.
    world.map(REGION + (1 << 30), 41);
    let spaces = [world.space(), world.space()];
    for space in &spaces {
        cache.switch(0, contexts.switch_to(space.context()));
        // SAFETY: the value only reads.
        let table = unsafe { PageTable::new(&arena, space.root(), Levels::Four) };
        assert_eq!(cache.access(&table, start), Ok(Some(Pfn(40))));
    }
    world.table.unmap(start, 1).unwrap().flush(&tlb);
    let released = world.table.release_tables(start, 512).unwrap();
    let released = released.flush(&tlb);
    assert_eq!(released.count(), 1);
    world.map(REGION, 42);
    for space in &spaces {
        let switch = contexts.switch_to(space.context());
        assert!(!matches!(switch, Switch::Flush(_)), "{switch:?}");
        cache.switch(0, switch);
        // SAFETY: the value only reads.
        let table = unsafe { PageTable::new(&arena, space.root(), Levels::Four) };
        assert_eq!(cache.access(&table, start), Ok(Some(Pfn(42))));
    }
}
/// The tables of a space that is gone are not flushed for, as its PCID is not loaded again without that: a switch that left it
/// out would be found.
#[test]
fn what_is_known_of_a_space_that_is_gone_goes_with_its_pcid() {
    for flushes in [true, false] {
        let arena = Arena::new(64);
        let mut world = World::new(&arena);
        let cache = ModelTlb::default();
        let mut contexts = Contexts::new(true);
        let start = VirtAddr(0x40_0000);
        let mut own = |world: &mut World<'_>, switches: usize| {
            let mut space = world.space();
            let frames = Pfn(50)..Pfn(51);
            let (protection, tables) = (Protection::READ, &mut world.tables);
            space.map(start, frames, protection, tables).unwrap();
            let switch = contexts.switch_to(space.context());
            match switch {
                Switch::Flush(pcid) if !flushes => cache.switch(0, Switch::Keep(pcid)),
                switch => cache.switch(0, switch),
            }
            // SAFETY: the value only reads.
            let table = unsafe { PageTable::new(world.arena, space.root(), Levels::Four) };
            // A page that is not mapped: no translation is known, but the way is.
            let access = cache.access(&table, VirtAddr(start.0 + PAGE_SIZE));
            let old = switches > 5 && !flushes;
            assert_eq!(
                matches!(access, Err(Stale::Table { .. })),
                old,
                "{access:?}"
            );
            contexts.leave();
            // SAFETY: no CPU has it.
            assert_eq!(unsafe { space.into_tables() }.count(), 1);
        };
        // There are six PCIDs.
        for switches in 0..7 {
            own(&mut world, switches);
        }
    }
}
