//! Floor 0: the loader's memory map made sane.
//!
//! Firmware maps come unsorted, with overlaps, with empty lines and with ends beyond what the CPU can address. From such
//! lines come two sorted lists of disjoint frame ranges: the frames that are free to use, and all RAM, which is what the
//! direct map covers. Where lines disagree the stronger kind wins: a frame is free only if every line that touches it says
//! so. Each repair is a [`Notice`]; nothing is dropped in silence.
//!
//! There can be any number of lines: they are read where they lie, as often as it takes, and a window of [`EDGES`] places at which
//! the kind of memory may change moves over them. Only what comes of them is bounded; where it is too much the smallest ranges are
//! given up.
//!
//! Kinds and their numbers: ACPI specification 6.5, table 15.6 (address range types).

#![forbid(unsafe_code)]

mod absent;
mod known;

use core::fmt;
use core::ops::Range;

use arrayvec::ArrayVec;

use super::address::{FrameRange, PAGE_SIZE, Pfn, PhysAddr};

/// Most ranges of a list. A map of 300 lines, as large machines have them, comes to some ten.
pub const RANGES: usize = 512;
/// Ranges that a map makes of its lines: one place is left for [`split`].
const MADE: usize = RANGES - 1;
/// Places at which the kind may change that are looked at together. Few in tests, so that the window has to move.
const EDGES: usize = if cfg!(test) { 6 } else { 512 };
/// Most notices that are kept; the rest is counted.
const NOTICES: usize = 16;

/// What a line says of its memory, weakest claim first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum LineKind {
    /// RAM, free to use.
    Usable,
    /// RAM that holds ACPI tables.
    AcpiReclaimable,
    /// RAM that firmware keeps over sleep.
    AcpiNvs,
    /// Not to be touched: devices, or RAM that firmware has for itself. Kinds that we do not know count as this one.
    Reserved,
    /// RAM with errors.
    Bad,
}

impl LineKind {
    /// The kind with this number in BIOS E820, multiboot2 and PVH maps.
    #[must_use]
    pub const fn from_e820(number: u32) -> Self {
        match number {
            1 => LineKind::Usable,
            3 => LineKind::AcpiReclaimable,
            4 => LineKind::AcpiNvs,
            5 => LineKind::Bad,
            _ => LineKind::Reserved,
        }
    }

    /// Whether it is RAM, whoever has it.
    #[must_use]
    pub const fn is_ram(self) -> bool {
        matches!(
            self,
            LineKind::Usable | LineKind::AcpiReclaimable | LineKind::AcpiNvs
        )
    }
}

/// One line of the map, as it came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Line {
    /// First byte.
    pub base: u64,
    /// Bytes.
    pub length: u64,
    /// What it is.
    pub kind: LineKind,
}

/// A repair that was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Notice {
    /// A line of no bytes was dropped.
    Empty(Line),
    /// A line ran over the end of the 64-bit address space and was cut there.
    Wraps(Line),
    /// A line ended beyond the CPU's physical addresses, which end at `limit`, and was cut there.
    BeyondPhysical {
        /// The line.
        line: Line,
        /// First byte that cannot be addressed.
        limit: u64,
    },
    /// A line starts below the one before it; the lines were sorted.
    Unsorted(Line),
    /// Two lines claim the same bytes; the stronger kind got them.
    Overlap(Line, Line),
    /// There are more ranges than can be held; the smallest of them, with so many frames, are not used.
    TooManyRanges {
        /// Frames of RAM.
        ram: u64,
        /// Of these, and of RAM that is used, frames that are free.
        free: u64,
    },
    /// A usable line claims memory of adapters, and of the BIOS; it is not used.
    Adapters {
        /// Its first byte.
        start: PhysAddr,
        /// The byte behind its last.
        end: PhysAddr,
    },
    /// RAM that the caller knows of lies where no line has any.
    Added {
        /// Its first byte.
        start: PhysAddr,
        /// The byte behind its last.
        end: PhysAddr,
    },
    /// What a usable line claims does not keep what is written to it; it is not used.
    Absent {
        /// Its first byte.
        start: PhysAddr,
        /// The byte behind its last.
        end: PhysAddr,
    },
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} line at {:#x} of {:#x} bytes",
            self.kind, self.base, self.length
        )
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::Empty(line) => write!(f, "memory map: {line} is empty; dropped"),
            Notice::Wraps(line) => write!(
                f,
                "memory map: {line} wraps; cut at the end of the address space"
            ),
            Notice::BeyondPhysical { line, limit } => {
                write!(
                    f,
                    "memory map: {line} ends beyond the CPU's {limit:#x}; cut there"
                )
            }
            Notice::Unsorted(line) => write!(f, "memory map: {line} is out of order; sorted"),
            Notice::Overlap(first, second) => {
                write!(
                    f,
                    "memory map: {first} and {second} overlap; the stronger kind holds"
                )
            }
            Notice::TooManyRanges { ram, free } => {
                write!(
                    f,
                    "memory map: more than {MADE} ranges; the smallest are not used, {ram} frames of RAM and {free} free ones"
                )
            }
            Notice::Adapters { start, end } => write!(
                f,
                "memory map: a usable line claims {start} to {end}, which adapters and the BIOS have; not used"
            ),
            Notice::Added { start, end } => write!(
                f,
                "memory map: the image lies at {start} to {end}, where no line has RAM"
            ),
            Notice::Absent { start, end } => write!(
                f,
                "memory map: no RAM answers from {start} to {end}, which a usable line claims; not used"
            ),
        }
    }
}

