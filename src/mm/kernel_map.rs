//! Floor 5: the kernel's own page table: the direct map, and the image with each section's own protection.
//!
//! The boot stretch runs on the tables of `boot/entry.s`, which also map the first 4 GiB at their own addresses. The table
//! built here has no such identity half: once CR3 holds it, address 0 faults. This is what 2.4 does by `pagetable_init` and
//! `zap_low_mappings` (the book's section 3.6), but for W^X and for the largest pages.
//!
//! What no section names stays unmapped, the guard page below each stack among it. Where the image lies in the direct map
//! (`classic`), the sections are all that the direct map has of it.

mod contents;

use core::fmt;
use core::ops::Range;

use super::address::{FrameRange, Order, PAGE_SIZE, PageSize, Pfn, PhysAddr, VirtAddr};
use super::frame::{
    Batched, BlockList, BootAllocator, Buddy, FrameAllocator, FrameCache, FreeError, Gfp,
    InDescriptor,
};
use super::hardware::{PhysicalMemory, TlbInvalidate};
use super::layout::Layout;
use super::page_table::{
    Frames, MapError, Mapping, PageTable, Protection, Runs, TableCache, TableFrames, Tables,
};
use super::tlb::Tlb;

/// A part of the image: where it is linked, where it was loaded, and what it allows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Section {
    /// Link addresses, page-aligned, end exclusive.
    pub range: Range<VirtAddr>,
    /// Physical address of the first byte.
    pub loaded: PhysAddr,
    /// What it allows.
    pub protection: Protection,
}

impl Section {
    /// The frames that it was loaded into.
    fn frames(&self) -> FrameRange {
        let first = self.loaded.frame();
        first..first.add((self.range.end.0 - self.range.start.0) / PAGE_SIZE)
    }
}

/// Why the kernel's map could not be built.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KernelMapError {
    /// Which part of it.
    pub part: &'static str,
    /// What went wrong.
    pub error: MapError,
}

impl fmt::Display for KernelMapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kernel map: {}: {}", self.part, self.error)
    }
}

impl core::error::Error for KernelMapError {}

/// Maps all of `ram` that the layout's direct map covers, with leaves up to `largest`, and the sections of the image.
///
/// # Errors
///
/// What could not be mapped.
pub fn build<M: PhysicalMemory>(
    table: &mut PageTable<M>,
    layout: &Layout,
    ram: &[FrameRange],
    sections: &[Section],
    largest: PageSize,
    tables: &mut impl TableFrames,
) -> Result<(), KernelMapError> {
    let covered = PhysAddr(layout.direct_mapped()).frame();
    let image = image_in_direct_map(layout, sections);
    for range in ram {
        for frames in [
            range.start..range.end.min(covered).min(image.start),
            range.start.max(image.end)..range.end.min(covered),
        ] {
            if frames.is_empty() {
                continue;
            }
            let start = VirtAddr(layout.direct_map.start.0 + frames.start.address().0);
            table
                .map(start, frames, Protection::READ_WRITE, largest, tables)
                .map_err(|error| KernelMapError {
                    part: "direct map",
                    error,
                })?;
        }
    }
    for section in sections.iter().filter(|section| !section.range.is_empty()) {
        let frames = section.frames();
        table
            .map(
                section.range.start,
                frames,
                section.protection,
                PageSize::Size4K,
                tables,
            )
            .map_err(|error| KernelMapError {
                part: "image",
                error,
            })?;
    }
    Ok(())
}

/// The frames from the image's first section to its last, if the direct map has to leave them to the sections; else none, at
/// the end of all.
fn image_in_direct_map(layout: &Layout, sections: &[Section]) -> FrameRange {
    let sections = if layout.image.is_none() {
        sections
    } else {
        &[]
    };
    let start = sections.iter().map(|section| section.frames().start).min();
    let end = sections.iter().map(|section| section.frames().end).max();
    let none = Pfn(u64::MAX);
    start.unwrap_or(none)..end.unwrap_or(none)
}

/// What an audit of a live table found.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Audit {
    /// Leaves of 4 KiB, 2 MiB and 1 GiB.
    pub leaves: [u64; 3],
    /// A leaf that is writable and executable, if there is one.
    pub writable_executable: Option<VirtAddr>,
    /// A leaf in the lower half, if there is one.
    pub lower_half: Option<VirtAddr>,
}

impl Audit {
    /// Looks at every leaf of the table.
    pub fn of<M: PhysicalMemory>(table: &PageTable<M>) -> Self {
        let mut audit = Audit::default();
        table.for_each_leaf(|address, leaf| {
            audit.leaves[leaf.size() as usize] += 1;
            if leaf.protection().is_writable() && leaf.protection().is_executable() {
                audit.writable_executable.get_or_insert(address);
            }
            if address.0 >> 63 == 0 {
                audit.lower_half.get_or_insert(address);
            }
        });
        audit
    }
}

