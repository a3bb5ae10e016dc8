//! The multiboot2 door (Multiboot2 specification 2.0, section 3.6), read by the `multiboot2` crate.

use arrayvec::ArrayString;
use multiboot2::{BootInformation, BootInformationHeader, MemoryMapTag};

use super::info::{BootError, BootInfo, IDENTITY_END, Loader};
use crate::mm::address::PhysAddr;
use crate::mm::memory_map::LineKind;

/// What a multiboot2 loader leaves in EAX.
pub const MAGIC: u32 = multiboot2::MAGIC;

/// Bytes of a tag before its content: type and size.
const TAG_HEADER: u64 = 8;

/// Reads the boot information at physical address `address`.
///
/// # Errors
///
/// What is wrong with it.
///
/// # Safety
///
/// As for [`BootInfo::read`].
pub unsafe fn read(address: u64) -> Result<BootInfo, BootError> {
    let what = "multiboot2 information";
    if cfg!(target_os = "none") && address >= IDENTITY_END {
        return Err(BootError::Unreachable { what, address });
    }
    // SAFETY: the caller's promise; the crate checks alignment, size and the chain of tags.
    let information = unsafe { BootInformation::load(address as *const BootInformationHeader) }
        .map_err(|_| BootError::Malformed(what))?;

    let mut name = ArrayString::new();
    if let Some(tag) = information.boot_loader_name_tag() {
        let text = tag
            .name()
            .map_err(|_| BootError::Malformed("loader name"))?;
        for character in text.chars() {
            if name.try_push(character).is_err() {
                break;
            }
        }
    }
    let mut info = BootInfo::new(Loader::Multiboot2(name));
    info.keep(address, information.total_size() as u64)?;
    if let Some(tag) = information.command_line_tag() {
        info.set_command_line(tag.cmdline().map_err(|_| BootError::CommandLineNotText)?)?;
    }
    // The tags embed the root pointer itself; the newer one leads to 64-bit addresses.
    let rsdp = information
        .rsdp_v2_tag()
        .map(|tag| &raw const *tag as u64)
        .or_else(|| information.rsdp_v1_tag().map(|tag| &raw const *tag as u64));
    info.rsdp = rsdp.map(|tag| PhysAddr(tag + TAG_HEADER));

    let map = information.memory_map_tag().ok_or(BootError::NoMemoryMap)?;
    add_lines(&mut info, map)?;
    for module in information.module_tags() {
        let (start, end) = (module.start_address(), module.end_address());
        let bytes = end
            .checked_sub(start)
            .ok_or(BootError::Malformed("module range"))?;
        info.keep(u64::from(start), u64::from(bytes))?;
    }
    Ok(info)
}

fn add_lines(info: &mut BootInfo, map: &MemoryMapTag) -> Result<(), BootError> {
    // The crate reads lines of the one size that version 0 of the specification has.
    if map.entry_size() as usize != size_of::<multiboot2::MemoryArea>() {
        return Err(BootError::Malformed("memory map"));
    }
    for area in map.memory_areas() {
        info.add_line(
            area.start_address(),
            area.size(),
            LineKind::from_e820(area.typ().into()),
        )?;
    }
    if info.map.is_empty() {
        return Err(BootError::NoMemoryMap);
    }
    Ok(())
}
