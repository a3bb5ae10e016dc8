//! The kernel's map: all RAM in the direct map, and the image with each section's own protection.
//!
//! What no section names stays unmapped, the guard page below each stack among it. Where the image lies in the direct map
//! (`classic`), the sections are all that the direct map has of it. Elsewhere the direct map has the image's code read-only: what
//! is executed by one address is written by no other (W^X).

use core::fmt;
use core::ops::Range;

use crate::mm::address::{FrameRange, PAGE_SIZE, PageSize, Pfn, PhysAddr, VirtAddr};
use crate::mm::hardware::PhysicalMemory;
use crate::mm::layout::Layout;
use crate::mm::page_table::{MapError, OwnedRange, Protection, TableFrames};

/// A part of the image: where it is linked, where it was loaded, and what it allows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Section {
    /// Link addresses, page-aligned, end exclusive.
    pub range: Range<VirtAddr>,
    /// Physical address of the first byte.
    pub loaded: PhysAddr,
    /// What it allows.
    pub protection: Protection,
}

impl Section {
    /// The frames that it was loaded into.
    fn frames(&self) -> FrameRange {
        let first = self.loaded.frame();
        first..first.add((self.range.end.0 - self.range.start.0) / PAGE_SIZE)
    }
}

/// Why the kernel's map could not be built.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KernelMapError {
    /// Which part of it.
    pub part: &'static str,
    /// What went wrong.
    pub error: MapError,
}

impl fmt::Display for KernelMapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kernel map: {}: {}", self.part, self.error)
    }
}

impl core::error::Error for KernelMapError {}

/// Maps all of `ram` that the layout's direct map covers, with leaves up to `largest`, and the sections of the image.
///
/// # Errors
///
/// What could not be mapped.
pub fn build<M: PhysicalMemory>(
    owned: &mut OwnedRange<M>,
    layout: &Layout,
    ram: &[FrameRange],
    sections: &[Section],
    largest: PageSize,
    tables: &mut impl TableFrames,
) -> Result<(), KernelMapError> {
    let covered = PhysAddr(layout.direct_mapped()).frame();
    let image = image_in_direct_map(layout, sections);
    let code = code(sections);
    for range in ram {
        for frames in [
            range.start..range.end.min(covered).min(image.start),
            range.start.max(image.end)..range.end.min(covered),
        ] {
            if frames.is_empty() {
                continue;
            }
            let within = |frame: Pfn| frame.clamp(frames.start, frames.end);
            let code = within(code.start)..within(code.end);
            for (frames, protection) in [
                (frames.start..code.start, Protection::READ_WRITE),
                (code.clone(), Protection::READ),
                (code.end..frames.end, Protection::READ_WRITE),
            ] {
                if frames.is_empty() {
                    continue;
                }
                let start = VirtAddr(layout.direct_map.start.0 + frames.start.address().0);
                owned
                    .map(start, frames, protection, largest, tables)
                    .map_err(|error| KernelMapError {
                        part: "direct map",
                        error,
                    })?;
            }
        }
    }
    for section in sections.iter().filter(|section| !section.range.is_empty()) {
        let frames = section.frames();
        owned
            .map(
                section.range.start,
                frames,
                section.protection,
                PageSize::Size4K,
                tables,
            )
            .map_err(|error| KernelMapError {
                part: "image",
                error,
            })?;
    }
    Ok(())
}

/// The frames of the image's code, which is one section; none, at the end of all, if there is no code.
fn code(sections: &[Section]) -> FrameRange {
    let executable = |section: &&Section| section.protection.is_executable();
    let none = Pfn(u64::MAX);
    let code = sections.iter().find(executable).map(Section::frames);
    code.unwrap_or(none..none)
}

/// The frames from the image's first section to its last, if the direct map has to leave them to the sections; else none, at
/// the end of all.
fn image_in_direct_map(layout: &Layout, sections: &[Section]) -> FrameRange {
    let sections = if layout.image.is_none() {
        sections
    } else {
        &[]
    };
    let start = sections.iter().map(|section| section.frames().start).min();
    let end = sections.iter().map(|section| section.frames().end).max();
    let none = Pfn(u64::MAX);
    start.unwrap_or(none)..end.unwrap_or(none)
}

#[cfg(test)]
mod tests {
    use super::super::{Audit, writable_code};
    use super::*;
    use crate::mm::layout::Constants;
    use crate::mm::model::Arena;

