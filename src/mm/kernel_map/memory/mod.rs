//! The kernel's memory: frames, page table and TLBs put together, with a cache of single frames and one of tables.

mod aliases;
mod config;
mod contents;

pub use aliases::Aliases;
pub use config::KernelConfig;

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::mm::address::{FrameRange, Order, PageSize, Pfn, PhysAddr, VirtAddr};
use crate::mm::frame::{
    Batched, BlockList, Buddy, FrameAllocator, FrameCache, FreeError, Gfp, Taking,
};
use crate::mm::hardware::PhysicalMemory;
use crate::mm::page_table::{
    Fill, Frames, MapError, Mapping, OwnedRange, PageTable, Protection, Runs, TableCache,
    TableFrames, Tables, TablesError,
};
use crate::mm::tlb::Tlb;

/// The kernel's memory: the frames, the page table that all kernel code runs on, and the TLBs that cache it.
pub struct KernelMemory<'m, C: KernelConfig> {
    /// The physical page allocator.
    pub frames: FrameAllocator<'m, C::Buddy>,
    /// The kernel's page table, to look at: who owns a range of its addresses edits it there ([`OwnedRange`]).
    pub table: PageTable<C::Memory>,
    /// The TLBs and their policy.
    pub tlb: Tlb<C::Tlb>,
    memory: C::Memory,
    ram: &'m [FrameRange],
    frame_cache: FrameCache<'m, Batched>,
    present_frames: u64,
    table_frames: u64,
    table_cache: TableCache<C::Memory>,
    aliases: Option<Aliases<C::Memory>>,
    end_of_physical: PhysAddr,
}

/// End of the addresses that an entry can hold (52 bits).
const END_OF_ENTRIES: PhysAddr = PhysAddr(1 << 52);

impl<'m, C: KernelConfig> KernelMemory<'m, C> {
    /// Puts the parts together; `ram` is all RAM, sorted, used or not.
    ///
    /// # Safety
    ///
    /// `memory` covers every frame that `frames` hands out by [`Gfp::KERNEL`]; all that it has is RAM, and nobody else uses it.
    pub unsafe fn new(
        memory: C::Memory,
        ram: &'m [FrameRange],
        frames: FrameAllocator<'m, C::Buddy>,
        table: PageTable<C::Memory>,
        tlb: Tlb<C::Tlb>,
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
            aliases: None,
            end_of_physical: END_OF_ENTRIES,
        }
    }

    /// Frames that the frame allocator has in all, free or not.
    #[must_use]
    pub const fn present_frames(&self) -> u64 {
        self.present_frames
    }

    /// Sets the width of the CPU's physical addresses: an entry with a higher address would fault as one with a reserved bit.
    pub fn set_physical_bits(&mut self, bits: u8) {
        self.end_of_physical = PhysAddr(1 << bits.min(52));
    }

    /// End of the physical addresses that can be mapped.
    #[must_use]
    pub const fn end_of_physical(&self) -> PhysAddr {
        self.end_of_physical
    }

    /// The lowest frame of a range that is RAM, used or not.
    #[must_use]
    pub fn first_ram(&self, frames: &FrameRange) -> Option<Pfn> {
        let overlap = |ram: &FrameRange| ram.start.max(frames.start)..ram.end.min(frames.end);
        let mut overlaps = self.ram.iter().map(overlap);
        Some(overlaps.find(|overlap| !overlap.is_empty())?.start)
    }

    /// The way to the frames as bytes.
    #[must_use]
    pub const fn memory(&self) -> &C::Memory {
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

    /// Tables of the frame allocator that are neither in the kernel's page table nor in the cache: the roots of other trees and
    /// what lies below them, and tables that leaked. Negative by as many as the boot built the kernel's page table of.
    #[must_use]
    pub fn tables_elsewhere(&self) -> i64 {
        let at_hand = self.table.count_tables().total() + self.cached_tables();
        self.table_frames.wrapping_sub(at_hand).cast_signed()
    }

    /// Reads every table in the cache, and expects no entry in it.
    ///
    /// # Errors
    ///
    /// The first that has one, by frame number.
    pub fn validate_cached_tables(&self) -> Result<(), TablesError> {
        self.table_cache.validate()
    }

    /// A source of tables.
    #[inline]
    pub fn tables(&mut self) -> KernelTables<'_, 'm, C::Memory, C::Buddy> {
        KernelTables {
            memory: self.memory,
            cache: &mut self.table_cache,
            frames: &mut self.frames,
            count: &mut self.table_frames,
        }
    }

    /// Maps `pages` pages from `start` on to frames of the allocator's first zone, as they lie there. `None` if they may not or
    /// cannot all come from there, or the range is not vacant or not in one PD; then nothing but tables has changed.
    pub fn map_as_it_lies(
        &mut self,
        owned: &mut OwnedRange<C::Memory>,
        start: VirtAddr,
        pages: u64,
        gfp: Gfp,
        protection: Protection,
    ) -> Option<Mapping<BlockList>> {
        if let Some(vacant) = owned.vacant_pages(start, pages) {
            let taken = AsItLies(self.frames.take_as_it_lies(gfp, pages)?);
            return Some(vacant.fill_owned(taken, protection, AsItLies::list));
        }
        // With room for the tables, so that none is made for a request that fails after all.
        let most_tables = pages.div_ceil(PageSize::Size2M.frames()) + 1;
        let _ = self.frames.take_as_it_lies(gfp, pages + most_tables)?;
        let mut tables = KernelTables {
            memory: self.memory,
            cache: &mut self.table_cache,
            frames: &mut self.frames,
            count: &mut self.table_frames,
        };
        let vacant = owned.vacant_range(start, pages, &mut tables)?;
        let taken = AsItLies(self.frames.take_as_it_lies(gfp, pages)?);
        Some(vacant.fill_owned(taken, protection, AsItLies::list))
    }

    /// Maps what the list has, block by block, from `start` on, with leaves up to `largest`.
    ///
    /// # Errors
    ///
    /// As for [`OwnedRange::map`]; the frames come back.
    #[inline]
    pub fn map_blocks(
        &mut self,
        owned: &mut OwnedRange<C::Memory>,
        start: VirtAddr,
        list: BlockList,
        protection: Protection,
        largest: PageSize,
    ) -> Result<Mapping<BlockList>, (MapError, BlockList)> {
        // As a rule the tables are there; and a single block is looked up nowhere.
        let mut none = Tables::NONE;
        let mapped = match list.single() {
            Some(frames) => owned.map_owned(start, list, frames, protection, largest, &mut none),
            None => {
                let frames = runs(&self.frames, &list);
                owned.map_owned(start, list, frames, protection, largest, &mut none)
            }
        };
        match mapped {
            Err((MapError::OutOfTables { tables, .. }, list)) => {
                self.map_blocks_to_new_tables(owned, start, list, protection, largest, tables)
            }
            mapped => mapped,
        }
    }

    /// [`map_blocks`](Self::map_blocks), slow path: `missing` tables have to be built first.
    #[cold]
    #[inline(never)]
    fn map_blocks_to_new_tables(
        &mut self,
        owned: &mut OwnedRange<C::Memory>,
        start: VirtAddr,
        list: BlockList,
        protection: Protection,
        largest: PageSize,
        tables: u64,
    ) -> Result<Mapping<BlockList>, (MapError, BlockList)> {
        let Some(mut new) = self.tables().allocate_tables(tables) else {
            let address = start;
            return Err((MapError::OutOfTables { address, tables }, list));
        };
        let frames = runs(&self.frames, &list);
        let mapped = owned.map_owned(start, list, frames, protection, largest, &mut new);
        // They came from there and go back there: that cannot fail.
        let _ = self.free_tables(new);
        mapped
    }

    /// Gives tables back that came out of a flush: to the cache, and from there to the frame allocator what is too much.
    ///
    /// # Errors
    ///
    /// The frame allocator does not take a frame back, which was none of its own.
    #[inline]
    pub fn free_tables(&mut self, tables: Tables) -> Result<(), FreeError> {
        if tables.count() == 0 {
            return Ok(());
        }
        self.tables().free_tables(tables)
    }
}

