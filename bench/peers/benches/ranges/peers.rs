//! The searches behind one interface. Sizes are in pages; none but ours keeps a guard page, so all are asked for the same pages.

use free_list::{FreeList, PageLayout, PageRange};
use offset_allocator::{Allocation, Allocator};
use pagemark::mm::address::{PAGE_SIZE, VirtAddr};
use pagemark::mm::vmalloc::{AreaSearch, FirstFit, GapTree, InstantFit, Owned, TagSlot, TreeNode};
use range_alloc::RangeAllocator;
use std::mem::MaybeUninit;
use std::ops::Range;
use vm_allocator::{AddressAllocator, AllocPolicy, RangeInclusive};

/// Pages of the region: 64 GiB.
const PAGES: u64 = 16 << 20;
const REGION: Range<VirtAddr> = VirtAddr(BASE)..VirtAddr(BASE + PAGES * PAGE_SIZE);
/// Not 0, which some peers do not hand out.
const BASE: u64 = 1 << 40;
/// Most ranges at a time.
const SLOTS: usize = 1 << 15;

/// A search for free ranges of pages.
pub trait Ranges {
    /// What stands for a range that was taken.
    type Held: Clone;

    /// Takes a range.
    fn take(&mut self, pages: u64) -> Self::Held;

    /// Gives it back.
    fn give(&mut self, held: Self::Held);
}

fn slots<T>(count: usize) -> &'static mut [MaybeUninit<T>] {
    Vec::leak((0..count).map(|_| MaybeUninit::uninit()).collect())
}

/// Ours, with either search, as the holder of an `Area` uses it.
pub struct Areas<S>(S);

impl Areas<FirstFit<'static, u64>> {
    /// The book's list.
    pub fn list() -> Self {
        Areas(FirstFit::new(REGION, slots(SLOTS)))
    }
}

impl Areas<GapTree<'static, u64>> {
    /// The default.
    pub fn tree() -> Self {
        Areas(GapTree::new(
            REGION,
            slots(SLOTS),
            slots(TreeNode::enough_for(SLOTS)),
        ))
    }
}

impl Areas<InstantFit<'static, u64>> {
    /// Vmem's.
    pub fn instant_fit() -> Self {
        Areas(InstantFit::new(
            REGION,
            slots(TagSlot::<u64>::enough_for(SLOTS)),
        ))
    }
}

impl<S: AreaSearch<Contents = u64>> Ranges for Areas<S> {
    type Held = (VirtAddr, u32);

    #[inline]
    fn take(&mut self, pages: u64) -> (VirtAddr, u32) {
        let fit = self.0.find(pages, PAGE_SIZE).expect("a gap");
        (fit.start(), fit.occupy(pages))
    }

    #[inline]
    fn give(&mut self, (start, slot): (VirtAddr, u32)) {
        let taken = self.0.area_at(start, slot).and_then(Owned::take);
        let (place, _) = taken.expect("an area that was taken");
        self.0.cancel(place);
    }
}

/// `range-alloc`: best fit over a list of free ranges. The caller that frees a range has to know its length.
pub struct RangeAlloc(RangeAllocator<u64>);

impl RangeAlloc {
    pub fn new() -> Self {
        RangeAlloc(RangeAllocator::new(
            BASE / PAGE_SIZE..BASE / PAGE_SIZE + PAGES,
        ))
    }
}

impl Ranges for RangeAlloc {
    type Held = Range<u64>;

    #[inline]
    fn take(&mut self, pages: u64) -> Range<u64> {
        self.0.allocate_range(pages).expect("a gap")
    }

    #[inline]
    fn give(&mut self, held: Range<u64>) {
        self.0.free_range(held);
    }
}

/// `vm-allocator`: first fit in an interval tree of free and taken ranges.
pub struct VmAllocator(AddressAllocator);

impl VmAllocator {
    pub fn new() -> Self {
        VmAllocator(AddressAllocator::new(BASE, PAGES * PAGE_SIZE).expect("a region"))
    }
}

impl Ranges for VmAllocator {
    type Held = RangeInclusive;

    #[inline]
    fn take(&mut self, pages: u64) -> RangeInclusive {
        self.0
            .allocate(pages * PAGE_SIZE, PAGE_SIZE, AllocPolicy::FirstMatch)
            .expect("a gap")
    }

    #[inline]
    fn give(&mut self, held: RangeInclusive) {
        self.0.free(&held).expect("a range that was taken");
    }
}

/// `offset-allocator`: bins of gaps by size, two bit scans, any gap of the bin: constant time, and not the lowest fit. A range is
/// given back by a handle, never found by its address.
pub struct OffsetAllocator(Allocator<u32>);

impl OffsetAllocator {
    pub fn new() -> Self {
        OffsetAllocator(Allocator::with_max_allocs(PAGES as u32, 2 * SLOTS as u32))
    }
}

impl Ranges for OffsetAllocator {
    type Held = Allocation<u32>;

    #[inline]
    fn take(&mut self, pages: u64) -> Allocation<u32> {
        self.0.allocate(pages as u32).expect("a gap")
    }

    #[inline]
    fn give(&mut self, held: Allocation<u32>) {
        self.0.free(held);
    }
}

/// `free-list` (Hermit's): first fit over an array of free ranges.
pub struct HermitFreeList(FreeList<16>);

impl HermitFreeList {
    pub fn new() -> Self {
        let mut list = FreeList::new();
        let region = BASE as usize..(BASE + PAGES * PAGE_SIZE) as usize;
        let region = PageRange::try_from(region).expect("whole pages");
        // SAFETY: nobody else hands these addresses out, and nobody uses them.
        unsafe { list.deallocate(region) }.expect("room for the first range");
        HermitFreeList(list)
    }
}

impl Ranges for HermitFreeList {
    type Held = PageRange;

    #[inline]
    fn take(&mut self, pages: u64) -> PageRange {
        let layout = PageLayout::from_size((pages * PAGE_SIZE) as usize).expect("whole pages");
        self.0.allocate(layout).expect("a gap")
    }

    #[inline]
    fn give(&mut self, held: PageRange) {
        // SAFETY: it was taken from here, and its addresses are not used.
        unsafe { self.0.deallocate(held) }.expect("room for a range");
    }
}
