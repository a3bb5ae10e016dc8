//! Maps as firmware hands them over, and a model that asks each frame by itself.

use super::ranges::MADE;
use super::*;
use proptest::prelude::*;
use std::vec::Vec;

const MIB: u64 = 1 << 20;

fn line(base: u64, length: u64, kind: LineKind) -> Line {
    Line { base, length, kind }
}

#[test]
fn a_pc_with_128_mib() {
    let lines = [
        line(0, 0x9_fc00, LineKind::Usable),
        line(0x9_fc00, 0x400, LineKind::Reserved),
        line(0xf_0000, 0x1_0000, LineKind::Reserved),
        line(MIB, 127 * MIB - 0x2_0000, LineKind::Usable),
        line(128 * MIB - 0x2_0000, 0x2_0000, LineKind::Reserved),
        line(0xfffc_0000, 0x4_0000, LineKind::Reserved),
    ];
    let image = PhysAddr(MIB)..PhysAddr(MIB + 0x1_2345);
    let map = MemoryMap::new(lines.into_iter(), 40, &[image]);
    assert_eq!(map.free(), [Pfn(1)..Pfn(0x9f), Pfn(0x113)..Pfn(0x7fe0)]);
    assert_eq!(map.ram(), [Pfn(0)..Pfn(0x9f), Pfn(0x100)..Pfn(0x7fe0)]);
    assert_eq!(map.top_of_ram(), PhysAddr(0x7fe_0000));
    assert_eq!(map.notices(), (&[][..], 0));
}

#[test]
fn a_split_makes_two_of_one_range_and_loses_no_frame() {
    let whole = [Pfn(1)..Pfn(9), Pfn(16)..Pfn(32)];
    for (at, pieces) in [
        (
            20,
            &[Pfn(1)..Pfn(9), Pfn(16)..Pfn(20), Pfn(20)..Pfn(32)][..],
        ),
        (1, &whole),
        (9, &whole),
        (12, &whole),
        (16, &whole),
        (32, &whole),
        (99, &whole),
    ] {
        let mut ranges: Ranges = whole.iter().cloned().collect();
        split(&mut ranges, Pfn(at)).unwrap();
        assert_eq!(ranges[..], *pieces, "{at}");
    }
}

#[test]
fn every_repair_is_noted() {
    let empty = line(5 * MIB, 0, LineKind::Usable);
    let high = line(1 << 36, 1 << 36, LineKind::Usable);
    let low = line(MIB, 3 * MIB, LineKind::Usable);
    let over = line(2 * MIB, MIB, LineKind::Reserved);
    let wraps = line(u64::MAX - 4095, 8192, LineKind::Reserved);
    let lines = [empty, high, low, over, wraps];
    let map = MemoryMap::new(lines.into_iter(), 36, &[]);
    let limit = 1 << 36;
    assert_eq!(
        map.notices().0,
        [
            Notice::Empty(empty),
            Notice::BeyondPhysical { line: high, limit },
            Notice::Unsorted(low),
            Notice::Wraps(wraps),
            Notice::BeyondPhysical { line: wraps, limit },
            Notice::Overlap(low, over),
        ]
    );
    assert_eq!(map.free(), [Pfn(0x100)..Pfn(0x200), Pfn(0x300)..Pfn(0x400)]);
}

/// Pieces of `usable` pages, the next of one page less, each behind a reserved page.
fn pieces(number: u64, usable: impl Fn(u64) -> u64) -> Vec<Line> {
    let mut at = 0;
    let pieces = (0..number).flat_map(|piece| {
        let reserved = line(at, PAGE_SIZE, LineKind::Reserved);
        let usable = line(at + PAGE_SIZE, usable(piece) * PAGE_SIZE, LineKind::Usable);
        at = usable.base + usable.length;
        [reserved, usable]
    });
    pieces.collect()
}

#[test]
fn there_may_be_any_number_of_lines() {
    // As many as there is room for are all used, in whatever order they come.
    for number in [1, 100, MADE as u64] {
        let mut lines = pieces(number, |_| 3);
        for _ in 0..2 {
            let map = MemoryMap::new(lines.iter().copied(), 40, &[]);
            assert_eq!(map.free_frames(), 3 * number);
            assert_eq!(map.free().len() as u64, number);
            assert_eq!(map.free()[0], Pfn(1)..Pfn(4));
            lines.reverse();
        }
    }
    // Lines that say the same in thousands of pieces are one range.
    let page = |number| line(number * PAGE_SIZE, PAGE_SIZE, LineKind::Usable);
    let map = MemoryMap::new((1..5000).map(page), 40, &[]);
    assert_eq!(
        (map.free(), map.notices()),
        (&[Pfn(1)..Pfn(5000)][..], (&[][..], 0))
    );
}