/// Tables of the boot stretch, before there is a frame allocator: single frames that are never given back.
#[derive(Debug)]
pub struct BootTables<'b, 'm, M> {
    memory: M,
    frames: &'b mut BootAllocator<'m>,
    below: Pfn,
}

impl<'b, 'm, M: PhysicalMemory> BootTables<'b, 'm, M> {
    /// Tables out of the frames below `below`.
    ///
    /// # Safety
    ///
    /// `memory` covers every frame below `below` that `frames` has, and nobody else uses them.
    pub unsafe fn new(memory: M, frames: &'b mut BootAllocator<'m>, below: Pfn) -> Self {
        BootTables {
            memory,
            frames,
            below,
        }
    }

    /// A single frame full of zeros, if there is one.
    pub fn allocate_table(&mut self) -> Option<Pfn> {
        let frame = self.frames.alloc(1, self.below).ok()?.start;
        // SAFETY: the frame is covered and nobody else's (promised to `new`), and has just been allocated.
        unsafe { self.memory.zero(frame) };
        Some(frame)
    }
}

impl<M: PhysicalMemory> TableFrames for BootTables<'_, '_, M> {
    /// Frames that are taken before there is one too few are lost: the boot ends there anyway.
    fn allocate_tables(&mut self, count: u64) -> Option<Tables> {
        let mut tables = Tables::NONE;
        for _ in 0..count {
            let frame = self.allocate_table()?;
            // SAFETY: just filled with zeros, and covered (promised to `new`).
            unsafe { tables.push(frame, &self.memory) };
        }
        Some(tables)
    }
}

/// The kernel's memory: the frames, the page table that all kernel code runs on, and the TLBs that cache it.
pub struct KernelMemory<'m, M, I, B = InDescriptor> {
    /// The physical page allocator.
    pub frames: FrameAllocator<'m, B>,
    /// The kernel's page table.
    pub table: PageTable<M>,
    /// The TLBs and their policy.
    pub tlb: Tlb<I>,
    memory: M,
    ram: &'m [FrameRange],
    frame_cache: FrameCache<'m, Batched>,
    present_frames: u64,
    table_frames: u64,
    table_cache: TableCache<M>,
}

impl<'m, M: PhysicalMemory + Copy, I: TlbInvalidate, B: Buddy> KernelMemory<'m, M, I, B> {
    /// Puts the parts together; `ram` is all RAM, sorted, whoever has it.
    ///
    /// # Safety
    ///
    /// `memory` covers every frame that `frames` hands out by [`Gfp::KERNEL`]; all that it has is RAM, and nobody else uses it.
    pub unsafe fn new(
        memory: M,
        ram: &'m [FrameRange],
        frames: FrameAllocator<'m, B>,
        table: PageTable<M>,
        tlb: Tlb<I>,
    ) -> Self {
        KernelMemory {
            present_frames: frames.present_frames(),
            frame_cache: FrameCache::over(&frames, 1),
            frames,
            table,
            tlb,
            memory,
            ram,
            table_frames: 0,
            // SAFETY: all tables come from `frames`, which the caller promises to be covered.
            table_cache: unsafe { TableCache::new(memory) },
        }
    }

    /// Frames that the frame allocator has in all, free or not.
    #[must_use]
    pub const fn present_frames(&self) -> u64 {
        self.present_frames
    }

    /// The lowest frame of a range that is RAM, whoever has it.
    #[must_use]
    pub fn first_ram(&self, frames: &FrameRange) -> Option<Pfn> {
        let overlap = |ram: &FrameRange| ram.start.max(frames.start)..ram.end.min(frames.end);
        let mut overlaps = self.ram.iter().map(overlap);
        Some(overlaps.find(|overlap| !overlap.is_empty())?.start)
    }

    /// The way to the frames as bytes.
    #[must_use]
    pub const fn memory(&self) -> &M {
        &self.memory
    }

    /// Frames that became tables since the frame allocator took over, those in the cache among them.
    #[must_use]
    pub const fn table_frames(&self) -> u64 {
        self.table_frames
    }

    /// Tables that are ready in the cache.
    #[must_use]
    pub const fn cached_tables(&self) -> u64 {
        self.table_cache.count()
    }

    /// The page table, and a source of tables for it.
    #[inline]
    pub fn table_and_tables(&mut self) -> (&mut PageTable<M>, KernelTables<'_, 'm, M, B>) {
        let tables = KernelTables {
            memory: self.memory,
            cache: &mut self.table_cache,
            frames: &mut self.frames,
            count: &mut self.table_frames,
        };
        (&mut self.table, tables)
    }

