//! Sets the memory system up, floor by floor, and crosses from the boot tables to the kernel's own.

use core::ops::Range;

use arrayvec::ArrayVec;
use pagemark_record::{Hex, Record, Region, Zone};
use spin::Once;

use super::error::{BringUpError, SetUpError};
use super::needed_memory::NEEDED_BYTES;
use super::set_aside::{Array, Lengths, SetAside};
use super::{image, presence};
use crate::boot::BootInfo;
use crate::boot::command_line::{LayoutName, Options, Propagation};
use crate::console::log;
use crate::cpu::address_space;
use crate::cpu::direct_map::DirectMap;
use crate::cpu::features::Features;
use crate::cpu::five_levels;
use crate::cpu::high_memory::HighMemory;
use crate::cpu::invalidate::LocalTlb;
use crate::cpu::pcid;
use crate::cpu::per_cpu::PerCpu;
use crate::cpu::registers::{CR4_PGE, cr4, write_cr3, write_cr4};
use crate::firmware::acpi::Firmware;
use crate::kernel::{Addresses, Kernel, VmallocRegion};
use crate::mm;
use crate::mm::address::{FrameRange, PAGE_SIZE, PageSize, Pfn, PhysAddr};
use crate::mm::fixmap::Fixmap;
use crate::mm::frame::{self, BootAllocator, FrameAllocator, InDescriptor, Metadata, ZoneEnds};
use crate::mm::kernel_map::{self, Aliases, BootTables, KernelMemory};
use crate::mm::kmap::{self, Kmap};
use crate::mm::layout::{Constants, Layout};
use crate::mm::memory_map::{self, MemoryMap, Ranges};
use crate::mm::page_table::{Levels, PageTable, TableFrames};
use crate::mm::shootdown;
use crate::mm::tlb::Tlb;
use crate::mm::vmalloc::{Contents, GapTree, Lazy, TreeSlot, Vmalloc};
use crate::smp::bring_up;
use crate::smp::tlbs::{self, AllCpus, MachineTlb};

/// End of the boot stretch's identity mapping.
const IDENTITY_END: Pfn = PhysAddr(crate::boot::info::IDENTITY_END).frame();
/// Most vmalloc areas at a time.
const AREAS: usize = 128 << 10;
/// The metadata of the areas takes at most 1/64 of the RAM in the direct map: with 1.2 GiB there is room for all.
const AREA_METADATA: u64 = 64;

/// What stands when all is set up.
pub struct Memory {
    /// Where other CPUs start, if there are to be any.
    pub low_frame: Option<Pfn>,
    pub direct_map: DirectMap,
    pub layout: Layout,
    pub zones: &'static ZoneEnds,
    pub ram_bytes: u64,
    pub kernel: Kernel,
    pub fixmap: Fixmap<DirectMap>,
    pub kmap: Kmap<'static, DirectMap>,
    pub vmalloc: VmallocRegion,
    pub scratch: Addresses,
}

/// The free ranges; the boot-time allocator shortens them, and the frame allocator refers to them ever after.
static FREE_RANGES: Once<Ranges> = Once::new();
/// All RAM.
static RAM: Once<Ranges> = Once::new();

/// All RAM; none before the memory system is up.
pub(super) fn ram() -> &'static [FrameRange] {
    RAM.get().map_or(&[], |ram| ram)
}

