//! The `vmallocinfo` record: which areas are there, and how they are mapped.

use pagemark::console::log;
use pagemark::machine::Machine;
use pagemark::mm::address::PageSize;
use pagemark::mm::page_table::{self, Protection};
use pagemark::mm::vmalloc::{AreaInfo, Kind};
use pagemark_record::{
    Access, Area, AreaKind, Hex, MAX_AREAS, MemoryType, Moment, Record, Vmallocinfo,
};

/// Writes down the areas of this moment.
pub fn record(machine: &Machine, moment: Moment) {
    let infos = machine.vmalloc.infos().take(MAX_AREAS);
    log::record(&Record::Vmallocinfo(Vmallocinfo {
        moment,
        live: machine.vmalloc.live() as u64,
        waiting: machine.vmalloc.waiting().areas as u64,
        lazy_max_pages: machine.vmalloc.freeing().max_pages(),
        areas: infos.filter_map(|info| area(machine, &info)).collect(),
    }));
}

/// What the list says of an area and the page table of its first page. Of an area whose pages somebody else unmapped nothing can
/// be said.
fn area(machine: &Machine, info: &AreaInfo) -> Option<Area> {
    let first_page = machine.kernel.table.translate(info.range.start)?;
    let protection = first_page.protection();
    Some(Area {
        start: Hex(info.range.start.0),
        end: Hex(info.range.end.0),
        pages: info.pages,
        kind: match info.kind {
            Kind::Vmalloc => AreaKind::Vmalloc,
            Kind::Vmap => AreaKind::Vmap,
            Kind::Ioremap => AreaKind::Ioremap,
        },
        access: access(protection),
        memory_type: memory_type(protection),
        huge: first_page.size() != PageSize::Size4K,
        physical: info.physical.map(|address| Hex(address.0)),
    })
}

const fn access(protection: Protection) -> Access {
    match (protection.is_writable(), protection.is_executable()) {
        (true, _) => Access::ReadWrite,
        (false, true) => Access::ReadExecute,
        (false, false) => Access::Read,
    }
}

const fn memory_type(protection: Protection) -> MemoryType {
    match protection.memory_type() {
        page_table::MemoryType::WriteBack => MemoryType::WriteBack,
        page_table::MemoryType::WriteCombining => MemoryType::WriteCombining,
        page_table::MemoryType::UncacheableMinus => MemoryType::UncacheableMinus,
        page_table::MemoryType::Uncacheable => MemoryType::Uncacheable,
        page_table::MemoryType::WriteProtected => MemoryType::WriteProtected,
        page_table::MemoryType::WriteThrough => MemoryType::WriteThrough,
    }
}
