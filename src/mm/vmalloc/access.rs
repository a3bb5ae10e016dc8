//! Looking into the region: vread, vwrite, vmalloc_to_page, and a list of all areas.
//!
//! vread and vwrite follow 2.4, where /proc/kcore uses them: any range will do. Holes below or between areas, guard pages
//! among them, read as zeros and swallow what is written; nothing is above the highest area, so the count that comes back
//! ends there. Devices count as holes, as in later kernels: a read could change their state.

use core::ops::Range;

use super::{AreaSearch, Contents, Freeing, Kind, Vmalloc};
use crate::mm::address::{PAGE_SIZE, Pfn, PhysAddr, VirtAddr};
use crate::mm::kernel_map::{KernelConfig, KernelMemory};

/// One area, as `/proc/vmallocinfo` lists it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AreaInfo {
    /// Its addresses, guard page included.
    pub range: Range<VirtAddr>,
    /// What it is for.
    pub kind: Kind,
    /// Pages that are mapped.
    pub pages: u64,
    /// Of a device, where it is.
    pub physical: Option<PhysAddr>,
}

/// A part of a range that somebody wants to read or write.
enum Part {
    /// Bytes of memory, in one frame.
    Memory(PhysAddr),
    /// Nothing.
    Hole,
}

impl<C: KernelConfig, S: AreaSearch<Contents = Contents>, P: Freeing> Vmalloc<C, S, P> {
    /// All areas in use, lowest first.
    pub fn infos(&self) -> impl Iterator<Item = AreaInfo> {
        self.areas.areas().map(|(range, contents)| AreaInfo {
            range,
            kind: contents.kind(),
            pages: contents.pages(),
            physical: match contents {
                Contents::Device(mapping) => Some(mapping.backing().address()),
                _ => None,
            },
        })
    }

    /// The frame behind an address of the region, if one is mapped there.
    #[must_use]
    pub fn vmalloc_to_page(&self, address: VirtAddr) -> Option<Pfn> {
        if !self.areas.region().contains(&address) {
            return None;
        }
        Some(self.owned.translate(address)?.address.frame())
    }

    /// Copies from `address` on into `buffer`. Returns how many bytes there were up to the end of the highest area.
    pub fn vread(
        &self,
        address: VirtAddr,
        buffer: &mut [u8],
        kernel: &KernelMemory<'_, C>,
    ) -> usize {
        self.for_each_part(address, buffer.len(), |bytes, part| {
            let buffer = &mut buffer[bytes];
            let read = match part {
                Part::Memory(physical) => kernel.read(physical, buffer),
                Part::Hole => false,
            };
            if !read {
                buffer.fill(0);
            }
        })
    }

    /// Copies `data` to `address` and on. Returns how many bytes there was room for up to the end of the highest area.
    ///
    /// No other code may access these areas through their addresses meanwhile.
    pub fn vwrite(
        &mut self,
        address: VirtAddr,
        data: &[u8],
        kernel: &mut KernelMemory<'_, C>,
    ) -> usize {
        let kernel = &*kernel;
        self.for_each_part(address, data.len(), |bytes, part| {
            if let Part::Memory(physical) = part {
                kernel.write(physical, &data[bytes]);
            }
        })
    }

    /// Cuts `bytes` bytes from `address` on into parts; stops at the end of the address space.
    fn for_each_part(
        &self,
        address: VirtAddr,
        bytes: usize,
        mut visit: impl FnMut(Range<usize>, Part),
    ) -> usize {
        let end = address.0.saturating_add(bytes as u64);
        let mut at = address.0;
        let mut part = |from: u64, to: u64, part| {
            visit((from - address.0) as usize..(to - address.0) as usize, part);
        };
        for (range, contents) in self.areas.areas() {
            let area_end = (range.start.0 + contents.pages() * PAGE_SIZE).min(end);
            if at < range.start.0.min(end) {
                part(at, range.start.0.min(end), Part::Hole);
                at = range.start.0.min(end);
            }
            while at < area_end {
                let next = (at - at % PAGE_SIZE + PAGE_SIZE).min(area_end);
                let translation = match contents.kind() {
                    Kind::Ioremap => None,
                    Kind::Vmalloc | Kind::Vmap => self.owned.translate(VirtAddr(at)),
                };
                part(
                    at,
                    next,
                    match translation {
                        Some(translation) => Part::Memory(translation.address),
                        None => Part::Hole,
                    },
                );
                at = next;
            }
        }
        (at - address.0) as usize
    }
}
