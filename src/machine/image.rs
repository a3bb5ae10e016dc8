//! Where the image lies, by the symbols of `linker.ld`.

use core::ops::Range;

use arrayvec::ArrayVec;

use crate::cpu::stacks;
use crate::mm::address::{PAGE_SIZE, PhysAddr, VirtAddr};
use crate::mm::kernel_map::Section;
use crate::mm::page_table::Protection;

/// Link address less load address, as in `linker.ld`.
const KERNEL_OFFSET: u64 = 0xffff_ffff_c000_0000;

unsafe extern "C" {
    static boot_start: u8;
    static text_start: u8;
    static text_end: u8;
    static rodata_start: u8;
    static rodata_end: u8;
    static data_start: u8;
    static data_end: u8;
    static image_end: u8;
}

/// The memory that the image was loaded into, its stacks and their guard pages included.
pub fn loaded() -> Range<PhysAddr> {
    PhysAddr(&raw const boot_start as u64)..PhysAddr(&raw const image_end as u64 - KERNEL_OFFSET)
}

/// The sections to map: text, constants, data, and the stacks without their guard pages.
pub fn sections() -> ArrayVec<Section, 7> {
    let section = |range: Range<VirtAddr>, protection| Section {
        loaded: PhysAddr(range.start.0 - KERNEL_OFFSET),
        range,
        protection,
    };
    let between = |start: *const u8, end: *const u8| {
        VirtAddr(start as u64)..VirtAddr((end as u64).next_multiple_of(PAGE_SIZE))
    };
    let text = between(&raw const text_start, &raw const text_end);
    let rodata = between(&raw const rodata_start, &raw const rodata_end);
    let data = between(&raw const data_start, &raw const data_end);
    let mut sections = ArrayVec::new();
    sections.push(section(text, Protection::READ_EXECUTE));
    sections.push(section(rodata, Protection::READ));
    sections.push(section(data, Protection::READ_WRITE));
    sections
        .extend(stacks::of_boot_cpu().map(|stack| section(stack.range, Protection::READ_WRITE)));
    sections
}

/// The first address of the image's code.
pub fn text() -> VirtAddr {
    VirtAddr(&raw const text_start as u64)
}