#[test]
fn the_smallest_ranges_go_where_there_are_too_many() {
    let number = MADE as u64 + 100;
    let mut lines = pieces(number, |piece| 1 + piece);
    // ACPI's memory is RAM, but not free.
    lines[1].kind = LineKind::AcpiNvs;
    let hole = PhysAddr(lines[2 * 150 + 1].base + PAGE_SIZE);
    let map = MemoryMap::new(lines.iter().copied(), 40, &[hole..PhysAddr(hole.0 + 1)]);
    let all: u64 = (1..=number).sum();
    let lost: u64 = (1..=100).sum();
    assert_eq!(map.ram_frames(), all - lost);
    assert_eq!((map.ram().len(), map.free().len()), (MADE, MADE));
    // The hole makes two ranges of one, of which the smaller has one frame.
    assert_eq!(map.free_frames(), all - lost - 2);
    let notice = Notice::TooManyRanges {
        ram: lost,
        free: lost,
    };
    assert_eq!(map.notices().0, [notice]);
    let mut free: Ranges = map.free().iter().cloned().collect();
    let first = free[0].clone();
    split(&mut free, first.start.add(1)).unwrap();
    let second = free[2].clone();
    assert_eq!(split(&mut free, second.start.add(1)), Err(TooManyRanges));
    assert_eq!(
        free[..2],
        [
            first.start..first.start.add(1),
            first.start.add(1)..first.end
        ]
    );
}

#[test]
fn ranges_that_are_given_up_as_ram_are_not_free() {
    // Twice as many ranges of RAM as of free memory, so that RAM runs out of room first.
    let number = MADE as u64 + 20;
    let mut lines = pieces(number, |piece| if piece < 30 { 2 } else { 3 });
    for piece in (31..number as usize).step_by(2) {
        lines[2 * piece + 1].kind = LineKind::AcpiReclaimable;
    }
    let map = MemoryMap::new(lines.into_iter(), 40, &[]);
    assert_eq!(map.ram_frames(), 3 * number - 30 - 40);
    for free in map.free() {
        assert!(map.ram().contains(free), "{free:?}");
    }
}

fn kinds() -> impl Strategy<Value = LineKind> {
    (1u32..7).prop_map(LineKind::from_e820)
}

proptest! {
    /// Against a model that asks of each frame by itself what every line and reservation says of it.
    #[test]
    fn agrees_with_asking_each_frame(
        lines in prop::collection::vec((0u64..70 * 4096, 0u64..20 * 4096, kinds()), 0..12),
        holes in prop::collection::vec((0u64..64 * 4096, 0u64..9 * 4096), 0..5),
    ) {
        let lines: Vec<_> = lines.iter().map(|&(base, length, kind)| line(base, length, kind)).collect();
        let holes: Vec<_> = holes.iter().map(|&(at, bytes)| PhysAddr(at)..PhysAddr(at + bytes)).collect();
        let map = MemoryMap::new(lines.iter().copied(), 18, &holes);
        let held = |ranges: &[FrameRange], frame| ranges.iter().filter(|range| range.contains(&Pfn(frame))).count();
        for frame in 0..100u64 {
            let bytes = frame * 4096..(frame + 1) * 4096;
            let touches = |base: u64, end: u64| base < bytes.end && bytes.start < end && base < end;
            let strongest = lines
                .iter()
                .filter(|line| match line.kind {
                    LineKind::Usable => line.base <= bytes.start && bytes.end <= (line.base + line.length).min(1 << 18),
                    _ => touches(line.base, (line.base + line.length).min(1 << 18)),
                })
                .map(|line| line.kind)
                .max();
            let kept = frame == 0 || holes.iter().any(|hole| touches(hole.start.0, hole.end.0));
            let ram = strongest.is_some_and(LineKind::is_ram);
            let free = strongest == Some(LineKind::Usable) && !kept;
            prop_assert_eq!(held(map.ram(), frame), usize::from(ram), "ram, frame {}", frame);
            prop_assert_eq!(held(map.free(), frame), usize::from(free), "free, frame {}", frame);
        }
        for ranges in [map.free(), map.ram()] {
            prop_assert!(ranges.iter().all(|range| !range.is_empty()));
            prop_assert!(ranges.windows(2).all(|pair| pair[0].end <= pair[1].start));
        }
        prop_assert!(map.ram().windows(2).all(|pair| pair[0].end < pair[1].start), "not merged");
    }
}
