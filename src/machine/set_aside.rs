//! Frames that are set aside before the kernel's own tables are in force, for arrays whose lengths depend on the machine.

use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::slice;

use super::error::SetUpError;
use crate::cpu::direct_map::DirectMap;
use crate::cpu::per_cpu::PerCpu;
use crate::mm::address::{FrameRange, PAGE_SIZE, Pfn};
use crate::mm::frame::{BootAllocator, Descriptor, InDescriptor, Zone};
use crate::mm::kmap;
use crate::mm::layout::KMAP_SLOTS;
use crate::mm::shootdown;
use crate::mm::vmalloc::{Contents, TreeNode, TreeSlot};
use crate::smp::bring_up::{self, LOW_FRAMES_END};

/// Contiguous frames with room for an array.
pub(super) struct Array<T> {
    frames: FrameRange,
    len: usize,
    values: PhantomData<T>,
}

impl<T> Array<T> {
    /// Takes frames for `len` values, below `end`.
    fn take(early: &mut BootAllocator<'_>, len: usize, end: Pfn) -> Result<Self, SetUpError> {
        let bytes = (len * size_of::<T>()) as u64;
        let frames = early.alloc(bytes.div_ceil(PAGE_SIZE), end);
        Ok(Array {
            frames: frames.map_err(SetUpError::Boot)?,
            len,
            values: PhantomData,
        })
    }

    /// The array, without any values yet.
    ///
    /// # Safety
    ///
    /// The direct map has the frames, and stays.
    pub(super) unsafe fn uninit(self, direct_map: DirectMap) -> &'static mut [MaybeUninit<T>] {
        let first = direct_map.address(self.frames.start).0 as *mut MaybeUninit<T>;
        // SAFETY: the frames are this value's, and have room for the array; the direct map stays (the caller's promise).
        unsafe { slice::from_raw_parts_mut(first, self.len) }
    }

    /// The array, full of such values.
    ///
    /// # Safety
    ///
    /// As for [`uninit`](Self::uninit).
    pub(super) unsafe fn filled(
        self,
        direct_map: DirectMap,
        value: impl Fn() -> T,
    ) -> &'static mut [T] {
        // SAFETY: the caller's promise.
        let values = unsafe { self.uninit(direct_map) };
        for place in &mut *values {
            place.write(value());
        }
        // SAFETY: each was written.
        unsafe { values.assume_init_mut() }
    }
}

/// The lengths of the arrays.
pub(super) struct Lengths {
    /// Frames that have a descriptor.
    pub descriptors: usize,
    /// Zones beside the first of each kind.
    pub more_zones: usize,
    /// vmalloc areas.
    pub areas: usize,
    /// CPUs that the run is to have.
    pub cpus: usize,
    /// Whether there is RAM that only kmap reaches.
    pub has_high_memory: bool,
}

/// What the memory system needs in front of its own allocator.
pub(super) struct SetAside {
    /// Where other CPUs start, if there are to be any.
    pub low_frame: Option<Pfn>,
    pub descriptors: Array<Descriptor>,
    pub more_zones: Option<Array<Zone<'static, InDescriptor>>>,
    pub slots: Array<TreeSlot<Contents>>,
    /// Of the CPUs beside the boot CPU.
    pub of_others: Option<(Array<PerCpu>, Array<shootdown::Slot>)>,
    pub nodes: Array<TreeNode>,
    pub kmap_slots: Option<Array<kmap::Slot>>,
}

impl SetAside {
    /// Takes frames that lie right below `covered`, the end of the direct map, so that the zone for DMA stays whole.
    ///
    /// # Errors
    ///
    /// There are too few.
    pub(super) fn take(
        early: &mut BootAllocator<'_>,
        covered: Pfn,
        lengths: &Lengths,
    ) -> Result<Self, SetUpError> {
        let low_frame = match lengths.cpus {
            1 => None,
            _ => early.alloc(1, LOW_FRAMES_END).ok(),
        };
        let descriptors = Array::take(early, lengths.descriptors, covered)?;
        let more_zones = match lengths.more_zones {
            0 => None,
            count => Some(Array::take(early, count, covered)?),
        };
        let slots = Array::take(early, lengths.areas, covered)?;
        let of_others = match bring_up::numbers(lengths.cpus) - 1 {
            0 => None,
            others => Some((
                Array::take(early, others, covered)?,
                Array::take(early, others + 1, covered)?,
            )),
        };
        let nodes = Array::take(early, TreeNode::enough_for(lengths.areas), covered)?;
        let kmap_slots = match lengths.has_high_memory {
            true => Some(Array::take(early, KMAP_SLOTS as usize, covered)?),
            false => None,
        };
        Ok(SetAside {
            low_frame: low_frame.map(|frames| frames.start),
            descriptors,
            more_zones,
            slots,
            of_others,
            nodes,
            kmap_slots,
        })
    }
}
