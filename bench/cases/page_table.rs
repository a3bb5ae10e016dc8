//! Mapping, unmapping and protecting pages in the kernel's page table, with 4 KiB leaves and contiguous frames, in tables that
//! are there already. Unmapping and protecting include the flush that they owe, under the policy of the run.

use pagemark::cpu::probe::PageFaultError;
use pagemark::machine::Machine;
use pagemark::mm::address::{Order, PAGE_SIZE, PageSize, VirtAddr};
use pagemark::mm::frame::{Block, Gfp};
use pagemark::mm::page_table::{ChangeError, MapError, Protection};

use super::proof;
use crate::harness::case::{Case, Failure, expect_eq};
use crate::harness::run::Run;

/// Pages in the scratch region and the frames behind them.
struct Window<'m> {
    machine: &'m mut Machine,
    start: VirtAddr,
    pages: u64,
    block: Block,
}

impl<'m> Window<'m> {
    fn new(machine: &'m mut Machine, order: Order) -> Result<Self, Failure> {
        let block = machine.kernel.frames.alloc_pages(Gfp::KERNEL, order)?;
        let start = machine.layout.scratch.start;
        Ok(Window {
            machine,
            start,
            pages: order.frames(),
            block,
        })
    }

    #[inline(always)]
    fn map(&mut self) -> Result<(), MapError> {
        let (table, mut tables) = self.machine.kernel.table_and_tables();
        let protection = Protection::READ_WRITE;
        table.map(
            self.start,
            self.block.pfn()..self.block.pfn().add(self.pages),
            protection,
            PageSize::Size4K,
            &mut tables,
        )
    }

    #[inline(always)]
    fn unmap(&mut self) -> Result<(), ChangeError> {
        let kernel = &mut self.machine.kernel;
        kernel
            .table
            .unmap(self.start, self.pages)?
            .flush(&kernel.tlb);
        Ok(())
    }

    #[inline(always)]
    fn protect(&mut self) -> Result<(), ChangeError> {
        let kernel = &mut self.machine.kernel;
        kernel
            .table
            .protect(self.start, self.pages, Protection::READ)?
            .flush(&kernel.tlb);
        Ok(())
    }

    fn page(&self, number: u64) -> VirtAddr {
        VirtAddr(self.start.0 + number * PAGE_SIZE)
    }

    /// What is written to a frame through the direct map reads back through the page, for every page.
    fn expect_mapped(&self) -> Result<(), Failure> {
        for number in 0..self.pages {
            let mark = 0x6d61_7070_6564_0000 + number;
            // SAFETY: the block is ours.
            unsafe {
                proof::write(
                    self.machine.frame_address(self.block.pfn().add(number)),
                    mark,
                )?
            };
            expect_eq!("a mapped page", proof::read(self.page(number))?, mark);
        }
        proof::expect_fault(self.page(self.pages), PageFaultError::empty())?;
        Ok(())
    }

    fn end(self) -> Result<(), Failure> {
        self.machine.kernel.frames.free(self.block)?;
        Ok(())
    }
}

/// A window, and the error that an operation on it came to, if one did.
struct Map<'m>(Window<'m>, Result<(), MapError>);

impl Case for Map<'_> {
    fn operation(&mut self) {
        if let Err(error) = self.0.map() {
            self.1 = Err(error);
        }
    }

    fn verify(&mut self) -> Result<(), Failure> {
        self.1?;
        self.0.expect_mapped()
    }

    fn restore(&mut self) -> Result<(), Failure> {
        self.1?;
        Ok(self.0.unmap()?)
    }
}

struct Unmap<'m>(Window<'m>, Result<(), ChangeError>);

impl Case for Unmap<'_> {
    fn prepare(&mut self) -> Result<(), Failure> {
        self.0.map()?;
        // Translations that the operation has to drop.
        self.0.expect_mapped()
    }

    fn operation(&mut self) {
        if let Err(error) = self.0.unmap() {
            self.1 = Err(error);
        }
    }

    fn verify(&mut self) -> Result<(), Failure> {
        self.1?;
        for number in 0..self.0.pages {
            proof::expect_fault(self.0.page(number), PageFaultError::empty())?;
        }
        Ok(())
    }

    fn restore(&mut self) -> Result<(), Failure> {
        Ok(self.1?)
    }
}

struct Protect<'m>(Window<'m>, Result<(), ChangeError>);

impl Case for Protect<'_> {
    fn prepare(&mut self) -> Result<(), Failure> {
        self.0.map()?;
        // Translations that allow writing, which the operation has to drop.
        for number in 0..self.0.pages {
            // SAFETY: the block is ours.
            unsafe { proof::write(self.0.page(number), number)? };
        }
        Ok(())
    }

    fn operation(&mut self) {
        if let Err(error) = self.0.protect() {
            self.1 = Err(error);
        }
    }

    fn verify(&mut self) -> Result<(), Failure> {
        self.1?;
        // The last page first: its stale translation is the one that the TLB would hold longest.
        for number in (0..self.0.pages).rev() {
            let page = self.0.page(number);
            proof::read(page)?;
            // SAFETY: a page that can be written to after all is ours.
            unsafe { proof::expect_write_fault(page)? };
        }
        Ok(())
    }

    fn restore(&mut self) -> Result<(), Failure> {
        self.1?;
        Ok(self.0.unmap()?)
    }
}

fn measure<'m, C: Case>(
    machine: &'m mut Machine,
    run: &mut Run,
    name: &str,
    order: Order,
    case: impl FnOnce(Window<'m>) -> C,
    end: impl FnOnce(C) -> Window<'m>,
) {
    let outcome = Window::new(machine, order).and_then(|window| {
        let mut case = case(window);
        run.measure_hot_and_cold(name, &mut case);
        end(case).end()
    });
    if let Err(failure) = outcome {
        run.check(name, Err(failure));
    }
}

pub(super) fn run(machine: &mut Machine, run: &mut Run) {
    const NINE: Order = Order::new(9).unwrap();
    for (order, map, protect, unmap) in [
        (
            Order::ZERO,
            "pt/map/pages=1",
            "pt/protect/pages=1",
            "pt/unmap/pages=1",
        ),
        (
            NINE,
            "pt/map/pages=512",
            "pt/protect/pages=512",
            "pt/unmap/pages=512",
        ),
    ] {
        measure(
            machine,
            run,
            map,
            order,
            |window| Map(window, Ok(())),
            |case| case.0,
        );
        measure(
            machine,
            run,
            protect,
            order,
            |window| Protect(window, Ok(())),
            |case| case.0,
        );
        measure(
            machine,
            run,
            unmap,
            order,
            |window| Unmap(window, Ok(())),
            |case| case.0,
        );
    }
}
