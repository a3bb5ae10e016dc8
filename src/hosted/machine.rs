//! Brings the machine of a process up, and hands the application one [`Machine`].
//!
//! The memory map is a PC's: 640 KiB, RAM from 1 MiB on, a hole for devices below 4 GiB. The layout is `wide`, but for the direct map,
//! which lies where the arena does. The metadata of the allocators is memory of the process, not frames of the arena.

use std::mem::MaybeUninit;
use std::{fmt, io, slice};

use pagemark_record::{Hex, Notice, Record, Region, Zone};

use super::arena::{Mapping, Pages};
use super::cpus::{self, Processors};
use super::tlb::ProcessTlb;
use super::{log, pages, walk};
use crate::boot::command_line::{LayoutName, Options, Propagation, Suite};
use crate::cpu::access::ThisCpu;
use crate::cpu::direct_map::DirectMap;
use crate::cpu::features::Features;
use crate::cpu::tsc;
use crate::kernel::{Addresses, Kernel, VmallocRegion};
use crate::mm;
use crate::mm::address::{FrameRange, PAGE_SIZE, PageSize, Pfn, PhysAddr, VirtAddr};
use crate::mm::fixmap::Fixmap;
use crate::mm::frame::{self, FrameAllocator, InDescriptor, Metadata, ZoneEnds};
use crate::mm::kernel_map::{self, Aliases, BootTables, KernelMapError, KernelMemory};
use crate::mm::kmap::Kmap;
use crate::mm::layout::{Constants, Layout, LayoutError};
use crate::mm::memory_map::{Line, LineKind, MemoryMap, TooManyRanges};
use crate::mm::page_table::{Levels, MapError, PageTable};
use crate::mm::tlb::Tlb;
use crate::mm::vmalloc::{Area, GapTree, Lazy, TreeNode, TreeSlot, Vmalloc};

/// Where RAM below 4 GiB ends at the latest, and where it goes on: what lies between is for devices.
const DEVICES: (u64, u64) = (3 << 30, 4 << 30);
/// Least bytes of physical memory: what the largest case takes, twice.
pub const LEAST_BYTES: u64 = 32 << 20;
/// Most vmalloc areas at a time, as on the machine.
const AREAS: usize = 128 << 10;
/// Part of the RAM that the metadata of the areas may take, as on the machine.
const AREA_METADATA: u64 = 64;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// Bytes of physical memory.
    pub bytes: u64,
    /// The pages that the arena is made of.
    pub pages: Pages,
    /// CPUs that the machine has.
    pub cpus: usize,
    /// The command line.
    pub options: Options,
}

/// Everything the application works with.
pub struct Machine {
    /// What the CPU can do, by CPUID.
    pub features: Features,
    /// What the command line asks for.
    pub options: Options,
    /// Where the virtual regions lie.
    pub layout: Layout,
    /// Which zones the frame allocator has.
    pub zones: &'static ZoneEnds,
    /// Bytes of RAM.
    pub ram_bytes: u64,
    /// Whether the pages behind its memory are of 4 KiB.
    pub small_pages: bool,
    /// CPUs that the machine has, whether they run or not.
    pub cpus: usize,
    /// Frames, page table and TLB.
    pub kernel: Kernel,
    /// The window onto all RAM.
    pub direct_map: DirectMap,
    /// Slots at addresses known at compile time.
    pub fixmap: Fixmap<DirectMap>,
    /// The way to frames outside the direct map, of which there are none.
    pub kmap: Kmap<'static, DirectMap>,
    /// The vmalloc region.
    pub vmalloc: VmallocRegion,
    /// The scratch region, where nothing is mapped but by who uses it at a time.
    pub scratch: Addresses,
    /// The CPUs.
    pub processors: Processors,
    ticks_at_start: u64,
}

impl Machine {
    /// Where the first byte of a frame lies in the direct map.
    #[must_use]
    pub const fn frame_address(&self, frame: Pfn) -> VirtAddr {
        VirtAddr(self.layout.direct_map.start.0 + frame.address().0)
    }

    /// Ticks since the machine was asked for.
    #[must_use]
    pub fn ticks_since_entry(&self) -> u64 {
        tsc::read() - self.ticks_at_start
    }
}

/// Why cases that need ring 0 do not run here; `None` where there is ring 0.
pub const WITHOUT_RING_0: Option<&str> = Some("a process has no ring 0");

