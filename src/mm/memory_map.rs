//! Floor 0: the loader's memory map made sane.
//!
//! Firmware maps come unsorted, with overlaps, with empty lines and with ends beyond what the CPU can address. From such
//! lines come two sorted lists of disjoint frame ranges: the frames that are free to use, and all RAM, which is what the
//! direct map covers. Where lines disagree the stronger kind wins: a frame is free only if every line that touches it says
//! so. Each repair is told by a [`Notice`]; nothing is dropped in silence.
//!
//! Kinds and their numbers: ACPI specification 6.5, table 15.6 (address range types).

#![forbid(unsafe_code)]

use core::fmt;
use core::ops::Range;

use arrayvec::ArrayVec;

use super::address::{FrameRange, PAGE_SIZE, Pfn, PhysAddr};

/// Most lines that one map may have.
pub const LINES: usize = 256;
/// Most ranges that can come of [`LINES`] lines and the reservations.
pub const RANGES: usize = 2 * LINES;
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

    const fn is_ram(self) -> bool {
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
        }
    }
}

/// Why no memory map can be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MapError {
    /// More lines than [`LINES`].
    TooManyLines(usize),
    /// More ranges than [`RANGES`]: the reservations cut the free memory into too many pieces.
    TooManyRanges,
}

impl fmt::Display for MapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MapError::TooManyLines(lines) => {
                write!(f, "memory map: {lines} lines, at most {LINES} can be used")
            }
            MapError::TooManyRanges => write!(f, "memory map: more than {RANGES} ranges"),
        }
    }
}

impl core::error::Error for MapError {}

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
    ///
    /// # Errors
    ///
    /// More lines or ranges than can be held.
    pub fn new(
        lines: &[Line],
        physical_bits: u8,
        reserved: &[Range<PhysAddr>],
    ) -> Result<Self, MapError> {
        let mut map = MemoryMap::default();
        let lines = map.repaired(lines, 1 << physical_bits.min(52))?;

        // Frame numbers at which the kind may change.
        let mut edges: ArrayVec<Pfn, { 2 * LINES }> = ArrayVec::new();
        for line in &lines {
            let frames = frames_of(line);
            edges.push(frames.start);
            edges.push(frames.end);
        }
        edges.sort_unstable();
        for pair in edges.windows(2) {
            let range = pair[0]..pair[1];
            let kind = lines
                .iter()
                .filter(|line| {
                    let frames = frames_of(line);
                    frames.start <= range.start && range.end <= frames.end
                })
                .map(|line| line.kind)
                .max();
            match kind {
                Some(LineKind::Usable) => {
                    append(&mut map.ram, range.clone())?;
                    append(&mut map.free, range)?;
                }
                Some(kind) if kind.is_ram() => append(&mut map.ram, range)?,
                _ => {}
            }
        }
        cut(&mut map.free, Pfn(0)..Pfn(1))?;
        for range in reserved.iter().filter(|range| !range.is_empty()) {
            cut(
                &mut map.free,
                range.start.frame()..Pfn(range.end.0.div_ceil(PAGE_SIZE)),
            )?;
        }
        Ok(map)
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

    /// The lines that are left once each is cut to the bytes below `limit`, sorted by their base.
    fn repaired(&mut self, lines: &[Line], limit: u64) -> Result<ArrayVec<Line, LINES>, MapError> {
        let mut repaired: ArrayVec<Line, LINES> = ArrayVec::new();
        let mut last_base = 0;
        for &line in lines {
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
            if line.base < limit {
                let length = end.min(limit) - line.base;
                repaired
                    .try_push(Line { length, ..line })
                    .map_err(|_| MapError::TooManyLines(lines.len()))?;
            }
        }
        repaired.sort_unstable_by_key(|line| line.base);
        for pair in repaired.windows(2) {
            if pair[0].base + pair[0].length > pair[1].base {
                self.tell(Notice::Overlap(pair[0], pair[1]));
            }
        }
        Ok(repaired)
    }

    fn tell(&mut self, notice: Notice) {
        if self.notices.try_push(notice).is_err() {
            self.notices_left_out += 1;
        }
    }
}

/// The frames that a line speaks for: of usable memory those that lie in it whole, of any other all that it touches.
fn frames_of(line: &Line) -> FrameRange {
    let (start, end) = (line.base, line.base + line.length);
    if line.kind == LineKind::Usable {
        let (first, last) = (start.div_ceil(PAGE_SIZE), end / PAGE_SIZE);
        Pfn(first)..Pfn(last.max(first))
    } else {
        Pfn(start / PAGE_SIZE)..Pfn(end.div_ceil(PAGE_SIZE))
    }
}

fn count(ranges: &[FrameRange]) -> u64 {
    ranges.iter().map(|range| range.end.0 - range.start.0).sum()
}

/// Adds a range above all others, merged with the last one if they touch.
fn append(ranges: &mut Ranges, range: FrameRange) -> Result<(), MapError> {
    if range.is_empty() {
        return Ok(());
    }
    match ranges.last_mut() {
        Some(last) if last.end == range.start => last.end = range.end,
        _ => ranges
            .try_push(range)
            .map_err(|_| MapError::TooManyRanges)?,
    }
    Ok(())
}

/// Makes two ranges of the one that reaches over `at`, if there is one, so that who takes from the end of a range does not
/// pass by what lies below.
///
/// # Errors
///
/// More ranges than can be held.
pub fn split(ranges: &mut Ranges, at: Pfn) -> Result<(), MapError> {
    cut(ranges, at..at)
}

/// Takes the frames of `hole` out of the ranges; an empty one only splits.
fn cut(ranges: &mut Ranges, hole: FrameRange) -> Result<(), MapError> {
    let mut index = 0;
    while index < ranges.len() {
        let range = ranges[index].clone();
        let below = range.start..range.end.min(hole.start);
        let above = range.start.max(hole.end)..range.end;
        match (below.is_empty(), above.is_empty()) {
            (true, true) => {
                ranges.remove(index);
                continue;
            }
            (false, true) => ranges[index] = below,
            (true, false) => ranges[index] = above,
            (false, false) if below == range || above == range => {}
            (false, false) => {
                ranges[index] = below;
                ranges
                    .try_insert(index + 1, above)
                    .map_err(|_| MapError::TooManyRanges)?;
                index += 1;
            }
        }
        index += 1;
    }
    Ok(())
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
        let map = MemoryMap::new(&lines, 40, &[image]).unwrap();
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
        let map = MemoryMap::new(&[empty, high, low, over, wraps], 36, &[]).unwrap();
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

    #[test]
    fn too_many_lines_are_an_error() {
        let lines = [line(MIB, MIB, LineKind::Usable); LINES + 1];
        assert_eq!(
            MemoryMap::new(&lines, 40, &[]).unwrap_err(),
            MapError::TooManyLines(LINES + 1)
        );
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
            let map = MemoryMap::new(&lines, 18, &holes).unwrap();
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
