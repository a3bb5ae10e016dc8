//! Floor 1: the loader's memory map made sane.
//!
//! Firmware maps come unsorted, with overlaps, with empty lines and with ends beyond what the CPU can address. From such
//! lines come two sorted lists of disjoint frame ranges: the frames that are free to use, and all RAM, which is what the
//! direct map covers. Where lines disagree the stronger kind wins: a frame is free only if every line that touches it says
//! so. Each repair is a [`Notice`]; nothing is dropped in silence.
//!
//! There can be any number of lines: they are read where they lie, as often as it takes, and a window of places at which
//! the kind of memory may change moves over them. Only what comes of them is bounded; where it is too much the smallest ranges are
//! given up.
//!
//! Kinds and their numbers: ACPI specification 6.5, table 15.6 (address range types).

#![forbid(unsafe_code)]

mod absent;
mod known;
mod line;
mod notice;
mod ranges;
#[cfg(test)]
mod tests;
mod window;

use core::ops::Range;

use arrayvec::ArrayVec;

use self::ranges::{append, count, cut};
use self::window::Window;
use super::address::{FrameRange, PAGE_SIZE, Pfn, PhysAddr};

pub use self::line::{Line, LineKind};
pub use self::notice::Notice;
pub use self::ranges::{RANGES, Ranges, TooManyRanges, split};

/// Most notices that are kept; the rest is counted.
const NOTICES: usize = 16;

/// The sane map.
#[derive(Clone, Debug, Default)]
pub struct MemoryMap {
    free: Ranges,
    ram: Ranges,
    notices: ArrayVec<Notice, NOTICES>,
    notices_left_out: usize,
}

impl MemoryMap {
    /// Makes the map of `lines`, on a CPU with `physical_bits` bits of physical address, without the bytes of `reserved`
    /// (the image, the loader's structures); every frame that a reservation touches is kept out of the free ones. Frame 0 is
    /// never free: no valid block may look like a null pointer.
    pub fn new(
        lines: impl Iterator<Item = Line> + Clone,
        physical_bits: u8,
        reserved: &[Range<PhysAddr>],
    ) -> Self {
        let mut map = MemoryMap::default();
        let limit = 1 << physical_bits.min(52);
        map.note_repairs(lines.clone(), limit);
        let lines = lines.filter_map(|line| line.below(limit));

        let (mut lost_ram, mut lost_free) = (0, 0);
        let mut window = Window::new();
        while window.advance(lines.clone()) {
            window.claim(lines.clone(), |notice| map.note(notice));
            for (range, kind) in window.claimed() {
                if kind.is_ram() {
                    lost_ram += append(&mut map.ram, range.clone());
                }
                if kind == LineKind::Usable {
                    lost_free += append(&mut map.free, range);
                }
            }
        }
        lost_free += cut(&mut map.free, Pfn(0)..Pfn(1));
        for range in reserved.iter().filter(|range| !range.is_empty()) {
            let end = Pfn(range.end.0.div_ceil(PAGE_SIZE));
            lost_free += cut(&mut map.free, range.start.frame()..end);
        }
        if lost_ram > 0 {
            // What is free is RAM.
            let ram = &map.ram;
            map.free.retain(|free| {
                let is_ram = ram
                    .iter()
                    .any(|ram| ram.start <= free.start && free.end <= ram.end);
                if !is_ram {
                    lost_free += free.end.0 - free.start.0;
                }
                is_ram
            });
        }
        if lost_ram + lost_free > 0 {
            map.note(Notice::TooManyRanges {
                ram: lost_ram,
                free: lost_free,
            });
        }
        map
    }

    /// The frames that may be used.
    #[must_use]
    pub fn free(&self) -> &[FrameRange] {
        &self.free
    }

    /// All RAM: what is free, what is reserved in it, and what ACPI has there.
    #[must_use]
    pub fn ram(&self) -> &[FrameRange] {
        &self.ram
    }

    /// Number of frames that may be used.
    #[must_use]
    pub fn free_frames(&self) -> u64 {
        count(&self.free)
    }

    /// Number of frames of RAM.
    #[must_use]
    pub fn ram_frames(&self) -> u64 {
        count(&self.ram)
    }

    /// The end of the highest range of RAM.
    #[must_use]
    pub fn top_of_ram(&self) -> PhysAddr {
        self.ram
            .last()
            .map_or(PhysAddr(0), |range| range.end.address())
    }

    /// The repairs that were made, in the order of the lines, and how many more there were than could be kept.
    #[must_use]
    pub fn notices(&self) -> (&[Notice], usize) {
        (&self.notices, self.notices_left_out)
    }

    /// Says what [`Line::below`] does to the lines.
    fn note_repairs(&mut self, lines: impl Iterator<Item = Line>, limit: u64) {
        let mut last_base = 0;
        for line in lines {
            if line.base < last_base {
                self.note(Notice::Unsorted(line));
            }
            last_base = line.base;
            if line.length == 0 {
                self.note(Notice::Empty(line));
                continue;
            }
            let end = line.base.checked_add(line.length).unwrap_or_else(|| {
                self.note(Notice::Wraps(line));
                u64::MAX
            });
            if end > limit {
                self.note(Notice::BeyondPhysical { line, limit });
            }
        }
    }

    fn note(&mut self, notice: Notice) {
        if self.notices.try_push(notice).is_err() {
            self.notices_left_out += 1;
        }
    }
}
