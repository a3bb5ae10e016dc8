//! Page faults: one that is fixed up, one that maps the page that it is for, and one that is spurious.

use pagemark::cpu::demand::{self, Demand};
use pagemark::cpu::invalidate::invlpg;
use pagemark::cpu::probe::{self, PageFault, PageFaultError};
use pagemark::cpu::spurious;
use pagemark::machine::Machine;
use pagemark::mm::address::{PageSize, VirtAddr};
use pagemark::mm::frame::{Block, Gfp};
use pagemark::mm::page_table::{OwnedRange, Protection};

use super::proof;
use crate::harness::case::{Case, Failure, expect_eq};
use crate::harness::mutation::perform;
use crate::harness::run::{Run, Tier};

const ROUND_TRIP: &str = "fault/round_trip";
const MAP: &str = "fault/map";
const SPURIOUS: &str = "fault/spurious";
const WRITE_PROTECT: &str = "fault/write_protect";

/// A read of a page that is not there; the handler goes on at the fixup of the probe.
struct RoundTrip {
    page: VirtAddr,
    fault: Option<PageFault>,
}

impl Case for RoundTrip {
    fn prepare(&mut self) -> Result<(), Failure> {
        self.fault = None;
        Ok(())
    }

    fn operation(&mut self) {
        self.fault = probe::read(self.page).err();
    }

    fn batch(&self) -> u32 {
        16
    }

    fn verify(&mut self) -> Result<(), Failure> {
        let expected = PageFault {
            address: self.page,
            error: PageFaultError::empty(),
        };
        expect_eq!("the fault", self.fault, Some(expected));
        Ok(())
    }
}

/// What the frame of a page holds.
const MARK: u64 = 0x6661_756c_7400_0000;

/// The first touch of a page that is mapped by the page fault.
struct Map<'m> {
    machine: &'m mut Machine,
    demand: Demand,
    word: u64,
}

impl Case for Map<'_> {
    fn prepare(&mut self) -> Result<(), Failure> {
        self.word = 0;
        Ok(())
    }

    fn operation(&mut self) {
        let address = self.demand.pt.address(0).0;
        // SAFETY: the page fault maps the page.
        self.word = unsafe { (address as *const u64).read_volatile() };
    }

    fn verify(&mut self) -> Result<(), Failure> {
        expect_eq!("the page's word", self.word, MARK);
        expect_eq!("the page is mapped", self.demand.pt.is_set(0), true);
        // No fault for what has no frame.
        proof::expect_fault(self.demand.pt.address(1), PageFaultError::empty())
    }

    fn restore(&mut self) -> Result<(), Failure> {
        let owed = self.demand.pt.clear(0);
        owed.flush(&self.machine.kernel.tlb);
        Ok(())
    }
}

fn map(machine: &mut Machine, run: &mut Run) -> Result<(), Failure> {
    let block = new_page(machine)?;
    // In a PT of its own.
    let start = VirtAddr(machine.layout.scratch.end.0 - PageSize::Size2M.bytes());
    let frames = block.pfn()..block.pfn().add(1);
    let owned = machine.scratch.split_off(start);
    let demand = Demand {
        pt: owned.into_fixed(&mut machine.kernel.tables())?,
        frames,
    };
    // SAFETY: the frame is ours, and goes back when the pages are gone.
    unsafe { demand::set(Some(demand.clone())) };
    let mut case = Map {
        machine,
        demand,
        word: 0,
    };
    run.measure(MAP, &mut case);
    let machine = case.machine;
    let pt = case.demand.pt;
    // SAFETY: none are mapped any more.
    unsafe { demand::set(None) };
    // SAFETY: as above, and nobody else has the PT.
    let owned = unsafe { OwnedRange::of_fixed(pt) };
    let joined = machine.scratch.join(owned);
    expect_eq!("the pages are the region's again", joined.is_ok(), true);
    machine.kernel.frames.free(block)?;
    Ok(())
}

/// A write to a page that may only be read, as copy-on-write begins; the handler goes on at the fixup of the probe.
struct WriteProtect {
    page: VirtAddr,
    fault: Option<PageFault>,
}

impl Case for WriteProtect {
    fn prepare(&mut self) -> Result<(), Failure> {
        self.fault = None;
        Ok(())
    }

    fn operation(&mut self) {
        // SAFETY: the page is the case's, and the write does not take place.
        self.fault = unsafe { probe::write(self.page, !MARK) }.err();
    }

    fn batch(&self) -> u32 {
        16
    }

    fn verify(&mut self) -> Result<(), Failure> {
        let expected = PageFault {
            address: self.page,
            error: PageFaultError::PRESENT | PageFaultError::WRITE,
        };
        expect_eq!("the fault", self.fault, Some(expected));
        expect_eq!("the page's word", proof::read(self.page)?, MARK);
        Ok(())
    }
}