/// Where the pages of an area can be accessed: not at its address, which only the suite's own tables map, but in pages of the process.
///
/// # Errors
///
/// Why there are none.
pub fn pages_of(area: &Area) -> Result<VirtAddr, &'static str> {
    pages::of_area(area)
}

/// Why the machine does not come up.
#[derive(Debug)]
pub enum BringUpError {
    /// Another layout than `wide`.
    Layout(LayoutName),
    /// Too little physical memory.
    TooLittleMemory {
        /// Bytes that were asked for.
        bytes: u64,
    },
    /// More CPUs than cores that the process may use.
    TooManyCpus {
        /// CPUs that were asked for.
        cpus: usize,
        /// Cores.
        cores: usize,
    },
    /// The kernel refuses memory, or to say something.
    Kernel {
        /// What it was asked for.
        what: &'static str,
        /// Its answer.
        error: io::Error,
    },
    /// The memory map has too many ranges.
    Map(TooManyRanges),
    /// The regions do not fit.
    Regions(LayoutError),
    /// The frame allocator refuses the ranges.
    Frames(frame::NewError),
    /// The direct map could not be built.
    DirectMap(KernelMapError),
    /// A table that is there from the start could not be made.
    Tables(MapError),
    /// No frame for the root table.
    NoRootTable,
}

impl fmt::Display for BringUpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BringUpError::Layout(layout) => write!(
                f,
                "command line: a process has no layout but `wide`, not `{}`",
                layout.name()
            ),
            BringUpError::TooLittleMemory { bytes } => write!(
                f,
                "too little memory: {} KiB, and a process's machine needs {} MiB",
                bytes >> 10,
                LEAST_BYTES >> 20
            ),
            BringUpError::TooManyCpus { cpus, cores } => {
                write!(f, "{cpus} CPUs, and this process may use {cores} cores")
            }
            BringUpError::Kernel { what, error } => write!(f, "{what}: {error}"),
            BringUpError::Map(error) => error.fmt(f),
            BringUpError::Regions(error) => error.fmt(f),
            BringUpError::Frames(error) => error.fmt(f),
            BringUpError::DirectMap(error) => error.fmt(f),
            BringUpError::Tables(error) => write!(f, "tables of the start: {error}"),
            BringUpError::NoRootTable => write!(f, "no frame for the root table"),
        }
    }
}

impl std::error::Error for BringUpError {}

/// The memory map of a PC with so much RAM.
fn lines(bytes: u64) -> Vec<Line> {
    let usable = |base, end: u64| Line {
        base,
        length: end.saturating_sub(base),
        kind: LineKind::Usable,
    };
    let mut lines = vec![usable(0, 0x9f000), usable(1 << 20, bytes.min(DEVICES.0))];
    if bytes > DEVICES.0 {
        lines.push(usable(DEVICES.1, DEVICES.1 + bytes - DEVICES.0));
    }
    lines
}

/// The layout `wide` for RAM that ends at `top`, with the direct map at the arena.
fn layout(top: PhysAddr, arena: VirtAddr) -> Result<Layout, LayoutError> {
    let mut layout = Layout::new(&Constants::WIDE, top)?;
    layout.direct_map.start = arena;
    layout.direct_map.end = VirtAddr(arena.0 + top.0);
    Ok(layout)
}

