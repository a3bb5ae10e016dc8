//! ioremap: memory of devices in the vmalloc region.
//!
//! The rules are those of 2.4's `ioremap`: the area covers whole pages, the address that the caller gets keeps the offset into
//! the first; a size of 0, a range that wraps and a range with RAM in it are refused.

use core::{error, fmt};

use super::contents::{Contents, Kind};
use super::{AreaSearch, Freeing, Owned, SearchError, VfreeError, Vmalloc};
use crate::mm::address::{FrameRange, PAGE_SIZE, PageSize, Pfn, PhysAddr, VirtAddr};
use crate::mm::kernel_map::{KernelConfig, KernelMemory};
use crate::mm::page_table::{MapError, MemoryType, Protection};

/// How the CPU caches accesses to a device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Caching {
    /// Not at all: registers.
    Uncached,
    /// Reads not at all, writes are gathered into bursts: framebuffers.
    WriteCombining,
    /// As RAM: memory on a device, or tables of the firmware.
    WriteBack,
}

impl Caching {
    const fn protection(self) -> Protection {
        match self {
            Caching::Uncached => Protection::DEVICE,
            Caching::WriteCombining => {
                Protection::READ_WRITE.with_memory_type(MemoryType::WriteCombining)
            }
            Caching::WriteBack => Protection::READ_WRITE,
        }
    }
}

/// A device's memory as its holder sees it. It goes back by value; dropping it leaks the area.
#[must_use = "the area leaks unless it is unmapped"]
#[derive(PartialEq, Eq, Debug)]
pub struct IoArea {
    address: VirtAddr,
    bytes: u64,
}

impl IoArea {
    /// Where the first byte that was asked for lies.
    #[must_use]
    pub const fn address(&self) -> VirtAddr {
        self.address
    }

    /// Bytes that were asked for.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Gives up the value but not the area, which [`Vmalloc::iounmap_at`] unmaps by its address; or never, for a device that
    /// is there to stay.
    pub const fn into_raw(self) -> VirtAddr {
        self.address
    }
}

/// Why a device was not mapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IoremapError {
    /// 0 bytes were asked for.
    NoBytes,
    /// The range ends beyond the CPU's physical addresses, or wraps.
    BeyondPhysical {
        /// First byte.
        address: PhysAddr,
        /// Bytes asked for.
        bytes: u64,
        /// Where the CPU's physical addresses end.
        limit: PhysAddr,
    },
    /// There is RAM in the range: it would be mapped twice, with different caching.
    Ram {
        /// The first frame that is RAM.
        frame: Pfn,
    },
    /// No addresses.
    Search(SearchError),
    /// No tables, or somebody else's mapping inside the region.
    Table(MapError),
}

impl From<SearchError> for IoremapError {
    fn from(error: SearchError) -> Self {
        IoremapError::Search(error)
    }
}

impl From<MapError> for IoremapError {
    fn from(error: MapError) -> Self {
        IoremapError::Table(error)
    }
}

impl fmt::Display for IoremapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IoremapError::NoBytes => write!(f, "ioremap of 0 bytes"),
            IoremapError::BeyondPhysical {
                address,
                bytes,
                limit,
            } => write!(
                f,
                "ioremap of {bytes} bytes at {address}, which end beyond the CPU's physical addresses ({} bits)",
                limit.0.trailing_zeros()
            ),
            IoremapError::Ram { frame } => {
                write!(f, "ioremap of {}, which is RAM", frame.address())
            }
            IoremapError::Search(error) => error.fmt(f),
            IoremapError::Table(error) => error.fmt(f),
        }
    }
}

impl error::Error for IoremapError {}

impl<C: KernelConfig, S: AreaSearch<Contents = Contents>, P: Freeing> Vmalloc<C, S, P> {
    /// Maps the `bytes` bytes of a device from `physical` on.
    ///
    /// # Errors
    ///
    /// A range that is none or holds RAM, or want of addresses or tables. Nothing has changed but tables that were made.
    pub fn ioremap(
        &mut self,
        physical: PhysAddr,
        bytes: u64,
        caching: Caching,
        kernel: &mut KernelMemory<'_, C>,
    ) -> Result<IoArea, IoremapError> {
        if bytes == 0 {
            return Err(IoremapError::NoBytes);
        }
        let end = physical.0.checked_add(bytes);
        let limit = kernel.end_of_physical();
        let Some(end) = end.filter(|&end| end <= limit.0) else {
            return Err(IoremapError::BeyondPhysical {
                address: physical,
                bytes,
                limit,
            });
        };
        let frames = physical.frame()..Pfn(end.div_ceil(PAGE_SIZE));
        if let Some(frame) = kernel.first_ram(&frames) {
            return Err(IoremapError::Ram { frame });
        }
        let mut mapped = self.map_device(&frames, caching, kernel);
        if mapped.is_err() && self.reclaim(kernel) {
            mapped = self.map_device(&frames, caching, kernel);
        }
        let address = VirtAddr(mapped?.0 + physical.0 % PAGE_SIZE);
        Ok(IoArea { address, bytes })
    }

    fn map_device(
        &mut self,
        frames: &FrameRange,
        caching: Caching,
        kernel: &mut KernelMemory<'_, C>,
    ) -> Result<VirtAddr, IoremapError> {
        let first = frames.start;
        let pages = frames.end.0 - first.0;
        let fit = self.areas.find(pages + 1, PAGE_SIZE)?;
        let (protection, largest) = (caching.protection(), PageSize::Size4K);
        let mut tables = kernel.tables();
        let (start, frames) = (fit.start(), frames.clone());
        let mapping = self
            .owned
            .map_owned(start, first, frames, protection, largest, &mut tables)
            .map_err(|(error, _)| error)?;
        let _ = fit.occupy(Contents::Device(mapping));
        Ok(start)
    }

    /// Unmaps a device.
    ///
    /// # Errors
    ///
    /// As for [`iounmap_at`](Self::iounmap_at).
    pub fn iounmap(
        &mut self,
        io: IoArea,
        kernel: &mut KernelMemory<'_, C>,
    ) -> Result<(), VfreeError> {
        self.iounmap_at(io.address, kernel)
    }

    /// Unmaps the device whose area starts with the page of `address`.
    ///
    /// # Errors
    ///
    /// No area of a device starts there, or its pages were unmapped behind vmalloc's back. Nothing has changed.
    pub fn iounmap_at(
        &mut self,
        address: VirtAddr,
        kernel: &mut KernelMemory<'_, C>,
    ) -> Result<(), VfreeError> {
        let start = VirtAddr(address.0 - address.0 % PAGE_SIZE);
        let slot = self.areas.slot_of(start);
        let area = slot.and_then(|slot| self.areas.area_at(start, slot));
        let device = |area: &Owned<'_, _>| matches!(area.contents(), Some(Contents::Device(_)));
        let taken = area.filter(device).and_then(Owned::take);
        let Some((place, Contents::Device(mapping))) = taken else {
            return Err(self.refusal(start, Kind::Ioremap));
        };
        let pages = mapping.pages();
        let unmapped = self.owned.unmap_owned(mapping);
        self.settle(unmapped, place, pages, Contents::Device, &kernel.tlb)?;
        Ok(())
    }
}