/// A list has [`RANGES`] ranges and no place for another one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooManyRanges;

impl fmt::Display for TooManyRanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "memory map: more than {RANGES} ranges")
    }
}

impl core::error::Error for TooManyRanges {}

/// Sorted, disjoint, merged ranges of frames.
pub type Ranges = ArrayVec<FrameRange, RANGES>;

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
        map.tell_repairs(lines.clone(), limit);
        let lines = lines.filter_map(|line| line.below(limit));

        let (mut lost_ram, mut lost_free) = (0, 0);
        let mut window = Window::new();
        while window.advance(lines.clone()) {
            window.claim(lines.clone(), |notice| map.tell(notice));
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
            map.tell(Notice::TooManyRanges {
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
    fn tell_repairs(&mut self, lines: impl Iterator<Item = Line>, limit: u64) {
        let mut last_base = 0;
        for line in lines {
            if line.base < last_base {
                self.tell(Notice::Unsorted(line));
            }
            last_base = line.base;
            if line.length == 0 {
                self.tell(Notice::Empty(line));
                continue;
            }
            let end = line.base.checked_add(line.length).unwrap_or_else(|| {
                self.tell(Notice::Wraps(line));
                u64::MAX
            });
            if end > limit {
                self.tell(Notice::BeyondPhysical { line, limit });
            }
        }
    }

    fn tell(&mut self, notice: Notice) {
        if self.notices.try_push(notice).is_err() {
            self.notices_left_out += 1;
        }
    }
}

impl Line {
    /// The line's bytes below `limit`, if it has any.
    fn below(self, limit: u64) -> Option<Line> {
        let end = self.base.saturating_add(self.length).min(limit);
        (self.base < end).then(|| Line {
            length: end - self.base,
            ..self
        })
    }

    /// The frames that the line speaks for: of usable memory those that lie in it whole, of any other all that it touches. Neither
    /// its base nor its length is beyond 2^52.
    fn frames(&self) -> FrameRange {
        let (start, end) = (self.base, self.base + self.length);
        if self.kind == LineKind::Usable {
            let (first, last) = (start.div_ceil(PAGE_SIZE), end / PAGE_SIZE);
            Pfn(first)..Pfn(last.max(first))
        } else {
            Pfn(start / PAGE_SIZE)..Pfn(end.div_ceil(PAGE_SIZE))
        }
    }

    /// Whether both claim a byte.
    fn overlaps(&self, other: &Line) -> bool {
        self.base < other.base + other.length && other.base < self.base + self.length
    }
}

/// A run of [`EDGES`] frame numbers at which the kind of memory may change, in order, without any between them.
struct Window {
    edges: ArrayVec<Pfn, EDGES>,
    /// The line of the strongest kind behind each edge.
    strongest: ArrayVec<Option<Line>, EDGES>,
    /// There are edges above the last one.
    more: bool,
}

impl Window {
    fn new() -> Self {
        Window {
            edges: ArrayVec::new(),
            strongest: ArrayVec::new(),
            more: true,
        }
    }

    /// Moves to the edges from the last one on. `false` if there are no more.
    fn advance(&mut self, lines: impl Iterator<Item = Line>) -> bool {
        if !self.more {
            return false;
        }
        let first = self.edges.last().copied();
        self.edges.clear();
        self.edges.extend(first);
        self.more = false;
        for line in lines {
            let frames = line.frames();
            for edge in [frames.start, frames.end] {
                if first.is_none_or(|first| first < edge) {
                    self.add(edge);
                }
            }
        }
        true
    }

    /// Adds an edge; where there is no room for all, the highest goes.
    fn add(&mut self, edge: Pfn) {
        // Most maps are sorted.
        let place = match self.edges.last() {
            Some(&last) if last < edge => self.edges.len(),
            _ => match self.edges.binary_search(&edge) {
                Ok(_) => return,
                Err(place) => place,
            },
        };
        if self.edges.is_full() {
            self.more = true;
            if place == self.edges.len() {
                return;
            }
            self.edges.pop();
        }
        self.edges.insert(place, edge);
    }

    /// Finds the line of the strongest kind that claims what lies between an edge and the next.
    fn claim(&mut self, lines: impl Iterator<Item = Line>, mut tell: impl FnMut(Notice)) {
        self.strongest.clear();
        self.strongest.extend(self.edges.iter().map(|_| None));
        for line in lines {
            let frames = line.frames();
            let first = self.edges.partition_point(|&edge| edge < frames.start);
            for (place, pair) in self.edges.windows(2).enumerate().skip(first) {
                if pair[1] > frames.end {
                    break;
                }
                let claim = &mut self.strongest[place];
                let Some(other) = *claim else {
                    *claim = Some(line);
                    continue;
                };
                // Once for two lines: at the first frames that both have.
                let begins = frames.start.max(other.frames().start) == pair[0];
                if begins && line.overlaps(&other) {
                    let (low, high) = if line.base < other.base {
                        (line, other)
                    } else {
                        (other, line)
                    };
                    tell(Notice::Overlap(low, high));
                }
                if line.kind > other.kind {
                    *claim = Some(line);
                }
            }
        }
    }

    /// What lies between two edges and is claimed, in order, and its kind.
    fn claimed(&self) -> impl Iterator<Item = (FrameRange, LineKind)> {
        let ranges = self.edges.windows(2).map(|pair| pair[0]..pair[1]);
        let claims = ranges.zip(&self.strongest);
        claims.filter_map(|(range, line)| Some((range, line.as_ref()?.kind)))
    }
}

fn count(ranges: &[FrameRange]) -> u64 {
    ranges.iter().map(|range| range.end.0 - range.start.0).sum()
}

/// Adds a range above all others, merged with the last one if they touch. Where there is no room the smallest range goes: how many
/// frames it had.
fn append(ranges: &mut Ranges, range: FrameRange) -> u64 {
    match ranges.last_mut() {
        _ if range.is_empty() => 0,
        Some(last) if last.end == range.start => {
            last.end = range.end;
            0
        }
        _ => {
            let lost = if ranges.len() < MADE {
                0
            } else {
                drop_smallest(ranges)
            };
            ranges.push(range);
            lost
        }
    }
}

/// Drops the smallest range, the lowest of several; how many frames it had.
fn drop_smallest(ranges: &mut Ranges) -> u64 {
    let frames = |range: &FrameRange| range.end.0 - range.start.0;
    let smallest = ranges
        .iter()
        .enumerate()
        .min_by_key(|(_, range)| frames(range));
    match smallest.map(|(place, _)| place) {
        Some(place) => frames(&ranges.remove(place)),
        None => 0,
    }
}

/// Makes two ranges of the one that reaches over `at`, if there is one, so that who takes from the end of a range does not
/// pass by what lies below. There is room for one split of what a map has made.
///
/// # Errors
///
/// More ranges than can be held.
pub fn split(ranges: &mut Ranges, at: Pfn) -> Result<(), TooManyRanges> {
    let inside = |range: &FrameRange| range.start < at && at < range.end;
    let Some(place) = ranges.iter().position(inside) else {
        return Ok(());
    };
    let above = at..ranges[place].end;
    ranges
        .try_insert(place + 1, above)
        .map_err(|_| TooManyRanges)?;
    ranges[place].end = at;
    Ok(())
}

/// Takes the frames of `hole` out of the ranges. Where that makes more ranges than there is room for the smallest go: how many
/// frames they had.
fn cut(ranges: &mut Ranges, hole: FrameRange) -> u64 {
    let mut lost = 0;
    let mut index = 0;
    while index < ranges.len() {
        let range = ranges[index].clone();
        let below = range.start..range.end.min(hole.start);
        let above = range.start.max(hole.end)..range.end;
        match (below.is_empty(), above.is_empty()) {
            _ if hole.is_empty() || below == range || above == range => {}
            (true, true) => {
                ranges.remove(index);
                continue;
            }
            (false, true) => ranges[index] = below,
            (true, false) => ranges[index] = above,
            (false, false) => {
                ranges[index] = below;
                ranges.insert(index + 1, above);
                if ranges.len() > MADE {
                    lost += drop_smallest(ranges);
                }
                // The hole lies in one range.
                return lost;
            }
        }
        index += 1;
    }
    lost
}

#[cfg(test)]
mod tests {
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
    fn every_repair_is_told() {
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
}