/// # Safety
///
/// Called once, in the boot stretch: CR3 holds the boot tables.
pub unsafe fn set_up(
    boot: &BootInfo<'_>,
    extended_bios_data: Option<Range<PhysAddr>>,
    firmware: &Firmware,
    features: &Features,
    options: &Options,
) -> Result<Memory, BringUpError> {
    // SAFETY: the caller's promise.
    let map = unsafe { memory_map(boot, extended_bios_data, features)? };
    // SAFETY: the caller's promise.
    let (layout, zones, levels) = unsafe { lay_out(&map, features, options)? };
    let covered = PhysAddr(layout.direct_mapped()).frame();
    let high_memory = layout.kmap.filter(|_| map.top_of_ram().frame() > covered);

    let mut free: Ranges = map.free().iter().cloned().collect();
    let cpus = bring_up::wanted(options, firmware);
    let reachable = layout.direct_mapped().min(map.ram_frames() * PAGE_SIZE);
    let lengths = Lengths {
        descriptors: FrameAllocator::<InDescriptor>::metadata_size(&free, zones)
            .map_err(SetUpError::Frames)?
            .descriptors,
        more_zones: FrameAllocator::<InDescriptor>::more_zones(&free, zones)
            .map_err(SetUpError::Frames)?,
        areas: ((reachable / AREA_METADATA) as usize / size_of::<TreeSlot<Contents>>()).min(AREAS),
        cpus,
        has_high_memory: high_memory.is_some(),
    };
    memory_map::split(&mut free, covered).map_err(BringUpError::Map)?;
    let mut early = BootAllocator::new(&mut free);
    let set_aside = SetAside::take(&mut early, covered, &lengths)?;
    let largest = if features.gib_pages {
        PageSize::Size1G
    } else {
        PageSize::Size2M
    };
    // SAFETY: the identity mapping covers the first 4 GiB, and frames of the boot-time allocator are nobody else's.
    let root = unsafe { build_tables(&mut early, &layout, map.ram(), largest, levels)? };

    log::boot_stretch_ends();
    // SAFETY: the new tables map this code, the stack and all data at the same addresses as the boot tables do; what the loader
    // left has been copied.
    unsafe { cross_over(root, features) };
    // SAFETY: from here on all RAM that the layout puts there is mapped there.
    let direct_map = unsafe { DirectMap::new(layout.direct_map.start) };
    let free = FREE_RANGES.call_once(|| free);
    let (descriptors, more_zones) = (set_aside.descriptors, set_aside.more_zones);
    // SAFETY: the direct map has all that was set aside, and stays.
    let frames = unsafe { frame_allocator(direct_map, free, zones, descriptors, more_zones)? };
    // SAFETY: as above.
    let slots = unsafe { set_aside.slots.uninit(direct_map) };
    // SAFETY: as above.
    let nodes = unsafe { set_aside.nodes.uninit(direct_map) };
    let lazy_max_pages = options
        .lazy_max_pages
        .map_or(Lazy::default_max_pages(cpus as u32), |pages| pages.0);
    let shootdown_slots = set_aside.of_others.map(|(per_cpu, slots)| {
        // SAFETY: as above.
        PerCpu::make_room(unsafe { per_cpu.filled(direct_map, PerCpu::new) });
        // SAFETY: as above.
        &*unsafe { slots.filled(direct_map, shootdown::Slot::new) }
    });
    let mailboxes = tlbs::start(shootdown_slots);
    let tlbs = MachineTlb::new(AllCpus::new(LocalTlb::new(features)), mailboxes);
    let ceiling = options
        .ceiling
        .map_or(Tlb::<LocalTlb>::DEFAULT_CEILING, |ceiling| ceiling.0);
    // SAFETY: the tree was built above and is this value's alone; the direct map covers all tables.
    let table = unsafe { PageTable::new(direct_map, root, levels) };
    // SAFETY: the direct map covers all zones but HIGHMEM, and the frame allocator has only frames that nobody uses.
    let mut kernel = unsafe {
        KernelMemory::new(
            direct_map,
            RAM.call_once(|| map.ram().iter().cloned().collect()),
            frames,
            table,
            Tlb::new(tlbs, ceiling),
        )
    };
    kernel.set_physical_bits(features.physical_bits);
    let table = kernel.table;
    // SAFETY: each region is owned once, here and below, and the tree stays.
    let own = |region: mm::layout::Region| unsafe { table.own_range(&region.range()) };
    kernel.set_aliases(Aliases::new(own(layout.direct_map), Pfn(0)));
    let mut tables = kernel.tables();
    let fixmap = Fixmap::new(own(layout.fixmap), &mut tables).map_err(SetUpError::Tables)?;
    let mut window = None;
    if let (Some(region), Some(slots)) = (high_memory, set_aside.kmap_slots) {
        // SAFETY: as above.
        let slots = unsafe { slots.filled(direct_map, || kmap::Slot::CLEAR) };
        let pt = own(region).into_fixed(&mut tables);
        window = Some((pt.map_err(SetUpError::Tables)?, slots));
        HighMemory::start(covered, fixmap, Tlb::new(LocalTlb::new(features), ceiling));
    }
    if options.propagation == Propagation::Preallocated {
        preallocate(table, &layout, &mut tables)?;
    }
    // SAFETY: code that takes tables out of the tree waits until no other root is in use.
    address_space::start(unsafe { table.reference() });
    Ok(Memory {
        low_frame: set_aside.low_frame,
        direct_map,
        fixmap,
        kmap: Kmap::new(&layout, window),
        layout,
        zones,
        ram_bytes: map.ram_frames() * PAGE_SIZE,
        kernel,
        scratch: own(layout.scratch),
        vmalloc: Vmalloc::new(
            own(layout.vmalloc),
            GapTree::new(layout.vmalloc.range(), slots, nodes),
            Lazy::new(lazy_max_pages),
        ),
    })
}

