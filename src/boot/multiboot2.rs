//! The multiboot2 door (Multiboot2 specification 2.0, section 3.6), read by the `multiboot2` crate.

use arrayvec::ArrayString;
use multiboot2::{
    BootInformation, BootInformationHeader, FramebufferField, FramebufferTag, FramebufferType,
    MemoryMapTag, TagType,
};

use super::framebuffer::{Channel, Framebuffer, FramebufferError};
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
/// As for [`read`](super::read()).
pub unsafe fn read(address: u64) -> Result<BootInfo, BootError> {
    let what = "multiboot2 information";
    if cfg!(target_os = "none") && address >= IDENTITY_END {
        return Err(BootError::Unreachable { what, address });
    }
    // SAFETY: the caller's promise; the crate checks alignment, size and the chain of tags.
    let information = unsafe { BootInformation::load(address as *const BootInformationHeader) }
        .map_err(|_| BootError::Malformed(what))?;

    check_sizes(&information)?;

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

    info.framebuffer = information
        .framebuffer_tag()
        .map(|tag| framebuffer(tag.map_err(|_| FramebufferError::NotRgb)?));
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

/// The tags that are read have the size that their kind has to have: the crate takes that for granted.
fn check_sizes(information: &BootInformation<'_>) -> Result<(), BootError> {
    const LINE: usize = size_of::<multiboot2::MemoryArea>();
    for tag in information.tags() {
        let size = tag.header().size as usize;
        let (what, sane) = match tag.header().typ.into() {
            TagType::Cmdline => ("command line", size > 8),
            TagType::BootLoaderName => ("loader name", size > 8),
            TagType::Module => ("module", size > 16),
            TagType::Mmap => ("memory map", size >= 16 && (size - 16).is_multiple_of(LINE)),
            TagType::Framebuffer => ("framebuffer", framebuffer_is_sane(tag.payload())),
            TagType::AcpiV1 => ("ACPI root pointer", size == 28),
            TagType::AcpiV2 => ("ACPI root pointer", size == 44),
            _ => continue,
        };
        if !sane {
            return Err(BootError::Malformed(what));
        }
    }
    Ok(())
}

/// Whether a framebuffer's tag has all that its kind, byte 21, has to have (section 3.6.12): six bytes of colour fields, or a
/// palette of the size in front of it.
fn framebuffer_is_sane(content: &[u8]) -> bool {
    const KIND: usize = 21;
    const COLOURS: usize = 24;
    let (Some(kind), Some(colours)) = (content.get(KIND), content.get(COLOURS..)) else {
        return false;
    };
    match (kind, colours) {
        (0, &[low, high, ref palette @ ..]) => {
            palette.len() >= 3 * usize::from(u16::from_le_bytes([low, high]))
        }
        (0, _) => false,
        (1, colours) => colours.len() >= 6,
        _ => true,
    }
}

fn framebuffer(tag: &FramebufferTag) -> Result<Framebuffer, FramebufferError> {
    let Ok(FramebufferType::RGB { red, green, blue }) = tag.buffer_type() else {
        return Err(FramebufferError::NotRgb);
    };
    let channel = |field: FramebufferField| Channel {
        position: field.position,
        bits: field.size,
    };
    Framebuffer::new(
        PhysAddr(tag.address()),
        [tag.width(), tag.height()],
        tag.bpp(),
        tag.pitch(),
        [red, green, blue].map(channel),
    )
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mm::memory_map::Line;
    use proptest::prelude::*;
    use std::vec::Vec;

    /// Boot information as a loader builds it: tags behind one another, each padded to 8 bytes.
    #[derive(Default)]
    struct Information(Vec<u64>);

    impl Information {
        fn tag(mut self, kind: u32, content: &[u8]) -> Self {
            let mut bytes = Vec::new();
            bytes.extend(kind.to_le_bytes());
            bytes.extend((TAG_HEADER as u32 + content.len() as u32).to_le_bytes());
            bytes.extend(content);
            bytes.resize(bytes.len().next_multiple_of(8), 0);
            self.0.extend(
                bytes
                    .chunks(8)
                    .map(|word| u64::from_le_bytes(word.try_into().unwrap())),
            );
            self
        }

        fn map(self, lines: &[(u64, u64, u32)]) -> Self {
            let mut content = [24u32, 0].map(u32::to_le_bytes).concat();
            for &(base, length, kind) in lines {
                content.extend(base.to_le_bytes());
                content.extend(length.to_le_bytes());
                content.extend([kind, 0].map(u32::to_le_bytes).concat());
            }
            self.tag(6, &content)
        }

        /// The whole structure: the total size in front, the end tag behind.
        fn words(self) -> Vec<u64> {
            let mut words = self.tag(0, &[]).0;
            words.insert(0, (words.len() as u64 + 1) * 8);
            words
        }

        fn read(self) -> Result<BootInfo, BootError> {
            // SAFETY: the structure has the size that it says, and lives in the test's own memory.
            unsafe { read(self.words().as_ptr() as u64) }
        }
    }

    const LINES: [(u64, u64, u32); 2] = [(0, 0x9_fc00, 1), (0x7fe_0000, 0x2_0000, 3)];

    #[test]
    fn what_grub_hands_over_is_read() {
        let rsdp = [b"RSD PTR ".as_slice(), &[0; 12]].concat();
        let module = [0x20_0000u32, 0x20_0123].map(u32::to_le_bytes).concat();
        let info = Information::default()
            .tag(1, b"suite=full\0")
            .tag(2, b"GRUB 2.06\0")
            .tag(3, &[module, b"name\0".to_vec()].concat())
            .map(&LINES)
            .tag(14, &rsdp)
            .read()
            .unwrap();
        assert_eq!(
            info.loader,
            Loader::Multiboot2(ArrayString::from("GRUB 2.06").unwrap())
        );
        assert_eq!(&info.command_line, "suite=full");
        let kinds = [LineKind::Usable, LineKind::AcpiReclaimable];
        let expected = [0, 1].map(|at| Line {
            base: LINES[at].0,
            length: LINES[at].1,
            kind: kinds[at],
        });
        assert_eq!(info.map[..], expected);
        assert!(
            info.loader_ranges
                .contains(&(PhysAddr(0x20_0000)..PhysAddr(0x20_0123)))
        );
        assert!(
            info.rsdp
                .is_some_and(|copy| info.loader_ranges[0].contains(&copy))
        );
    }

    #[test]
    fn each_malformed_structure_has_its_error() {
        assert_eq!(
            Information::default().read().unwrap_err(),
            BootError::NoMemoryMap
        );
        assert_eq!(
            Information::default().map(&[]).read().unwrap_err(),
            BootError::NoMemoryMap
        );
        let backwards = [0x20_0123u32, 0x20_0000].map(u32::to_le_bytes).concat();
        let result = Information::default()
            .map(&LINES)
            .tag(3, &[backwards, b"\0".to_vec()].concat())
            .read();
        assert_eq!(result.unwrap_err(), BootError::Malformed("module range"));
        let result = Information::default().map(&LINES).tag(1, b"\xff\0").read();
        assert_eq!(result.unwrap_err(), BootError::CommandLineNotText);
        let long = [b'x'; 600];
        let result = Information::default()
            .map(&LINES)
            .tag(1, &[&long[..], b"\0"].concat())
            .read();
        assert_eq!(result.unwrap_err(), BootError::CommandLineTooLong(600));
        let wide = [40u32, 0].map(u32::to_le_bytes).concat();
        let result = Information::default().tag(6, &wide).read();
        assert_eq!(result.unwrap_err(), BootError::Malformed("memory map"));
    }

    proptest! {
        /// Whatever a loader writes into its tags, reading them ends, and not in a panic.
        #[test]
        fn damaged_tags_never_panic(damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
            let module = [0x20_0000u32, 0x20_0123].map(u32::to_le_bytes).concat();
            let information = Information::default()
                .tag(1, b"suite=full\0")
                .tag(2, b"GRUB\0")
                .tag(3, &[module, b"name\0".to_vec()].concat())
                .map(&LINES)
                .tag(14, &[0; 20]);
            let mut words = information.words();
            for (at, value) in damage {
                // The total size stays, so that no byte outside of the structure is read.
                let at = 8 + at.index(words.len() * 8 - 8);
                words[at / 8] = words[at / 8] & !(0xff << (at % 8 * 8)) | u64::from(value) << (at % 8 * 8);
            }
            // SAFETY: the structure has the size that it says, and lives in the test's own memory.
            let _ = unsafe { read(words.as_ptr() as u64) };
        }
    }
}