fn write_protect(machine: &mut Machine, run: &mut Run) -> Result<(), Failure> {
    let block = new_page(machine)?;
    let page = machine.layout.scratch.start;
    let frames = block.pfn()..block.pfn().add(1);
    let (access, size) = (Protection::READ, PageSize::Size4K);
    let (scratch, tables) = (&mut machine.scratch, &mut machine.kernel.tables());
    scratch.map(page, frames, access, size, tables)?;
    run.measure(WRITE_PROTECT, &mut WriteProtect { page, fault: None });
    let kernel = &mut machine.kernel;
    machine.scratch.unmap(page, 1)?.flush(&kernel.tlb);
    kernel.frames.free(block)?;
    Ok(())
}

/// A page that could only be read, and may be written to by now; the TLB was not flushed.
struct Spurious<'m> {
    machine: &'m mut Machine,
    page: VirtAddr,
    block: Block,
}

impl Spurious<'_> {
    fn word(&self) -> Result<u64, Failure> {
        proof::read(self.machine.frame_address(self.block.pfn()))
    }
}

impl Case for Spurious<'_> {
    fn prepare(&mut self) -> Result<(), Failure> {
        // SAFETY: the frame is ours.
        unsafe { proof::write(self.machine.frame_address(self.block.pfn()), MARK)? };
        let scratch = &mut self.machine.scratch;
        let owed = scratch.protect(self.page, 1, Protection::READ)?;
        owed.flush(&self.machine.kernel.tlb);
        proof::read(self.page)?;
        // It allows more than before: no flush is made.
        drop(scratch.protect(self.page, 1, Protection::READ_WRITE)?);
        Ok(())
    }

    fn operation(&mut self) {
        // SAFETY: the page is mapped to a frame of ours; a fault finds that it may be written to.
        unsafe { (self.page.0 as *mut u64).write_volatile(!MARK) };
    }

    fn verify(&mut self) -> Result<(), Failure> {
        expect_eq!("the frame's word", self.word()?, !MARK);
        Ok(())
    }
}

/// What the handler finds when it looks again: a fault is spurious if the table allows the access, and only then.
fn looks_again(machine: &mut Machine, page: VirtAddr) -> Result<(), Failure> {
    let [present, write, fetch] = [
        PageFaultError::PRESENT,
        PageFaultError::WRITE,
        PageFaultError::FETCH,
    ];
    let found = |error| spurious::is_spurious(page, error);
    for (protection, expected) in [
        (Protection::READ, [true, false, false]),
        (Protection::READ_WRITE, [true, true, false]),
        (Protection::READ_EXECUTE, [true, false, true]),
    ] {
        let owed = machine.scratch.protect(page, 1, protection)?;
        owed.flush(&machine.kernel.tlb);
        let seen = [present, present | write, present | fetch].map(found);
        expect_eq!("reading, writing, fetching", seen, expected);
        for other in [PageFaultError::RESERVED, PageFaultError::USER] {
            expect_eq!("another reason", found(present | other), false);
        }
        expect_eq!("a page that is not there", found(write), false);
    }
    Ok(())
}

fn spurious(machine: &mut Machine, run: &mut Run) -> Result<(), Failure> {
    let block = new_page(machine)?;
    let page = machine.layout.scratch.start;
    machine.scratch.map(
        page,
        block.pfn()..block.pfn().add(1),
        Protection::READ_WRITE,
        PageSize::Size4K,
        &mut machine.kernel.tables(),
    )?;
    let looks = looks_again(machine, page);
    run.check("fault/spurious/looks_again", looks);
    let mut case = Spurious {
        machine,
        page,
        block,
    };
    let before = spurious::seen();
    case.prepare()?;
    perform(&mut case);
    if spurious::seen() == before {
        run.skip(
            SPURIOUS,
            "the CPU walks the table again before it faults for want of a permission",
        );
    } else {
        run.measure(SPURIOUS, &mut case);
    }
    let Spurious { machine, block, .. } = case;
    let kernel = &mut machine.kernel;
    machine.scratch.unmap(page, 1)?.flush(&kernel.tlb);
    kernel.frames.free(block)?;
    Ok(())
}

/// A page whose first word is the mark.
fn new_page(machine: &mut Machine) -> Result<Block, Failure> {
    let block = machine.kernel.frames.alloc_page(Gfp::KERNEL)?;
    // SAFETY: the frame is ours.
    unsafe { proof::write(machine.frame_address(block.pfn()), MARK)? };
    Ok(block)
}

pub(super) fn run(machine: &mut Machine, run: &mut Run) {
    if run.would(ROUND_TRIP) {
        let page = machine.layout.scratch.start;
        invlpg(page);
        run.measure(ROUND_TRIP, &mut RoundTrip { page, fault: None });
    }
    for (name, cases) in [
        (
            MAP,
            map as fn(&mut Machine, &mut Run) -> Result<(), Failure>,
        ),
        (SPURIOUS, spurious),
    ] {
        if run.would(name)
            && let Err(failure) = cases(machine, run)
        {
            run.check(name, Err(failure));
        }
    }
    run.in_tier(Tier::Full, |run| {
        if run.would(WRITE_PROTECT)
            && let Err(failure) = write_protect(machine, run)
        {
            run.check(WRITE_PROTECT, Err(failure));
        }
    });
}
