//! Floor 9: the kernel's memory and the vmalloc region, shared by all CPUs at once.
//!
//! Each CPU has a [`Part`] by its number: a cache of frames and chunks of addresses ([`chunk`]), as Linux has lists for each CPU and,
//! since 6.9, vmap nodes. What a part has it serves without a lock. What it does not have, large areas among it, comes from what all
//! share, behind one lock, which is fair, as CPUs may wait for it, and counts how often it was taken.
//!
//! A freed area's frames go back at once, to the CPU that freed it, and its addresses after the next flush for its chunk
//! (the policy of [`Lazy`](super::vmalloc::Lazy)): one flush is for all places of a size that were freed. Any CPU frees any area.

#![forbid(unsafe_code)]

mod chunk;
mod part;

#[cfg(test)]
mod tests;

pub use part::Part;

use spin::mutex::{TicketMutex, TicketMutexGuard};

use super::address::{Order, PAGE_SIZE, PageSize, VirtAddr};
use super::frame::{Block, Gfp};
use super::kernel_map::{KernelConfig, KernelMemory};
use super::page_table::{Mapping, Protection};
use super::shootdown::CpuId;
use super::tlb::PendingFlush;
use super::vmalloc::{
    Area, AreaSearch, Contents, Freeing, VfreeError, Vmalloc, VmallocError, block_of,
};
use chunk::Chunk;
use part::{CHUNKS, Own, SIZES};

/// The kernel's memory and a vmalloc region, for all CPUs.
pub struct SharedKernel<'s, 'm, C: KernelConfig, S, P> {
    common: TicketMutex<Common<'s, 'm, C, S, P>>,
    parts: &'s [Part<'m, C>],
}

/// What is behind the lock.
struct Common<'s, 'm, C: KernelConfig, S, P> {
    kernel: &'s mut KernelMemory<'m, C>,
    vmalloc: &'s mut Vmalloc<C, S, P>,
    /// How often the lock was taken.
    locks: u64,
}

/// An area that its holder owns. It goes back by value; dropping it leaks the area.
#[must_use = "the area leaks unless it is freed"]
#[derive(PartialEq, Eq, Debug)]
pub struct SharedArea(From);

/// Where an area comes from.
#[derive(PartialEq, Eq, Debug)]
enum From {
    /// A place of a CPU's chunk.
    Part {
        cpu: CpuId,
        chunk: usize,
        place: usize,
        mapping: Mapping<Block>,
    },
    /// What all share.
    Common(Area),
}

impl SharedArea {
    /// First address.
    #[must_use]
    pub const fn start(&self) -> VirtAddr {
        match &self.0 {
            From::Part { mapping, .. } => mapping.start(),
            From::Common(area) => area.start(),
        }
    }

    /// Bytes that may be used: a whole number of pages.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        match &self.0 {
            From::Part { mapping, .. } => mapping.pages() * PAGE_SIZE,
            From::Common(area) => area.bytes(),
        }
    }
}