    /// Maps what the list has, block by block, from `start` on, with leaves up to `largest`.
    ///
    /// # Errors
    ///
    /// As for [`PageTable::map`]; the frames come back.
    #[inline]
    pub fn map_blocks(
        &mut self,
        start: VirtAddr,
        list: BlockList,
        protection: Protection,
        largest: PageSize,
    ) -> Result<Mapping<BlockList>, (MapError, BlockList)> {
        let vacant = match self.table.vacate(start, runs(&self.frames, &list), largest) {
            Ok(vacant) => vacant,
            Err(error) => return Err((error, list)),
        };
        let mut tables = KernelTables {
            memory: self.memory,
            cache: &mut self.table_cache,
            frames: &mut self.frames,
            count: &mut self.table_frames,
        };
        match vacant.allocate_tables(&mut tables) {
            Ok(tables) => {
                let frames = runs(&self.frames, &list);
                Ok(vacant.map_owned(list, frames, protection, tables))
            }
            Err(error) => Err((error, list)),
        }
    }

    /// Gives tables back that came out of a flush: to the cache, and from there to the frame allocator what is too much.
    ///
    /// # Errors
    ///
    /// The frame allocator does not take a frame back, which was none of its own.
    pub fn free_tables(&mut self, tables: Tables) -> Result<(), FreeError> {
        let (_, mut kernel_tables) = self.table_and_tables();
        kernel_tables.free_tables(tables)
    }
}

/// The frames of a list, in runs.
#[inline(always)]
fn runs<'f, B: Buddy>(
    frames: &'f FrameAllocator<'_, B>,
    list: &BlockList,
) -> impl Frames + use<'f, B> {
    let blocks = frames.blocks(list);
    Runs::new(
        blocks.map(|(frame, order)| (frame, order.frames())),
        list.frames(),
    )
}

/// Tables out of the cache, and out of the frame allocator when that has too few.
pub struct KernelTables<'k, 'm, M, B> {
    memory: M,
    cache: &'k mut TableCache<M>,
    frames: &'k mut FrameAllocator<'m, B>,
    count: &'k mut u64,
}

impl<M: PhysicalMemory, B: Buddy> KernelTables<'_, '_, M, B> {
    fn allocate_table(&mut self) -> Option<Pfn> {
        // SAFETY: promised to `KernelMemory::new`.
        let block = unsafe {
            self.frames
                .alloc_zeroed(Gfp::KERNEL, Order::ZERO, &self.memory)
        };
        let (frame, _) = block.ok()?.into_raw();
        *self.count += 1;
        Some(frame)
    }

    fn free_tables(&mut self, tables: Tables) -> Result<(), FreeError> {
        let mut excess = self.cache.put(tables);
        // SAFETY: the cache's frames are covered by `memory` (promised to `KernelMemory::new`).
        while let Some(frame) = unsafe { excess.pop(&self.memory) } {
            *self.count -= 1;
            self.frames.free_pages(frame, Order::ZERO)?;
        }
        Ok(())
    }
}