/// Brings the machine up. Called once in a process.
///
/// # Errors
///
/// Why it does not come up.
pub fn bring_up(request: Request) -> Result<Machine, BringUpError> {
    let ticks_at_start = tsc::read();
    let Request {
        bytes,
        pages,
        cpus,
        options,
    } = request;
    if options.layout != LayoutName::Wide {
        return Err(BringUpError::Layout(options.layout));
    }
    if bytes < LEAST_BYTES {
        return Err(BringUpError::TooLittleMemory { bytes });
    }
    let refused = |what| move |error| BringUpError::Kernel { what, error };
    let cores = pinned_cores(cpus)?;
    let features = Features::read(&ThisCpu);
    let map = MemoryMap::new(lines(bytes).into_iter(), features.physical_bits, &[]);
    let top = map.top_of_ram();
    let arena = Mapping::new(top.0, pages).map_err(refused("physical memory"))?;
    let layout = layout(top, arena.start()).map_err(BringUpError::Regions)?;
    for region in layout.regions() {
        log::record(&Record::Region(Region {
            name: region.name.into(),
            start: Hex(region.start.0),
            end: Hex(region.end.0),
        }));
    }
    populate(&arena, map.ram());
    notice(format_args!(
        "physical memory: {} MiB of the process at {}, {} MiB of it in 2 MiB pages",
        (map.ram_frames() * PAGE_SIZE) >> 20,
        arena.start(),
        arena.huge_bytes() >> 20
    ));

    let direct_map = arena.into_direct_map();
    let free: &'static mut [FrameRange] = map.free().to_vec().leak();
    let ram: &'static [FrameRange] = map.ram().to_vec().leak();
    let mut early = frame::BootAllocator::new(free);
    let covered = top.frame();
    // SAFETY: the arena covers all frames, and nobody else uses them.
    let mut tables = unsafe { BootTables::new(direct_map, &mut early, covered) };
    let root = tables.allocate_table().ok_or(BringUpError::NoRootTable)?;
    // SAFETY: the root is all zeros and ours, and every table is from the arena.
    let table = unsafe { PageTable::new(direct_map, root, Levels::Four) };
    let largest = match features.gib_pages {
        true => PageSize::Size1G,
        false => PageSize::Size2M,
    };
    // SAFETY: each region is owned once: the direct map here, the others below.
    let own = |region: mm::layout::Region| unsafe { table.own_range(&region.range()) };
    let mut aliases = own(layout.direct_map);
    kernel_map::build(&mut aliases, &layout, ram, &[], largest, &mut tables)
        .map_err(BringUpError::DirectMap)?;
    let free: &'static [FrameRange] = early.finish();
    // SAFETY: the arena stays, and tables are edited as atomics.
    unsafe { walk::start(direct_map, root, ram.to_vec()) };

    let zones: &'static ZoneEnds = &frame::WIDE;
    let frames = frames(free, zones)?;
    let ceiling = options
        .ceiling
        .map_or(Tlb::<ProcessTlb>::DEFAULT_CEILING, |ceiling| ceiling.0);
    let tlb = Tlb::new(ProcessTlb::new(&features), ceiling);
    // SAFETY: the tree was built above and is this value's alone; the arena covers all frames.
    let mut kernel = unsafe { KernelMemory::new(direct_map, ram, frames, table, tlb) };
    kernel.set_aliases(Aliases::new(aliases, Pfn(0)));
    let mut tables = kernel.tables();
    let fixmap = Fixmap::new(own(layout.fixmap), &mut tables).map_err(BringUpError::Tables)?;
    if options.propagation == Propagation::Preallocated {
        let pages = layout.vmalloc.bytes() / PAGE_SIZE;
        table
            .preallocate(layout.vmalloc.start, pages, &mut tables)
            .map_err(BringUpError::Tables)?;
    }
    let lazy_max_pages = options
        .lazy_max_pages
        .map_or(Lazy::default_max_pages(cpus as u32), |pages| pages.0);
    let ram_bytes = map.ram_frames() * PAGE_SIZE;
    let slot_bytes = size_of::<TreeSlot<mm::vmalloc::Contents>>();
    let areas = ((ram_bytes / AREA_METADATA) as usize / slot_bytes).min(AREAS);
    let slots = uninitialised(areas).map_err(refused("the metadata of the areas"))?;
    let nodes = uninitialised(TreeNode::enough_for(areas));
    let nodes = nodes.map_err(refused("the metadata of the areas"))?;
    let region = GapTree::new(layout.vmalloc.range(), slots, nodes);
    let wanted = match (options.smp, options.suite) {
        (Some(smp), _) => smp.0.min(cpus),
        (None, Suite::Full | Suite::Soak) => cpus,
        (None, _) => 1,
    };
    Ok(Machine {
        features,
        options,
        zones,
        ram_bytes,
        small_pages: pages == Pages::Small,
        cpus,
        kernel,
        direct_map,
        fixmap,
        kmap: Kmap::new(&layout, None),
        layout,
        vmalloc: Vmalloc::new(own(layout.vmalloc), region, Lazy::new(lazy_max_pages)),
        scratch: own(layout.scratch),
        processors: Processors::start(&cores[1..wanted]),
        ticks_at_start,
    })
}

