//! Building the direct map of 1 GiB, with leaves of each size, in a tree that no CPU walks.

use pagemark::cpu::direct_map::DirectMap;
use pagemark::machine::Machine;
use pagemark::mm::address::{FrameRange, PageSize, Pfn, PhysAddr};
use pagemark::mm::kernel_map::{self, KernelMapError};
use pagemark::mm::layout::{Constants, Layout};
use pagemark::mm::page_table::{Levels, NoOtherRoot, OwnedRange, PageTable, TableFrames};

use crate::harness::case::{Case, Failure, expect_eq};
use crate::harness::run::{Run, Tier};

/// The RAM: 1 GiB from address 0.
static RAM: [FrameRange; 1] = [Pfn(0)..Pfn(1 << 18)];

struct Build<'m> {
    machine: &'m mut Machine,
    layout: Layout,
    owned: OwnedRange<DirectMap>,
    largest: PageSize,
    outcome: Result<(), KernelMapError>,
}

impl Case for Build<'_> {
    fn operation(&mut self) {
        let mut tables = self.machine.kernel.tables();
        let (layout, largest) = (&self.layout, self.largest);
        self.outcome = kernel_map::build(&mut self.owned, layout, &RAM, &[], largest, &mut tables);
    }

    fn verify(&mut self) -> Result<(), Failure> {
        self.outcome?;
        let start = self.layout.direct_map.start;
        let (mut leaves, mut misplaced) = (0, 0);
        let largest = self.largest;
        self.owned.for_each_leaf(|address, leaf| {
            leaves += 1;
            let right = leaf.address.0 == address.0 - start.0 && leaf.size() == largest;
            misplaced += u64::from(!right);
        });
        expect_eq!("leaves", leaves, (1 << 18) / largest.frames());
        expect_eq!("leaves in the wrong place", misplaced, 0);
        Ok(())
    }

    fn restore(&mut self) -> Result<(), Failure> {
        self.outcome?;
        let start = self.layout.direct_map.start;
        let kernel = &mut self.machine.kernel;
        self.owned.unmap(start, 1 << 18)?.flush(&kernel.tlb);
        // The PDPT, too, which covers all addresses of the root's entry: the next operation begins with an empty root.
        let pages = Levels::Four.pages_of_root_entry();
        // SAFETY: there is no other root.
        let alone = unsafe { NoOtherRoot::promise() };
        let tables = self.owned.release_tables_of_root(start, pages, alone)?;
        let tables = tables.flush(&kernel.tlb);
        kernel.free_tables(tables)?;
        Ok(())
    }
}

fn build(
    machine: &mut Machine,
    run: &mut Run,
    name: &str,
    largest: PageSize,
) -> Result<(), Failure> {
    let layout = Layout::new(&Constants::WIDE, PhysAddr(1 << 30))?;
    let memory = *machine.kernel.memory();
    let mut tables = machine.kernel.tables();
    let mut root = tables
        .allocate_tables(1)
        .ok_or(Failure::new(format_args!("no frame for a root")))?;
    // SAFETY: the direct map covers all tables.
    let root = unsafe { root.pop(&memory) };
    let root = root.ok_or(Failure::new(format_args!("no frame for a root")))?;
    // SAFETY: the root is full of zeros and ours, and all other tables come from the kernel's.
    let table = unsafe { PageTable::new(memory, root, Levels::Four) };
    let mut case = Build {
        machine,
        layout,
        // SAFETY: nobody else has the tree.
        owned: unsafe { table.own_all() },
        largest,
        outcome: Ok(()),
    };
    run.measure(name, &mut case);
    // SAFETY: no CPU walks from the root.
    let tables = unsafe { case.owned.into_root() }?;
    case.machine.kernel.free_tables(tables)?;
    Ok(())
}

pub(super) fn run(machine: &mut Machine, run: &mut Run) {
    for (name, largest, tier) in [
        (
            "direct_map/build/ram=1GiB/leaf=1GiB",
            PageSize::Size1G,
            Tier::Quick,
        ),
        (
            "direct_map/build/ram=1GiB/leaf=2MiB",
            PageSize::Size2M,
            Tier::Quick,
        ),
        (
            "direct_map/build/ram=1GiB/leaf=4KiB",
            PageSize::Size4K,
            Tier::Full,
        ),
    ] {
        run.in_tier(tier, |run| {
            if run.would(name)
                && let Err(failure) = build(machine, run, name, largest)
            {
                run.check(name, Err(failure));
            }
        });
    }
}