impl<M: PhysicalMemory, B: Buddy> TableFrames for KernelTables<'_, '_, M, B> {
    fn allocate_tables(&mut self, count: u64) -> Option<Tables> {
        let mut tables = self.cache.take(count);
        while tables.count() < count {
            let Some(frame) = self.allocate_table() else {
                // They came from there and go back there: that cannot fail.
                let _ = self.free_tables(tables);
                return None;
            };
            // SAFETY: just filled with zeros, and covered (promised to `KernelMemory::new`).
            unsafe { tables.push(frame, &self.memory) };
        }
        Some(tables)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mm::layout::Constants;
    use crate::mm::model::{Arena, ArenaTables};
    use crate::mm::page_table::Levels;

    #[test]
    fn ram_and_image_are_mapped_and_nothing_else() {
        let arena = Arena::new(64);
        // SAFETY: the arena's frames are zero and nobody else's.
        let mut table = unsafe { PageTable::new(&arena, Pfn(0), Levels::Four) };
        let mut tables = ArenaTables {
            arena: &arena,
            next: Pfn(1),
            end: Pfn(64),
        };
        let top = PhysAddr((3 << 30) + 0x5000);
        let layout = Layout::new(&Constants::WIDE, top).unwrap();
        let ram = [
            Pfn(0)..Pfn(0x9f),
            Pfn(0x100)..Pfn(0x7_ffe0),
            Pfn(0xc_0000)..Pfn(0xc_0005),
        ];
        let link = VirtAddr(0xffff_ffff_c010_0000);
        let section = |offset: u64, pages: u64, protection| Section {
            range: VirtAddr(link.0 + offset)..VirtAddr(link.0 + offset + pages * PAGE_SIZE),
            loaded: PhysAddr(0x10_0000 + offset),
            protection,
        };
        let sections = [
            section(0, 3, Protection::READ_EXECUTE),
            section(0x3000, 2, Protection::READ),
            // A guard page lies between.
            section(0x6000, 4, Protection::READ_WRITE),
        ];
        let largest = PageSize::Size1G;
        build(&mut table, &layout, &ram, &sections, largest, &mut tables).unwrap();

        let direct =
            |physical: u64| table.translate(VirtAddr(layout.direct_map.start.0 + physical));
        for range in &ram {
            for physical in [range.start.address().0, range.end.address().0 - 1] {
                assert_eq!(direct(physical).unwrap().address, PhysAddr(physical));
            }
            assert_eq!(direct(range.end.address().0), None);
        }
        assert_eq!(
            direct(1 << 30).unwrap().size(),
            PageSize::Size2M,
            "the second GiB is not whole"
        );
        assert_eq!(
            table.translate(VirtAddr(link.0 + 0x5000)),
            None,
            "guard page"
        );
        assert_eq!(
            table.translate(VirtAddr(link.0 + 0x6008)).unwrap().address,
            PhysAddr(0x10_6008)
        );
        let audit = Audit::of(&table);
        assert_eq!((audit.writable_executable, audit.lower_half), (None, None));
        let pages: u64 = ram.iter().map(|range| range.end.0 - range.start.0).sum();
        let [small, middle, large] = audit.leaves;
        assert_eq!(small + middle * 512 + large * (512 * 512), pages + 9);
        // The first GiB has holes; of the second the last 2 MiB are cut.
        assert_eq!((middle, large), (511 + 511, 0));
    }

    #[test]
    fn an_image_in_the_direct_map_has_its_sections_protections_there() {
        let arena = Arena::new(64);
        // SAFETY: the arena's frames are zero and nobody else's.
        let mut table = unsafe { PageTable::new(&arena, Pfn(0), Levels::Four) };
        let mut tables = ArenaTables {
            arena: &arena,
            next: Pfn(1),
            end: Pfn(64),
        };
        // 6 GiB, of which 896 MiB fit.
        let layout = Layout::new(&Constants::CLASSIC, PhysAddr(6 << 30)).unwrap();
        let ram = [Pfn(0)..Pfn(0x9f), Pfn(0x100)..Pfn(6 << 18)];
        let section = |first: u64, pages: u64, protection| Section {
            range: VirtAddr(0xffff_ffff_c000_0000 + first * PAGE_SIZE)
                ..VirtAddr(0xffff_ffff_c000_0000 + (first + pages) * PAGE_SIZE),
            loaded: Pfn(first).address(),
            protection,
        };
        let sections = [
            section(0x101, 3, Protection::READ_EXECUTE),
            section(0x104, 2, Protection::READ),
            // A guard page lies between.
            section(0x107, 4, Protection::READ_WRITE),
        ];
        let largest = PageSize::Size1G;
        build(&mut table, &layout, &ram, &sections, largest, &mut tables).unwrap();

        let at = |frame: u64| {
            let address = VirtAddr(layout.direct_map.start.0 + Pfn(frame).address().0);
            table.translate(address)
        };
        for (frame, protection) in [
            (0x9e, Protection::READ_WRITE),
            (0x100, Protection::READ_WRITE),
            (0x101, Protection::READ_EXECUTE),
            (0x103, Protection::READ_EXECUTE),
            (0x104, Protection::READ),
            (0x105, Protection::READ),
            (0x107, Protection::READ_WRITE),
            (0x10b, Protection::READ_WRITE),
            ((896 << 8) - 1, Protection::READ_WRITE),
        ] {
            let found = at(frame).unwrap();
            assert_eq!(found.address, Pfn(frame).address());
            assert_eq!(found.protection(), protection, "{frame:#x}");
        }
        for frame in [0x9f, 0x106, 896 << 8] {
            assert_eq!(at(frame), None, "{frame:#x}");
        }
        assert_eq!(at(0x200).unwrap().size(), PageSize::Size2M);
        assert_eq!(Audit::of(&table).writable_executable, None);
    }

    #[test]
    fn an_audit_finds_what_must_not_be() {
        let arena = Arena::new(64);
        // SAFETY: the arena's frames are zero and nobody else's.
        let mut table = unsafe { PageTable::new(&arena, Pfn(0), Levels::Four) };
        let mut tables = ArenaTables {
            arena: &arena,
            next: Pfn(1),
            end: Pfn(64),
        };
        let low = VirtAddr(0x5000);
        table
            .map(
                low,
                Pfn(5)..Pfn(6),
                Protection::READ,
                PageSize::Size4K,
                &mut tables,
            )
            .unwrap();
        assert_eq!(Audit::of(&table).lower_half, Some(low));
        assert_eq!(Audit::of(&table).leaves, [1, 0, 0]);
    }
}