impl<'s, 'm, C: KernelConfig, S: AreaSearch<Contents = Contents>, P: Freeing>
    SharedKernel<'s, 'm, C, S, P>
{
    /// Both for all CPUs that have a part, by their numbers; others are served by what all share.
    pub const fn new(
        kernel: &'s mut KernelMemory<'m, C>,
        vmalloc: &'s mut Vmalloc<C, S, P>,
        parts: &'s [Part<'m, C>],
    ) -> Self {
        SharedKernel {
            common: TicketMutex::new(Common {
                kernel,
                vmalloc,
                locks: 0,
            }),
            parts,
        }
    }

    /// Waits for the lock.
    fn lock(&self) -> TicketMutexGuard<'_, Common<'s, 'm, C, S, P>> {
        let mut common = self.common.lock();
        common.locks += 1;
        common
    }

    /// How often the lock was taken so far.
    #[must_use]
    pub fn locks(&self) -> u64 {
        self.common.lock().locks
    }

    /// Allocates an area as [`Vmalloc::vmalloc`] does, on the CPU `cpu`.
    ///
    /// # Errors
    ///
    /// As there.
    #[inline]
    pub fn vmalloc(&self, cpu: CpuId, bytes: u64) -> Result<SharedArea, VmallocError> {
        match self.alloc_of_part(cpu, bytes) {
            Some(area) => Ok(area),
            None => self.alloc_common(bytes),
        }
    }

    /// Frees an area and its frames, on the CPU `cpu`, whichever allocated it.
    ///
    /// # Errors
    ///
    /// As for [`Vmalloc::vfree`].
    #[inline]
    pub fn vfree(&self, cpu: CpuId, area: SharedArea) -> Result<(), VfreeError> {
        match area.0 {
            From::Part {
                cpu: home,
                chunk,
                place,
                mapping,
            } => self.free_of_part(cpu, home, chunk, place, mapping),
            From::Common(area) => {
                let common = &mut *self.lock();
                common.vmalloc.vfree(area, common.kernel)
            }
        }
    }

    /// An area out of the CPU's part; `None` if it has none, or nobody has.
    #[inline]
    fn alloc_of_part(&self, cpu: CpuId, bytes: u64) -> Option<SharedArea> {
        let order = block_of(bytes.div_ceil(PAGE_SIZE))?;
        let size = usize::from(order.get());
        if size >= SIZES {
            return None;
        }
        let part = self.parts.get(cpu.number())?;
        let own = &mut *part.own.try_lock()?;
        let (number, place) = match own.take(order) {
            Some(taken) => taken,
            None => self.find_places(part, own, order)?,
        };
        let block = self.alloc_block(own, order);
        let chunk = own.chunks[size][number].as_mut()?;
        let Some(block) = block else {
            chunk.put_back(place);
            return None;
        };
        match self.map(chunk, place, block) {
            Ok(mapping) => Some(SharedArea(From::Part {
                cpu,
                chunk: number,
                place,
                mapping,
            })),
            Err(block) => {
                chunk.put_back(place);
                // Just allocated, so that it can only go back.
                let _ = self.free_block(Some(own), block);
                None
            }
        }
    }

    /// A block out of the CPU's cache, or into that out of what all share.
    #[inline]
    fn alloc_block(&self, own: &mut Own<'m, C::Memory>, order: Order) -> Option<Block> {
        let taken = match order {
            Order::ZERO => own.frames.take(Gfp::KERNEL),
            _ => own.frames.take_block(Gfp::KERNEL, order),
        };
        match taken {
            Some(block) => Some(block),
            None => self.refill(own, order),
        }
    }

    #[cold]
    #[inline(never)]
    fn refill(&self, own: &mut Own<'m, C::Memory>, order: Order) -> Option<Block> {
        let frames = &mut self.lock().kernel.frames;
        let block = match order {
            Order::ZERO => own.frames.alloc_from(frames, Gfp::KERNEL),
            _ => own.frames.alloc_block_from(frames, Gfp::KERNEL, order),
        };
        block.ok()
    }

    /// Maps a place to a block, which comes back if there is no frame for a table.
    #[inline]
    fn map(
        &self,
        chunk: &mut Chunk<C::Memory>,
        place: usize,
        block: Block,
    ) -> Result<Mapping<Block>, Block> {
        let (start, pages) = (chunk.address(place), block.order().frames());
        let (first, protection) = (block.pfn(), Protection::READ_WRITE);
        if let Some(vacant) = chunk.owned.vacant_pages(start, pages) {
            return Ok(vacant.map_owned(block, first, protection));
        }
        let frames = first..first.add(pages);
        let (small, common) = (PageSize::Size4K, &mut *self.lock());
        let tables = &mut common.kernel.tables();
        let mapped = chunk
            .owned
            .map_owned(start, block, frames, protection, small, tables);
        mapped.map_err(|(_, block)| block)
    }

    /// A place for a block of `order` where no chunk has one: in a new chunk, or in the old ones after a flush.
    #[cold]
    #[inline(never)]
    fn find_places(
        &self,
        part: &Part<'m, C>,
        own: &mut Own<'m, C::Memory>,
        order: Order,
    ) -> Option<(usize, usize)> {
        let size = usize::from(order.get());
        let common = &mut *self.lock();
        let vacant = own.chunks[size].iter_mut().find(|chunk| chunk.is_none());
        let new = vacant.and_then(|vacant| {
            let (owned, slot) = common.vmalloc.reserve(chunk::PAGES, LARGE).ok()?;
            *vacant = Some(Chunk::new(owned, slot, order));
            Some(())
        });
        if new.is_none() {
            common.purge(part, own, size);
        }
        own.take(order)
    }

    /// An area out of what all share.
    #[cold]
    #[inline(never)]
    fn alloc_common(&self, bytes: u64) -> Result<SharedArea, VmallocError> {
        let common = &mut *self.lock();
        let area = common.vmalloc.vmalloc(bytes, common.kernel)?;
        Ok(SharedArea(From::Common(area)))
    }

    /// The way back of [`alloc_of_part`](Self::alloc_of_part).
    #[inline]
    fn free_of_part(
        &self,
        cpu: CpuId,
        home: CpuId,
        number: usize,
        place: usize,
        mapping: Mapping<Block>,
    ) -> Result<(), VfreeError> {
        let order = mapping.backing().order();
        let size = usize::from(order.get());
        let part = self.parts.get(cpu.number());
        let mut own = part.and_then(|part| part.own.try_lock());
        let (start, pages) = (mapping.start(), mapping.pages());
        let at_hand = match &mut own {
            Some(own) if cpu == home => own.chunks[size][number].as_mut(),
            _ => None,
        };
        let unmapped = match at_hand.and_then(|chunk| chunk.owned.mapped_pages(start, pages)) {
            Some(mapped) => mapped.unmap_owned(mapping),
            None => self.unmap_elsewhere(mapping)?,
        };
        // The flush for all of the chunk is owed from here on: the place is not free before it.
        let (block, addresses) = unmapped.also(place).release_frames_before_flush();
        let place = addresses.leave_to_the_next_purge();
        if let Some(home) = self.parts.get(home.number()) {
            home.freed[size][number].add(place);
        }
        self.free_block(own.as_deref_mut(), block)
    }

    /// Unmaps an area of another CPU.
    #[cold]
    #[inline(never)]
    fn unmap_elsewhere(&self, mapping: Mapping<Block>) -> Result<PendingFlush<Block>, VfreeError> {
        let unmapped = self.lock().vmalloc.unmap_reserved(mapping);
        unmapped.map_err(|(error, _)| VfreeError::Pages(error))
    }

    /// Frees a block into the CPU's cache, if it has one and there is room.
    #[inline]
    fn free_block(
        &self,
        own: Option<&mut Own<'m, C::Memory>>,
        block: Block,
    ) -> Result<(), VfreeError> {
        let Some(own) = own else {
            let freed = self.lock().kernel.free_block(block);
            return freed.map_err(VfreeError::Frames);
        };
        let (pfn, order) = block.into_raw();
        let cached = match order {
            Order::ZERO => own.frames.put(pfn),
            _ => own.frames.put_block(pfn, order),
        };
        match cached {
            true => Ok(()),
            false => {
                let frames = &mut self.lock().kernel.frames;
                let freed = own.frames.free_to(frames, pfn, order);
                freed.map_err(VfreeError::Frames)
            }
        }
    }

    /// Ends the sharing: all parts give back what they have. Returns how many chunks stay, as areas live in them.
    pub fn end(self) -> usize {
        let common = &mut *self.lock();
        let mut in_use = 0;
        for part in self.parts {
            let own = &mut *part.own.lock();
            for size in 0..SIZES {
                common.purge(part, own, size);
                for chunk in &mut own.chunks[size] {
                    match chunk.take() {
                        Some(unused) if unused.is_unused() => {
                            common.vmalloc.give_back(unused.owned, unused.slot);
                        }
                        Some(used) => {
                            in_use += 1;
                            *chunk = Some(used);
                        }
                        None => {}
                    }
                }
            }
            own.frames.drain_to(&mut common.kernel.frames);
        }
        in_use
    }
}

impl<'m, C: KernelConfig, S, P> Common<'_, 'm, C, S, P> {
    /// Flushes for all places of a size that were freed, which are free then.
    fn purge(&mut self, part: &Part<'m, C>, own: &mut Own<'m, C::Memory>, size: usize) {
        let mut owed: Option<PendingFlush> = None;
        let mut freed = [[0; _]; CHUNKS];
        for (number, chunk) in own.chunks[size].iter().enumerate() {
            freed[number] = part.freed[size][number].take();
            if let Some(chunk) = chunk
                && freed[number].iter().any(|&word| word != 0)
            {
                let start = chunk.owned.start();
                let pages = PendingFlush::new(start, chunk::PAGES, PageSize::Size4K);
                owed = Some(match owed {
                    Some(owed) => owed.merge(pages),
                    None => pages,
                });
            }
        }
        let Some(owed) = owed else { return };
        let freed = owed.guard(freed).flush(&self.kernel.tlb);
        for (chunk, freed) in own.chunks[size].iter_mut().zip(&freed) {
            if let Some(chunk) = chunk {
                chunk.add(freed);
            }
        }
    }
}

/// Alignment of a chunk.
const LARGE: u64 = PageSize::Size2M.bytes();
