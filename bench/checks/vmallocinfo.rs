//! The list of areas names every area, for what it is, where it is.

use pagemark::machine::Machine;
use pagemark::mm::address::{PAGE_SIZE, PageSize, Pfn, PhysAddr, VirtAddr};
use pagemark::mm::frame::Gfp;
use pagemark::mm::page_table::Protection;
use pagemark::mm::vmalloc::{Area, AreaInfo, Caching, IoArea, Kind, Request};
use pagemark_record::Moment;

use crate::harness::case::{Failure, expect_eq};
use crate::vmallocinfo;

/// Where x86 machines have the registers of their local APICs after reset. They are mapped here, and not touched.
const DEVICE: PhysAddr = PhysAddr(0xfee0_0000);
/// Offset into them, so that the mapped range does not start with a page.
const OFFSET: u64 = 0x20;

/// Holds the list against an area of each kind, and writes it down.
pub fn check(machine: &mut Machine) -> Result<(), Failure> {
    let before = machine.vmalloc.infos().count();
    let block = machine.kernel.alloc_page(Gfp::KERNEL)?;
    let outcome = with_each_kind(machine, block.pfn());
    machine.kernel.free_page(block)?;
    outcome?;
    expect_eq!("areas after it", machine.vmalloc.infos().count(), before);
    Ok(())
}

fn with_each_kind(machine: &mut Machine, frame: Pfn) -> Result<(), Failure> {
    let (vmalloc, kernel) = (&mut machine.vmalloc, &mut machine.kernel);
    let three = vmalloc.vmalloc(3 * PAGE_SIZE, kernel)?;
    let code = Request::new(PAGE_SIZE).protection(Protection::READ_EXECUTE);
    let code = vmalloc.vmalloc_with(code.no_guard(), kernel)?;
    let shared = vmalloc.vmap(&[frame, frame], Protection::READ, kernel)?;
    let physical = PhysAddr(DEVICE.0 + OFFSET);
    let device = vmalloc.ioremap(physical, PAGE_SIZE, Caching::Uncached, kernel)?;
    let large = vmalloc.vmalloc_huge(PageSize::Size2M.bytes(), kernel)?;
    vmallocinfo::record(machine, Moment::Check);
    let outcome = are_listed(machine, [&three, &code, &shared, &large], &device);
    let (vmalloc, kernel) = (&mut machine.vmalloc, &mut machine.kernel);
    for area in [three, code, large] {
        vmalloc.vfree(area, kernel)?;
    }
    vmalloc.vunmap(shared, kernel)?;
    vmalloc.iounmap(device, kernel)?;
    outcome
}

/// Each is in the list once, with its guard page if it has one.
fn are_listed(
    machine: &Machine,
    [three, code, shared, large]: [&Area; 4],
    device: &IoArea,
) -> Result<(), Failure> {
    let info = |area: &Area, kind, guard| AreaInfo {
        range: area.start()..VirtAddr(area.guard_page().0 + guard * PAGE_SIZE),
        kind,
        pages: area.bytes() / PAGE_SIZE,
        physical: None,
    };
    let first = VirtAddr(device.address().0 - OFFSET);
    for expected in [
        info(three, Kind::Vmalloc, 1),
        info(code, Kind::Vmalloc, 0),
        info(shared, Kind::Vmap, 1),
        info(large, Kind::Vmalloc, 1),
        AreaInfo {
            // A page that begins behind a page's start reaches into the next.
            range: first..VirtAddr(first.0 + 3 * PAGE_SIZE),
            kind: Kind::Ioremap,
            pages: 2,
            physical: Some(DEVICE),
        },
    ] {
        let start = expected.range.start;
        let mut found = machine
            .vmalloc
            .infos()
            .filter(|info| info.range.start == start);
        expect_eq!("in the list", found.next(), Some(expected));
    }
    let sorted = machine
        .vmalloc
        .infos()
        .is_sorted_by(|below, above| below.range.end <= above.range.start);
    expect_eq!("the list's order", sorted, true);
    Ok(())
}