/// The sane map, with a notice of each repair.
///
/// # Safety
///
/// As for [`set_up`].
unsafe fn memory_map(
    boot: &BootInfo<'_>,
    extended_bios_data: Option<Range<PhysAddr>>,
    features: &Features,
) -> Result<MemoryMap, BringUpError> {
    let mut reserved: ArrayVec<_, { crate::boot::info::LOADER_RANGES + 2 }> = ArrayVec::new();
    reserved.push(image::loaded());
    reserved.extend(extended_bios_data);
    reserved.extend(boot.loader_ranges.iter().cloned());
    let mut map = MemoryMap::new(boot.map.iter(), features.physical_bits, &reserved);
    map.leave_out_adapters();
    map.add_ram(&image::loaded());
    // SAFETY: this is the boot stretch (the caller's promise), and what is free is nobody's.
    map.leave_out_absent(|frame| unsafe { presence::answers(frame) });
    let (notices, left_out) = map.notices();
    for notice in notices {
        log::notice(format_args!("{notice}"));
    }
    if left_out > 0 {
        log::notice(format_args!("memory map: {left_out} more repairs"));
    }
    let free = map.free_frames() * PAGE_SIZE;
    if free < NEEDED_BYTES {
        return Err(BringUpError::TooLittleMemory {
            free,
            needed: NEEDED_BYTES,
        });
    }
    Ok(map)
}

/// Where every region lies on this machine, the zones, and how many levels the page table has; the boot tables have as many
/// afterwards.
///
/// # Safety
///
/// As for [`set_up`].
unsafe fn lay_out(
    map: &MemoryMap,
    features: &Features,
    options: &Options,
) -> Result<(Layout, &'static ZoneEnds, Levels), BringUpError> {
    let (constants, zones, levels): (_, &'static ZoneEnds, _) = match options.layout {
        LayoutName::Wide => (&Constants::WIDE, &frame::WIDE, Levels::Four),
        LayoutName::Classic => (&Constants::CLASSIC, &frame::CLASSIC, Levels::Four),
        LayoutName::Wide5 => (&Constants::WIDE5, &frame::WIDE, Levels::Five),
    };
    if levels == Levels::Five {
        if !features.la57 {
            return Err(BringUpError::NoFeature(
                "LA57 (five levels of page tables), which layout=wide5 is made of",
            ));
        }
        // SAFETY: CPUID reports LA57; this is the boot stretch, which has neither global translations nor PCIDs.
        unsafe { five_levels::enter() };
    }
    let layout = Layout::new(constants, map.top_of_ram()).map_err(BringUpError::Layout)?;
    record_regions(&layout);
    let covered = PhysAddr(layout.direct_mapped()).frame();
    if layout.kmap.is_none() && map.top_of_ram().frame() > covered {
        return Err(BringUpError::BeyondDirectMap {
            top: map.top_of_ram(),
            limit: covered.address(),
        });
    }
    Ok((layout, zones, levels))
}

/// Leaves the boot tables for those under `root`.
///
/// # Safety
///
/// The tables map this code, the stack and all data at the same addresses as the boot tables do.
unsafe fn cross_over(root: Pfn, features: &Features) {
    // SAFETY: the caller's promise.
    unsafe { write_cr3(root.address().0) };
    if features.global_pages {
        // After CR3, so that no global translation of the boot tables can stay.
        // SAFETY: CPUID reports the bit; the kernel's entries are global, and every root has them.
        unsafe { write_cr4(cr4() | CR4_PGE) };
    }
    // SAFETY: the features are this CPU's, and CR3 holds no PCID yet.
    unsafe { pcid::enable(features) };
}

