//! What is known of memory whatever the lines of a map say.

use core::ops::Range;

use super::{MemoryMap, Notice, cut};
use crate::mm::address::{FrameRange, PAGE_SIZE, Pfn, PhysAddr};

/// Where a PC has graphics memory, adapters' ROM and the BIOS. Some BIOSes call it RAM, and graphics memory even keeps what is
/// written to it.
const ADAPTERS: FrameRange = Pfn(0xa0)..Pfn(0x100);

impl MemoryMap {
    /// Takes out what lies between 640 KiB and 1 MiB, which is no RAM that is anybody's.
    pub fn leave_out_adapters(&mut self) {
        let overlap =
            |range: &FrameRange| range.start.max(ADAPTERS.start)..range.end.min(ADAPTERS.end);
        let claimed = self
            .free
            .iter()
            .map(overlap)
            .find(|claimed| !claimed.is_empty());
        let Some(claimed) = claimed else {
            return;
        };
        let lost = cut(&mut self.free, ADAPTERS) + cut(&mut self.ram, ADAPTERS);
        self.note(Notice::Adapters {
            start: claimed.start.address(),
            end: claimed.end.address(),
        });
        if lost > 0 {
            self.note(Notice::TooManyRanges { ram: lost, free: 0 });
        }
    }

    /// Counts what the caller knows to be RAM as some, as the memory that the image was loaded into: no device is there. It is
    /// not free.
    pub fn add_ram(&mut self, known: &Range<PhysAddr>) {
        let mut added = known.start.frame()..Pfn(known.end.0.div_ceil(PAGE_SIZE));
        let has = |ram: &FrameRange| ram.start <= added.start && added.end <= ram.end;
        if added.is_empty() || self.ram.iter().any(has) {
            return;
        }
        self.note(Notice::Added {
            start: added.start.address(),
            end: added.end.address(),
        });
        self.ram.retain(|ram| {
            let touches = ram.start <= added.end && added.start <= ram.end;
            if touches {
                added = ram.start.min(added.start)..ram.end.max(added.end);
            }
            !touches
        });
        let place = self.ram.partition_point(|ram| ram.start < added.start);
        let _ = self.ram.try_insert(place, added);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Line, LineKind};
    use super::*;
    use std::string::ToString;
    use std::vec::Vec;

    const IMAGE: Range<PhysAddr> = PhysAddr(0x10_0000)..PhysAddr(0x1f_f800);

    /// Of lines of usable RAM, by first frame and the one behind the last.
    fn map(usable: &[(u64, u64)]) -> MemoryMap {
        let lines = usable.iter().map(|&(first, end)| Line {
            base: first << 12,
            length: (end - first) << 12,
            kind: LineKind::Usable,
        });
        let mut map = MemoryMap::new(lines, 40, &[IMAGE]);
        map.leave_out_adapters();
        map.add_ram(&IMAGE);
        map
    }

    fn notices(map: &MemoryMap) -> Vec<String> {
        map.notices().0.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn adapters_memory_is_no_ram() {
        let sane = map(&[(0, 0xa0), (0x100, 0x8000)]);
        assert!(notices(&sane).is_empty());
        for (lines, claimed) in [
            (&[(0, 0x8000)][..], "0xa0000 to 0x100000"),
            (&[(0, 0xb8), (0x100, 0x8000)], "0xa0000 to 0xb8000"),
            (&[(0, 0xa0), (0xf0, 0x8000)], "0xf0000 to 0x100000"),
        ] {
            let map = map(lines);
            assert_eq!((map.free(), map.ram()), (sane.free(), sane.ram()));
            let [notice] = &notices(&map)[..] else {
                panic!("{:?}", notices(&map))
            };
            assert!(notice.contains(claimed), "{notice}");
        }
    }

    #[test]
    fn the_image_is_in_ram_and_not_free() {
        let ram = |usable: &[(u64, u64)]| {
            let map = map(usable);
            assert_eq!(notices(&map).len(), 1);
            assert!(
                map.free()
                    .iter()
                    .all(|free| free.end.0 <= 0x100 || free.start.0 >= 0x200)
            );
            let ram = map.ram().iter().map(|ram| (ram.start.0, ram.end.0));
            ram.collect::<Vec<_>>()
        };
        assert_eq!(ram(&[]), [(0x100, 0x200)]);
        assert_eq!(
            ram(&[(0, 0x90), (0x300, 0x400)]),
            [(0, 0x90), (0x100, 0x200), (0x300, 0x400)]
        );
        assert_eq!(
            ram(&[(0, 0x90), (0x180, 0x400)]),
            [(0, 0x90), (0x100, 0x400)]
        );
        assert_eq!(
            ram(&[(0x100, 0x140), (0x150, 0x160), (0x200, 0x201)]),
            [(0x100, 0x201)]
        );
    }
}