/// Frames that are taken while they are mapped.
struct AsItLies<'a, 'm, B>(Taking<'a, 'm, B>);

impl<B: Buddy> AsItLies<'_, '_, B> {
    fn list(self) -> BlockList {
        self.0.list()
    }
}

impl<B: Buddy> Fill for AsItLies<'_, '_, B> {
    fn fill(&mut self, mut entries: &[AtomicU64], protection: Protection) {
        while !entries.is_empty() {
            let count = match self.0.run(entries.len() as u64) {
                Some(mut run) => {
                    let count = (run.end.0 - run.start.0) as usize;
                    run.fill(&entries[..count], protection);
                    count
                }
                None => {
                    let put = |entry: &AtomicU64, pfn| entry.store(protection.leaf(pfn), Relaxed);
                    self.0.singles(entries.iter(), put) as usize
                }
            };
            debug_assert!(count > 0, "the zone has fewer frames than it counts");
            if count == 0 {
                break;
            }
            entries = &entries[count..];
        }
    }
}

/// The frames of a list, in runs.
#[inline]
fn runs<'f, 'm, B: Buddy>(
    frames: &'f FrameAllocator<'m, B>,
    list: &BlockList,
) -> impl Frames + use<'f, 'm, B> {
    let blocks = frames.blocks(list);
    // Many frames are the largest blocks, all of them, as a rule.
    let largest = frames.largest_order().frames();
    let block = match list.frames() == list.blocks() * largest {
        true => largest,
        false => 1,
    };
    Runs::of_blocks(
        blocks.map(|(frame, order)| (frame, order.frames())),
        list.frames(),
        block,
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

    fn give_back(&mut self, tables: Tables) {
        // They came from there and go back there: that cannot fail.
        let _ = self.free_tables(tables);
    }
}