/// The allocator of the free frames, with a record of each zone.
///
/// # Safety
///
/// The direct map has the frames of both arrays, and stays.
unsafe fn frame_allocator(
    direct_map: DirectMap,
    free: &'static [FrameRange],
    zones: &ZoneEnds,
    descriptors: Array<frame::Descriptor>,
    more_zones: Option<Array<frame::Zone<'static, InDescriptor>>>,
) -> Result<FrameAllocator<'static>, BringUpError> {
    // SAFETY: the caller's promise.
    let descriptors = unsafe { descriptors.uninit(direct_map) };
    let metadata = Metadata {
        // SAFETY: any bits are valid descriptors.
        descriptors: unsafe { descriptors.assume_init_mut() },
        words: &mut [],
    };
    let more_zones: &mut [_] = match more_zones {
        // SAFETY: the caller's promise.
        Some(array) => unsafe { array.filled(direct_map, frame::Zone::empty) },
        None => &mut [],
    };
    let frames = FrameAllocator::with_more_zones(free, zones, metadata, more_zones);
    let frames = frames.map_err(SetUpError::Frames)?;
    record_zones(&frames, zones);
    match frames.clipped() {
        0 => Ok(frames),
        clipped => Err(BringUpError::TooManyFrames(clipped)),
    }
}

/// Makes the tables of the vmalloc region, with a notice of how many.
fn preallocate(
    table: PageTable<DirectMap>,
    layout: &Layout,
    tables: &mut impl TableFrames,
) -> Result<(), SetUpError> {
    let pages = layout.vmalloc.bytes() / PAGE_SIZE;
    let made = table
        .preallocate(layout.vmalloc.start, pages, tables)
        .map_err(SetUpError::Tables)?;
    log::notice(format_args!(
        "{made} tables of {} KiB preallocated for the vmalloc region",
        (made * PAGE_SIZE) >> 10
    ));
    Ok(())
}

/// # Safety
///
/// As for [`set_up`]; the frames of `early` are nobody else's.
unsafe fn build_tables(
    early: &mut BootAllocator<'_>,
    layout: &Layout,
    ram: &[FrameRange],
    largest: PageSize,
    levels: Levels,
) -> Result<Pfn, SetUpError> {
    let below = PhysAddr(layout.direct_mapped()).frame().min(IDENTITY_END);
    // SAFETY: the caller's promise.
    let mut tables = unsafe { BootTables::new(DirectMap::IDENTITY, early, below) };
    let root = tables.allocate_table().ok_or(SetUpError::NoRootTable)?;
    // SAFETY: the root is all zeros and ours, and every table comes from `tables`.
    let table = unsafe { PageTable::new(DirectMap::IDENTITY, root, levels) };
    // SAFETY: as above.
    let mut owned = unsafe { table.own_all() };
    kernel_map::build(
        &mut owned,
        layout,
        ram,
        &image::sections(),
        largest,
        &mut tables,
    )
    .map_err(SetUpError::Map)?;
    Ok(root)
}

fn record_regions(layout: &Layout) {
    for region in layout.regions() {
        log::record(&Record::Region(Region {
            name: region.name.into(),
            start: Hex(region.start.0),
            end: Hex(region.end.0),
        }));
    }
}

fn record_zones(frames: &FrameAllocator<'_>, zones: &ZoneEnds) {
    let mut start = PhysAddr(0);
    for &(kind, end) in zones {
        // More than 1 TiB of a kind is several zones.
        let free = frames.buddy_info().filter(|info| info.kind == kind);
        let free = free.map(|info| info.free).reduce(|sum, free| sum + free);
        let end_address = PhysAddr(end.0.saturating_mul(PAGE_SIZE));
        if let Some(free_frames) = free {
            log::record(&Record::Zone(Zone {
                name: format_args!("{kind}").into(),
                start: Hex(start.0),
                end: Hex(end_address.0),
                free_frames,
            }));
        }
        start = end_address;
    }
}