    #[test]
    fn ram_and_image_are_mapped_and_nothing_else() {
        let arena = Arena::new(64);
        let mut table = arena.owned_range();
        let mut tables = arena.tables(63);
        let top = PhysAddr((3 << 30) + 0x5000);
        let layout = Layout::new(&Constants::WIDE, top).unwrap();
        let ram = [
            Pfn(0)..Pfn(0x9f),
            Pfn(0x100)..Pfn(0x7_ffe0),
            Pfn(0xc_0000)..Pfn(0xc_0005),
        ];
        let link = VirtAddr(0xffff_ffff_c010_0000);
        let section = |offset: u64, pages: u64, protection| Section {
            range: VirtAddr(link.0 + offset)..VirtAddr(link.0 + offset + pages * PAGE_SIZE),
            loaded: PhysAddr(0x10_0000 + offset),
            protection,
        };
        let sections = [
            section(0, 3, Protection::READ_EXECUTE),
            section(0x3000, 2, Protection::READ),
            // A guard page lies between.
            section(0x6000, 4, Protection::READ_WRITE),
        ];
        let largest = PageSize::Size1G;
        build(&mut table, &layout, &ram, &sections, largest, &mut tables).unwrap();

        let direct =
            |physical: u64| table.translate(VirtAddr(layout.direct_map.start.0 + physical));
        for range in &ram {
            for physical in [range.start.address().0, range.end.address().0 - 1] {
                assert_eq!(direct(physical).unwrap().address, PhysAddr(physical));
            }
            assert_eq!(direct(range.end.address().0), None);
        }
        assert_eq!(
            direct(1 << 30).unwrap().size(),
            PageSize::Size2M,
            "the second GiB is not whole"
        );
        assert_eq!(
            table.translate(VirtAddr(link.0 + 0x5000)),
            None,
            "guard page"
        );
        assert_eq!(
            table.translate(VirtAddr(link.0 + 0x6008)).unwrap().address,
            PhysAddr(0x10_6008)
        );
        // The code is read-only there, too, and nothing else is.
        for (frame, writable) in [
            (0x9e, true),
            (0x100, false),
            (0x102, false),
            (0x103, true),
            (0x104, true),
            (0x109, true),
        ] {
            let found = direct(Pfn(frame).address().0).unwrap().protection();
            assert_eq!(
                (found.is_writable(), found.is_executable()),
                (writable, false)
            );
        }
        let audit = Audit::of(&table);
        assert_eq!((audit.writable_executable, audit.lower_half), (None, None));
        assert_eq!(writable_code(&table), None);
        let pages: u64 = ram.iter().map(|range| range.end.0 - range.start.0).sum();
        let [small, middle, large] = audit.leaves;
        assert_eq!(small + middle * 512 + large * (512 * 512), pages + 9);
        // The first GiB has holes; of the second the last 2 MiB are cut.
        assert_eq!((middle, large), (511 + 511, 0));
    }

    #[test]
    fn an_image_in_the_direct_map_has_its_sections_protections_there() {
        let arena = Arena::new(64);
        let mut table = arena.owned_range();
        let mut tables = arena.tables(63);
        // 6 GiB, of which 896 MiB fit.
        let layout = Layout::new(&Constants::CLASSIC, PhysAddr(6 << 30)).unwrap();
        let ram = [Pfn(0)..Pfn(0x9f), Pfn(0x100)..Pfn(6 << 18)];
        let section = |first: u64, pages: u64, protection| Section {
            range: VirtAddr(0xffff_ffff_c000_0000 + first * PAGE_SIZE)
                ..VirtAddr(0xffff_ffff_c000_0000 + (first + pages) * PAGE_SIZE),
            loaded: Pfn(first).address(),
            protection,
        };
        let sections = [
            section(0x101, 3, Protection::READ_EXECUTE),
            section(0x104, 2, Protection::READ),
            // A guard page lies between.
            section(0x107, 4, Protection::READ_WRITE),
        ];
        let largest = PageSize::Size1G;
        build(&mut table, &layout, &ram, &sections, largest, &mut tables).unwrap();

        let at = |frame: u64| {
            let address = VirtAddr(layout.direct_map.start.0 + Pfn(frame).address().0);
            table.translate(address)
        };
        for (frame, protection) in [
            (0x9e, Protection::READ_WRITE),
            (0x100, Protection::READ_WRITE),
            (0x101, Protection::READ_EXECUTE),
            (0x103, Protection::READ_EXECUTE),
            (0x104, Protection::READ),
            (0x105, Protection::READ),
            (0x107, Protection::READ_WRITE),
            (0x10b, Protection::READ_WRITE),
            ((896 << 8) - 1, Protection::READ_WRITE),
        ] {
            let found = at(frame).unwrap();
            assert_eq!(found.address, Pfn(frame).address());
            assert_eq!(found.protection(), protection, "{frame:#x}");
        }
        for frame in [0x9f, 0x106, 896 << 8] {
            assert_eq!(at(frame), None, "{frame:#x}");
        }
        assert_eq!(at(0x200).unwrap().size(), PageSize::Size2M);
        let audit = Audit::of(&table);
        assert_eq!(
            (audit.writable_executable, writable_code(&table)),
            (None, None)
        );
    }
}
