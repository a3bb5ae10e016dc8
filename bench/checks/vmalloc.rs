//! What must hold of vmalloc on this machine's RAM and its MMU.

use pagemark::boot::command_line::Suite;
#[cfg(target_os = "none")]
use pagemark::cpu::apic::local_vectors::LocalVectors;
use pagemark::cpu::probe::PageFaultError;
use pagemark::machine::Machine;
use pagemark::mm::address::{Order, PAGE_SIZE, Pfn, PhysAddr, VirtAddr};
use pagemark::mm::frame::{BlockList, Gfp};
use pagemark::mm::page_table::Protection;
use pagemark::mm::vmalloc::{Area, Caching, IoremapError};

use super::vmallocinfo;
use crate::cases::proof;
use crate::harness::case::{Failure, expect_eq};
use crate::harness::run::Run;

/// Frames up to which the quick suite cuts all of RAM into single ones: 16 GiB.
const QUICK_LIMIT: u64 = 4 << 20;
/// Pages of the area that is made of them.
const PAGES: u64 = 64;

/// Writes down every check.
pub fn run(machine: &mut Machine, run: &mut Run) {
    let before = [machine.vmalloc.live() as u64, frames(machine)];
    run.check("vmalloc/guard_page", with_area(machine, guard_page));
    run.check("vmalloc/not_executable", with_area(machine, not_executable));
    run.check("vmalloc/read_only", with_area(machine, read_only));
    run.check("vmalloc/ram_is_no_device", ram_is_no_device(machine));
    run.check("vmalloc/zones", zones(machine));
    #[cfg(target_os = "none")]
    if let LocalVectors::Page(page) = LocalVectors::of_this_cpu() {
        run.check("vmalloc/device", device(machine, page));
    }
    run.check("vmalloc/info", vmallocinfo::check(machine));
    if machine.options.suite == Suite::Full || machine.kernel.free_frames() <= QUICK_LIMIT {
        run.check("vmalloc/scattered_frames", scattered_frames(machine));
    }
    run.check("vmalloc/all_returned", all_returned(machine, before));
}

fn frames(machine: &Machine) -> u64 {
    machine.kernel.free_frames() + machine.kernel.table_frames()
}

/// Runs `check` on an area of three pages.
fn with_area(
    machine: &mut Machine,
    check: impl FnOnce(&mut Machine, &Area) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let area = machine
        .vmalloc
        .vmalloc(3 * PAGE_SIZE, &mut machine.kernel)?;
    let outcome = check(machine, &area);
    machine.vmalloc.vfree(area, &mut machine.kernel)?;
    outcome
}

/// The last word of the area is memory, and the next one faults at its very address.
fn guard_page(_: &mut Machine, area: &Area) -> Result<(), Failure> {
    proof::read(VirtAddr(area.guard_page().0 - 8))?;
    proof::expect_fault(area.guard_page(), PageFaultError::empty())
}

fn not_executable(_: &mut Machine, area: &Area) -> Result<(), Failure> {
    const RETS: u64 = u64::from_ne_bytes([0xc3; 8]);
    // SAFETY: the area is ours.
    unsafe { proof::write(area.start(), RETS)? };
    // SAFETY: it holds a RET.
    unsafe { proof::expect_fetch_fault(area.start()) }
}

fn read_only(machine: &mut Machine, area: &Area) -> Result<(), Failure> {
    let last = VirtAddr(area.guard_page().0 - PAGE_SIZE);
    // SAFETY: the area is ours.
    unsafe { proof::write(last, 1)? };
    let (start, kernel) = (area.start(), &mut machine.kernel);
    machine.vmalloc.protect(start, Protection::READ, kernel)?;
    // SAFETY: as above.
    unsafe { proof::expect_write_fault(last)? };
    expect_eq!("what was written before", proof::read(last)?, 1);
    Ok(())
}

/// Each frame of an area for devices that reach 16 MiB, or 4 GiB, lies below that; be it one, or many.
fn zones(machine: &mut Machine) -> Result<(), Failure> {
    let (vmalloc, kernel) = (&mut machine.vmalloc, &mut machine.kernel);
    for pages in [1, PAGES] {
        let bytes = pages * PAGE_SIZE;
        let dma = (vmalloc.vmalloc_dma(bytes, kernel)?, Pfn(16 << 8));
        let below_4_gib = (vmalloc.vmalloc_32(bytes, kernel)?, Pfn(4 << 18));
        for (area, end) in [dma, below_4_gib] {
            let pages = (0..pages).map(|number| area.start().0 + number * PAGE_SIZE);
            let mut frames = pages.map(|address| vmalloc.vmalloc_to_page(VirtAddr(address)));
            let above = frames.find(|frame| frame.is_none_or(|frame| frame >= end));
            vmalloc.vfree(area, kernel)?;
            expect_eq!("a frame beyond the limit", above, None);
        }
    }
    Ok(())
}

