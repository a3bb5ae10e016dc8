//! RAM that a map claims and that is not there: the ranges that are free are looked at here and there, and what does not answer is
//! given up.
//!
//! A map is wrong where firmware counts a module that it could not start, or a monitor gives a guest less than it says. What was put
//! there would read as all ones or zeros, page tables among it.

use super::{MemoryMap, Notice, cut};
use crate::mm::address::{FrameRange, Pfn};

/// Frames of a range that are looked at, besides the last.
const LOOKS: u64 = 64;

impl MemoryMap {
    /// Looks at up to 65 frames of each free range, evenly spread, the first and the last among them. From the first frame on that
    /// does not answer the rest of its range is neither free nor RAM.
    pub fn leave_out_absent(&mut self, mut answers: impl FnMut(Pfn) -> bool) {
        let mut index = 0;
        while let Some(range) = self.free.get(index).cloned() {
            let Some(first) = first_absent(&range, &mut answers) else {
                index += 1;
                continue;
            };
            let absent = first..range.end;
            index += usize::from(range.start < first);
            // RAM is split where what is not free lies behind, for which the smallest range may have to go.
            let mut lost = cut(&mut self.free, absent.clone());
            lost += cut(&mut self.ram, absent.clone());
            self.note(Notice::Absent {
                start: absent.start.address(),
                end: absent.end.address(),
            });
            if lost > 0 {
                self.note(Notice::TooManyRanges { ram: lost, free: 0 });
            }
        }
    }
}

/// The frame from which on `range` does not answer, if it does not answer everywhere that is looked at.
fn first_absent(range: &FrameRange, answers: &mut impl FnMut(Pfn) -> bool) -> Option<Pfn> {
    let (start, last) = (range.start.0, range.end.0 - 1);
    let step = (last - start).div_ceil(LOOKS).max(1);
    let mut there = start;
    let mut absent = start;
    while answers(Pfn(absent)) {
        if absent == last {
            return None;
        }
        there = absent;
        absent = (absent + step).min(last);
    }
    // The boundary is between them; there is none where not even the first frame answers.
    while absent - there > 1 {
        let middle = there + (absent - there) / 2;
        if answers(Pfn(middle)) {
            there = middle;
        } else {
            absent = middle;
        }
    }
    Some(Pfn(absent))
}

#[cfg(test)]
mod tests {
    use super::super::{Line, LineKind};
    use super::*;
    use crate::mm::address::PhysAddr;
    use std::vec::Vec;

    fn map(lines: &[(u64, u64, LineKind)]) -> MemoryMap {
        let lines = lines.iter().map(|&(first, frames, kind)| Line {
            base: first << 12,
            length: frames << 12,
            kind,
        });
        MemoryMap::new(lines, 52, &[])
    }

    fn absent(start: u64, end: u64) -> Notice {
        let [start, end] = [start, end].map(|frame| PhysAddr(frame << 12));
        Notice::Absent { start, end }
    }

    #[test]
    fn what_answers_stays_and_few_frames_are_looked_at() {
        let lines = [
            (1, 0x9e, LineKind::Usable),
            (0x100, 1 << 28, LineKind::Usable),
        ];
        let mut map = map(&lines);
        let before = map.clone();
        let mut looks = Vec::new();
        map.leave_out_absent(|frame| {
            looks.push(frame.0);
            true
        });
        assert_eq!(
            (map.free(), map.ram(), map.notices()),
            (before.free(), before.ram(), before.notices())
        );
        assert!(looks.len() <= 2 * 65, "{}", looks.len());
        for ends in [1, 0x9e, 0x100, 0xff + (1 << 28)] {
            assert!(looks.contains(&ends), "{ends:#x}");
        }
    }

    #[test]
    fn the_boundary_is_found_to_the_frame() {
        for end in [0x101, 0x102, 0x1234, 0xffff, 0x10_0001, 0x0fff_ffff] {
            let mut map = map(&[(0x100, 0x1000_0000 - 0x100, LineKind::Usable)]);
            map.leave_out_absent(|frame| frame.0 < end);
            assert_eq!(map.free(), [Pfn(0x100)..Pfn(end)], "{end:#x}");
            assert_eq!(map.ram(), map.free());
            assert_eq!(map.notices().0, [absent(end, 0x1000_0000)]);
        }
    }

    #[test]
    fn a_range_that_is_not_there_costs_no_other() {
        let lines = [
            (1, 9, LineKind::Usable),
            (0x100, 0x100, LineKind::Usable),
            (0x200, 0x10, LineKind::AcpiReclaimable),
            (0x1000, 1, LineKind::Usable),
        ];
        let mut map = map(&lines);
        map.leave_out_absent(|frame| frame.0 < 0x100 || frame.0 >= 0x1000);
        assert_eq!(map.free(), [Pfn(1)..Pfn(10), Pfn(0x1000)..Pfn(0x1001)]);
        let of_acpi = Pfn(0x200)..Pfn(0x210);
        assert_eq!(
            map.ram(),
            [map.free()[0].clone(), of_acpi, map.free()[1].clone()]
        );
        assert_eq!(map.notices().0, [absent(0x100, 0x200)]);
        map.leave_out_absent(|_| false);
        assert_eq!(map.free(), []);
    }
}
