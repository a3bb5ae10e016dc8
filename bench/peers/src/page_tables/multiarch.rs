//! `page_table_multiarch` of ArceOS: a cursor that flushes what it changed when it is dropped, new mappings too: page by page up
//! to 32, by a CR3 reload above. Its calls for regions change one page after the other, each by a walk from the root, and may
//! stop halfway.

use core::mem::ManuallyDrop;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use memory_addr::{PhysAddr, VirtAddr};
use page_table_multiarch::x86_64::X64PageTable;
use page_table_multiarch::{MappingFlags, PageSize, PagingHandler};

use super::{PageTables, TABLE_FRAMES};

const FRAME_BYTES: u64 = crate::FRAME_BYTES as u64;
const READ_WRITE: MappingFlags = MappingFlags::READ.union(MappingFlags::WRITE);

/// Where physical memory lies, and the frames for tables that are left. The crate takes its surroundings as a type, without a value.
static WINDOW: AtomicU64 = AtomicU64::new(0);
static NEXT: AtomicU64 = AtomicU64::new(0);
static END: AtomicU64 = AtomicU64::new(0);

/// The surroundings.
struct Surroundings;

impl PagingHandler for Surroundings {
    fn alloc_frames(count: usize, align: usize) -> Option<PhysAddr> {
        let first = NEXT.load(Relaxed).next_multiple_of(align as u64);
        let next = first + count as u64 * FRAME_BYTES;
        if next > END.load(Relaxed) {
            return None;
        }
        NEXT.store(next, Relaxed);
        Some(PhysAddr::from(first as usize))
    }

    /// The frames go as they came, all at once.
    fn dealloc_frames(_: PhysAddr, _: usize) {}

    #[inline]
    fn phys_to_virt(address: PhysAddr) -> VirtAddr {
        VirtAddr::from(WINDOW.load(Relaxed) as usize + address.as_usize())
    }
}

/// The crate's table. It is never dropped: that would walk through tables that its root shares with others.
pub struct Multiarch(ManuallyDrop<X64PageTable<Surroundings>>);

impl Multiarch {
    /// A tree with an empty root; `None` if that cannot be had.
    ///
    /// # Safety
    ///
    /// Physical memory lies at `window`, and [`TABLE_FRAMES`] frames from `frames` on are this value's for as long as it or its
    /// root is used. There is one such value at a time.
    pub unsafe fn new(window: u64, frames: u64) -> Option<Self> {
        WINDOW.store(window, Relaxed);
        NEXT.store(frames, Relaxed);
        END.store(frames + TABLE_FRAMES * FRAME_BYTES, Relaxed);
        let table = X64PageTable::try_new().ok()?;
        Some(Multiarch(ManuallyDrop::new(table)))
    }
}

fn virtual_address(address: u64) -> VirtAddr {
    VirtAddr::from(address as usize)
}

impl PageTables for Multiarch {
    fn root(&self) -> u64 {
        self.0.root_paddr().as_usize() as u64
    }

    #[inline]
    fn map(&mut self, start: u64, physical: u64, pages: u64) -> bool {
        let (start, physical) = (virtual_address(start), physical as usize);
        let mut cursor = self.0.cursor();
        let mapped = if pages == 1 {
            cursor.map(start, physical.into(), PageSize::Size4K, READ_WRITE)
        } else {
            let first = start.as_usize();
            let frame = |address: VirtAddr| (physical + (address.as_usize() - first)).into();
            let bytes = (pages * FRAME_BYTES) as usize;
            cursor.map_region(start, frame, bytes, READ_WRITE, false)
        };
        mapped.is_ok()
    }

    #[inline]
    fn protect(&mut self, start: u64, pages: u64) -> bool {
        let start = virtual_address(start);
        let mut cursor = self.0.cursor();
        if pages == 1 {
            return cursor.protect(start, MappingFlags::READ).is_ok();
        }
        let bytes = (pages * FRAME_BYTES) as usize;
        cursor
            .protect_region(start, bytes, MappingFlags::READ)
            .is_ok()
    }

    #[inline]
    fn unmap(&mut self, start: u64, pages: u64) -> bool {
        let start = virtual_address(start);
        let mut cursor = self.0.cursor();
        if pages == 1 {
            return cursor.unmap(start).is_ok();
        }
        let bytes = (pages * FRAME_BYTES) as usize;
        cursor.unmap_region(start, bytes).is_ok()
    }

    #[inline]
    fn translate(&self, address: u64) -> Option<u64> {
        let (physical, ..) = self.0.query(virtual_address(address)).ok()?;
        Some(physical.as_usize() as u64)
    }
}