/// The local APIC's number, read through a mapping that begins with its register, is the one that a mapping of the whole page shows,
/// and the one by CPUID.
#[cfg(target_os = "none")]
fn device(machine: &mut Machine, page: PhysAddr) -> Result<(), Failure> {
    const ID: u64 = 0x20;
    let (vmalloc, kernel) = (&mut machine.vmalloc, &mut machine.kernel);
    let register = PhysAddr(page.0 + ID);
    let id = vmalloc.ioremap(register, 4, Caching::Uncached, kernel)?;
    let whole = vmalloc.ioremap(page, PAGE_SIZE, Caching::Uncached, kernel)?;
    let [through_id, through_whole] = [id.address(), VirtAddr(whole.address().0 + ID)].map(
        // SAFETY: the register is mapped there, and reading it changes nothing.
        |address| unsafe { (address.0 as *const u32).read_volatile() },
    );
    vmalloc.iounmap(whole, kernel)?;
    vmalloc.iounmap(id, kernel)?;
    expect_eq!("the APIC's number", through_id, through_whole);
    // The MADT may lack this CPU, or there may be none.
    let initial_id = core::arch::x86_64::__cpuid(1).ebx >> 24;
    expect_eq!("the APIC's number by CPUID", through_id >> 24, initial_id);
    Ok(())
}

fn ram_is_no_device(machine: &mut Machine) -> Result<(), Failure> {
    let block = machine.kernel.alloc_page(Gfp::KERNEL)?;
    let frame = block.pfn();
    let physical = PhysAddr(frame.address().0 + 8);
    let kernel = &mut machine.kernel;
    let mapped = machine
        .vmalloc
        .ioremap(physical, 8, Caching::Uncached, kernel);
    kernel.free_page(block)?;
    expect_eq!("ioremap of RAM", mapped, Err(IoremapError::Ram { frame }));
    Ok(())
}

/// With every other frame of RAM taken, so that no two free ones are neighbours, there is still an area to be had, and what is
/// written to it arrives.
fn scattered_frames(machine: &mut Machine) -> Result<(), Failure> {
    machine.vmalloc.purge(&machine.kernel);
    machine.kernel.drain_frame_cache();
    let frames = &mut machine.kernel.frames;
    let count = frames.free_frames();
    let mut all = frames.alloc_bulk(Gfp::HIGHUSER | Gfp::MEMALLOC, count, Order::ZERO)?;
    let mut kept = BlockList::EMPTY;
    while let Some(block) = frames.pop(&mut all) {
        match block.pfn().0 % 2 {
            0 => frames.free(block)?,
            _ => frames.push(&mut kept, block)?,
        }
    }
    let outcome = area_of_single_frames(machine);
    machine.kernel.drain_frame_cache();
    machine.kernel.frames.free_list(kept)?;
    outcome
}

fn area_of_single_frames(machine: &mut Machine) -> Result<(), Failure> {
    let larger = |blocks: &[u64]| blocks[1..].iter().sum::<u64>();
    let blocks = machine
        .kernel
        .frames
        .buddy_info()
        .map(|zone| larger(&zone.blocks));
    expect_eq!("blocks of two frames or more", blocks.sum::<u64>(), 0);
    let area = machine
        .vmalloc
        .vmalloc(PAGES * PAGE_SIZE, &mut machine.kernel)?;
    let outcome = neighbours(machine, &area);
    machine.vmalloc.vfree(area, &mut machine.kernel)?;
    outcome
}

fn neighbours(machine: &Machine, area: &Area) -> Result<(), Failure> {
    let mut previous = None;
    for number in 0..PAGES {
        let address = VirtAddr(area.start().0 + number * PAGE_SIZE);
        // SAFETY: the area is ours.
        unsafe { proof::write(address, number)? };
        let mut bytes = [0; 8];
        machine.vmalloc.vread(address, &mut bytes, &machine.kernel);
        expect_eq!("a word in its frame", u64::from_ne_bytes(bytes), number);
        let frame = machine.vmalloc.vmalloc_to_page(address);
        expect_eq!("a frame behind its neighbour", frame == previous, false);
        previous = frame.map(|frame| frame.add(1));
    }
    Ok(())
}

fn all_returned(machine: &mut Machine, [live, before]: [u64; 2]) -> Result<(), Failure> {
    machine.vmalloc.purge(&machine.kernel);
    expect_eq!("areas that wait", machine.vmalloc.waiting().areas, 0);
    expect_eq!("live areas", machine.vmalloc.live() as u64, live);
    expect_eq!("frames", frames(machine), before);
    Ok(())
}