/// Pins this thread to the core that it runs on, and returns as many cores as there are CPUs, that one first.
fn pinned_cores(cpus: usize) -> Result<Vec<usize>, BringUpError> {
    let refused = |what| move |error| BringUpError::Kernel { what, error };
    let mut cores = cpus::allowed().map_err(refused("the cores of this process"))?;
    if cpus > cores.len() {
        let cores = cores.len();
        return Err(BringUpError::TooManyCpus { cpus, cores });
    }
    let here = cpus::current_core();
    if let Some(place) = cores.iter().position(|&core| Some(core) == here) {
        cores.swap(0, place);
    }
    let first = *cores
        .first()
        .ok_or(BringUpError::TooManyCpus { cpus, cores: 0 })?;
    cpus::pin_to(first).map_err(refused("pinning to a core"))?;
    cores.truncate(cpus);
    Ok(cores)
}

/// Touches all RAM of the arena, so that no page fault of the process strikes a sample.
fn populate(arena: &Mapping, ram: &[FrameRange]) {
    // The hole for devices stays empty.
    for range in ram {
        arena.populate(range.start.address().0..range.end.address().0);
    }
}

/// A frame allocator that owns these ranges, with its metadata in memory of the process.
fn frames(
    free: &'static [FrameRange],
    zones: &ZoneEnds,
) -> Result<FrameAllocator<'static>, BringUpError> {
    let size = FrameAllocator::<InDescriptor>::metadata_size(free, zones);
    let size = size.map_err(BringUpError::Frames)?;
    let more = FrameAllocator::<InDescriptor>::more_zones(free, zones);
    let more = more.map_err(BringUpError::Frames)?;
    let descriptors = uninitialised(size.descriptors).map_err(|error| BringUpError::Kernel {
        what: "the frame descriptors",
        error,
    })?;
    // SAFETY: the mapping is full of zeros, which are valid descriptors.
    let descriptors = unsafe { descriptors.assume_init_mut() };
    let metadata = Metadata {
        descriptors,
        words: &mut [],
    };
    let more: Vec<_> = (0..more).map(|_| frame::Zone::empty()).collect();
    let frames = FrameAllocator::with_more_zones(free, zones, metadata, more.leak());
    let frames = frames.map_err(BringUpError::Frames)?;
    record_zones(&frames, zones);
    Ok(frames)
}

/// Writes down which zones there are, and what is free in each.
fn record_zones(frames: &FrameAllocator<'_>, zones: &ZoneEnds) {
    let mut start = PhysAddr(0);
    for &(kind, end) in zones {
        let free = frames.buddy_info().filter(|info| info.kind == kind);
        let end = PhysAddr(end.0.saturating_mul(PAGE_SIZE));
        if let Some(free_frames) = free.map(|info| info.free).reduce(|sum, free| sum + free) {
            log::record(&Record::Zone(Zone {
                name: format_args!("{kind}").into(),
                start: Hex(start.0),
                end: Hex(end.0),
                free_frames,
            }));
        }
        start = end;
    }
}

/// Permanent room for `count` values: in pages of 2 MiB, if the kernel has them, as on the machine.
fn uninitialised<T>(count: usize) -> io::Result<&'static mut [MaybeUninit<T>]> {
    let mapping = Mapping::new((count * size_of::<T>()) as u64, Pages::Huge)?;
    mapping.populate(0..mapping.bytes());
    // SAFETY: the mapping has room for as many, is aligned to far more than any type, and stays for good.
    Ok(unsafe { slice::from_raw_parts_mut(mapping.start().0 as *mut MaybeUninit<T>, count) })
}

fn notice(text: fmt::Arguments<'_>) {
    log::record(&Record::Notice(Notice { text: text.into() }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ram_is_a_pcs() {
        let ends = |bytes| -> Vec<_> {
            let lines = lines(bytes).into_iter();
            lines
                .map(|line| (line.base, line.base + line.length))
                .collect()
        };
        const GIB: u64 = 1 << 30;
        assert_eq!(ends(GIB), [(0, 0x9f000), (1 << 20, GIB)]);
        let five = [(0, 0x9f000), (1 << 20, 3 * GIB), (4 * GIB, 6 * GIB)];
        assert_eq!(ends(5 * GIB), five);
    }

    #[test]
    fn the_direct_map_lies_at_the_arena() {
        let layout = layout(PhysAddr(1 << 30), VirtAddr(0x7f00_0000_0000)).unwrap();
        assert_eq!(layout.direct_mapped(), 1 << 30);
        assert_eq!(layout.direct_map.start, VirtAddr(0x7f00_0000_0000));
        assert!(layout.direct_map.end < layout.hole.start);
    }
}
