//! The multiboot2 door (Multiboot2 specification 2.0, section 3.6), read by the `multiboot2` crate.

use core::slice;

use arrayvec::ArrayString;
use multiboot2::{
    BootLoaderNameTag, CommandLineTag, DynSizedStructure, FramebufferField, FramebufferTag,
    FramebufferType, MemoryMapTag, ModuleTag, TagHeader, TagType,
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
    if !address.is_multiple_of(8) || address == 0 {
        return Err(BootError::Malformed(what));
    }
    // SAFETY: not null and aligned, and reachable on the machine; the caller promises that the loader left its structure there.
    let total = unsafe { *(address as *const u32) };
    let end = address + u64::from(total);
    if u64::from(total) < TAG_HEADER || cfg!(target_os = "none") && end > IDENTITY_END {
        return Err(BootError::Malformed(what));
    }
    // SAFETY: as above, and all of it is reachable.
    let information = unsafe { slice::from_raw_parts(address as *const u8, total as usize) };

    let mut info = BootInfo::new(Loader::Multiboot2(ArrayString::new()));
    info.keep(address, u64::from(total))?;
    let mut map = None;
    let mut newer_root_pointer = false;
    for tag in Tags(&information[TAG_HEADER as usize..]) {
        let tag = tag?;
        check_size(tag)?;
        match tag.header().typ.into() {
            TagType::Cmdline => {
                let text = tag.cast::<CommandLineTag>().cmdline();
                info.set_command_line(text.map_err(|_| BootError::CommandLineNotText)?)?;
            }
            TagType::BootLoaderName => {
                let text = tag.cast::<BootLoaderNameTag>().name();
                let text = text.map_err(|_| BootError::Malformed("loader name"))?;
                let mut name = ArrayString::new();
                for character in text.chars() {
                    if name.try_push(character).is_err() {
                        break;
                    }
                }
                info.loader = Loader::Multiboot2(name);
            }
            TagType::Module => {
                let module = tag.cast::<ModuleTag>();
                let (start, end) = (module.start_address(), module.end_address());
                let bytes = end
                    .checked_sub(start)
                    .ok_or(BootError::Malformed("module range"))?;
                info.keep(u64::from(start), u64::from(bytes))?;
            }
            TagType::Mmap => map = Some(tag.cast::<MemoryMapTag>()),
            TagType::Framebuffer => info.framebuffer = Some(framebuffer(tag.cast())),
            // The tags embed the root pointer itself; the newer one leads to 64-bit addresses.
            kind @ (TagType::AcpiV1 | TagType::AcpiV2) if !newer_root_pointer => {
                newer_root_pointer = kind == TagType::AcpiV2;
                info.rsdp = Some(PhysAddr(tag.payload().as_ptr() as u64));
            }
            _ => {}
        }
    }
    add_lines(&mut info, map.ok_or(BootError::NoMemoryMap)?)?;
    Ok(info)
}

/// Any tag: its header, and bytes.
type AnyTag = DynSizedStructure<TagHeader>;

/// The tags of the boot information, from its first one to the end tag. Loaders reserve more bytes than they fill (kexec-tools
/// 2.0.25), so what lies behind the end tag is nobody's.
struct Tags<'a>(&'a [u8]);

impl<'a> Iterator for Tags<'a> {
    type Item = Result<&'a AnyTag, BootError>;

    fn next(&mut self) -> Option<Self::Item> {
        const HEADER: usize = TAG_HEADER as usize;
        if self.0.is_empty() {
            return None;
        }
        let rest = core::mem::take(&mut self.0);
        let word = |at: usize| Some(u32::from_le_bytes(*rest.get(at..at + 4)?.first_chunk()?));
        let malformed = Some(Err(BootError::Malformed("multiboot2 information")));
        let (Some(kind), Some(size)) = (word(0), word(4)) else {
            return malformed;
        };
        if kind == TagType::End.val() {
            return None;
        }
        let size = size as usize;
        let padded = size.next_multiple_of(HEADER);
        if size < HEADER || padded > rest.len() {
            return malformed;
        }
        self.0 = &rest[padded..];
        Some(AnyTag::ref_from_slice(&rest[..padded]).map_err(|_| BootError::Malformed("tag")))
    }
}

/// A tag that is read has the size that its kind has to have: the crate takes that for granted.
fn check_size(tag: &AnyTag) -> Result<(), BootError> {
    const LINE: usize = size_of::<multiboot2::MemoryArea>();
    let size = tag.header().size as usize;
    let (what, sane) = match tag.header().typ.into() {
        TagType::Cmdline => ("command line", size > 8),
        TagType::BootLoaderName => ("loader name", size > 8),
        TagType::Module => ("module", size > 16),
        TagType::Mmap => ("memory map", size >= 16 && (size - 16).is_multiple_of(LINE)),
        TagType::Framebuffer => ("framebuffer", framebuffer_is_sane(tag.payload())),
        TagType::AcpiV1 => ("ACPI root pointer", size >= 28),
        TagType::AcpiV2 => ("ACPI root pointer", size >= 44),
        _ => return Ok(()),
    };
    if sane {
        Ok(())
    } else {
        Err(BootError::Malformed(what))
    }
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

    /// As kexec-tools 2.0.25 does it: bytes that are reserved for tags that are then not there.
    #[test]
    fn what_lies_behind_the_end_tag_is_nobodys() {
        let mut words = Information::default()
            .tag(1, b"/pm.elf suite=full\0")
            .map(&LINES)
            .words();
        words.extend([u64::MAX; 5]);
        words[0] += 5 * 8;
        // SAFETY: the structure has the size that it says, and lives in the test's own memory.
        let info = unsafe { read(words.as_ptr() as u64) }.unwrap();
        assert_eq!(info.map.len(), LINES.len());
        assert_eq!(&info.command_line, "/pm.elf suite=full");
        let all = words.len() as u64 * 8;
        assert_eq!(
            info.loader_ranges[0].end.0 - info.loader_ranges[0].start.0,
            all
        );
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
