//! A line of the loader's map: what it claims, and which frames it speaks for.

use core::fmt;

use crate::mm::address::{FrameRange, PAGE_SIZE, Pfn};

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

    /// Whether it is RAM, used or not.
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

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} line at {:#x} of {:#x} bytes",
            self.kind, self.base, self.length
        )
    }
}

impl Line {
    /// The line's bytes below `limit`, if it has any.
    pub(super) fn below(self, limit: u64) -> Option<Line> {
        let end = self.base.saturating_add(self.length).min(limit);
        (self.base < end).then(|| Line {
            length: end - self.base,
            ..self
        })
    }

    /// The frames that the line speaks for: of usable memory those that lie in it whole, of any other all that it touches. Neither
    /// its base nor its length is beyond 2^52.
    pub(super) fn frames(&self) -> FrameRange {
        let (start, end) = (self.base, self.base + self.length);
        if self.kind == LineKind::Usable {
            let (first, last) = (start.div_ceil(PAGE_SIZE), end / PAGE_SIZE);
            Pfn(first)..Pfn(last.max(first))
        } else {
            Pfn(start / PAGE_SIZE)..Pfn(end.div_ceil(PAGE_SIZE))
        }
    }

    /// Whether both claim a byte.
    pub(super) fn overlaps(&self, other: &Line) -> bool {
        self.base < other.base + other.length && other.base < self.base + self.length
    }
}
