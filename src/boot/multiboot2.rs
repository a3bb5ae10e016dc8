//! The multiboot2 door (Multiboot2 specification 2.0, section 3.6).
//!
//! The tags are the `multiboot2` crate's where it can read them; it panics on tags that are shorter than their kind, takes
//! information with slack behind its end tag for malformed, and reads lines of one size only. So the walk over the tags is ours, and
//! a size is looked at before the crate sees a tag.

use arrayvec::ArrayString;
use multiboot2::{
    DynSizedStructure, FramebufferField, FramebufferTag, FramebufferType, ModuleTag, TagHeader,
    TagType,
};

use super::framebuffer::{Channel, Framebuffer, FramebufferError};
use super::info::{BootComplaint, BootError, BootInfo, Loader, MapLines};
use crate::firmware::acpi::RootPointer;
use crate::firmware::physical::ReadPhysical;
use crate::mm::address::PhysAddr;

/// What a multiboot2 loader leaves in EAX.
pub const MAGIC: u32 = multiboot2::MAGIC;

/// Bytes in front of the tags, and of a tag before its content; also what both are aligned to.
const HEADER: usize = 8;

/// Any tag: its header, and bytes.
type AnyTag = DynSizedStructure<TagHeader>;

/// Reads the boot information at physical address `address`.
///
/// # Errors
///
/// What makes a run impossible; what does not is a complaint.
pub fn read<M: ReadPhysical>(memory: &M, address: u64) -> Result<BootInfo<'_>, BootError> {
    let what = "multiboot2 information";
    let unreachable = BootError::Unreachable { what, address };
    let start = PhysAddr(address);
    let head = memory.array(start).ok_or(unreachable)?;
    let total = u32::from_le_bytes(head) as usize;
    if total < HEADER || !address.is_multiple_of(HEADER as u64) {
        return Err(BootError::Malformed(what));
    }
    let information = memory.bytes(start, total).ok_or(unreachable)?;

    let mut info = BootInfo::new(Loader::Multiboot2(ArrayString::new()));
    info.keep(address, address + total as u64);
    let mut seen = Seen::default();
    let mut tags = Tags::of(information);
    while let Some((offset, tag)) = tags.next(&mut info) {
        read_tag(&mut info, &mut seen, address + offset as u64, tag)?;
    }
    info.map = seen.map.ok_or(BootError::NoMemoryMap)?;
    // The newer one leads to 64-bit addresses.
    info.root_pointers = [seen.newer_root, seen.older_root]
        .into_iter()
        .flatten()
        .collect();
    Ok(info)
}

/// What there is one of.
#[derive(Default)]
struct Seen<'m> {
    map: Option<MapLines<'m>>,
    command_line: bool,
    newer_root: Option<RootPointer>,
    older_root: Option<RootPointer>,
}

/// Reads a tag that lies at physical address `address`.
fn read_tag<'m>(
    info: &mut BootInfo<'m>,
    seen: &mut Seen<'m>,
    address: u64,
    tag: &'m AnyTag,
) -> Result<(), BootError> {
    let kind = TagType::from(tag.header().typ);
    let (what, needed) = match kind {
        TagType::Cmdline => ("command line", 0),
        TagType::BootLoaderName => ("loader name", 0),
        TagType::Module => ("module", 8),
        TagType::Mmap => ("memory map", 8),
        TagType::Framebuffer => ("framebuffer", 24),
        TagType::AcpiV1 | TagType::AcpiV2 => ("ACPI root pointer", 20),
        _ => return Ok(()),
    };
    let content = tag.payload();
    let short = BootComplaint::ShortTag {
        what,
        size: tag.header().size,
    };
    let no_screen = Some(Err(FramebufferError::ShortTag(tag.header().size)));
    let is_repeated = match kind {
        TagType::Cmdline => core::mem::replace(&mut seen.command_line, true),
        TagType::Mmap => seen.map.is_some(),
        TagType::Framebuffer => info.framebuffer.is_some(),
        TagType::AcpiV1 => seen.older_root.is_some(),
        TagType::AcpiV2 => seen.newer_root.is_some(),
        _ => false,
    };
    if is_repeated {
        info.complaints.push(BootComplaint::Repeated(what));
        return Ok(());
    }
    if content.len() < needed {
        match kind {
            TagType::Framebuffer => info.framebuffer = no_screen,
            _ => info.complaints.push(short),
        }
        return Ok(());
    }
    match kind {
        TagType::Cmdline => info.set_command_line(up_to_nul(content))?,
        TagType::BootLoaderName => {
            let mut name = ArrayString::new();
            for part in up_to_nul(content).utf8_chunks() {
                for character in part.valid().chars() {
                    let _ = name.try_push(character);
                }
                if !part.invalid().is_empty() {
                    info.complaints.push(BootComplaint::LoaderName);
                }
            }
            info.loader = Loader::Multiboot2(name);
        }
        // The crate's tag has a text behind the two addresses, and may not be shorter than one without any.
        TagType::Module => {
            let module = tag.cast::<ModuleTag>();
            info.keep(module.start_address().into(), module.end_address().into());
        }
        TagType::Mmap => {
            let [size, _version] = [0, 4].map(|at| {
                let word = content[at..].first_chunk();
                word.map_or(0, |&word| u32::from_le_bytes(word))
            });
            let lines = &content[8..];
            let stride = stride(lines.len(), size as usize);
            if !lines.len().is_multiple_of(size.max(1) as usize) || stride != size as usize {
                info.complaints.push(BootComplaint::MapLines {
                    bytes: lines.len(),
                    stated: size,
                    taken: stride,
                });
            }
            seen.map = Some(MapLines::new(lines, stride)?);
        }
        TagType::Framebuffer => {
            info.framebuffer = if framebuffer_is_whole(content) {
                Some(framebuffer(tag.cast()))
            } else {
                no_screen
            };
        }
        // The tags have a copy of the root pointer in them.
        _ => {
            let copy = Some(RootPointer {
                address: PhysAddr(address + HEADER as u64),
                bytes: content.len(),
            });
            match kind {
                TagType::AcpiV2 => seen.newer_root = copy,
                _ => seen.older_root = copy,
            }
        }
    }
    Ok(())
}

/// The tags of the boot information, from its first one to the end tag. Loaders reserve more bytes than they fill (kexec-tools
/// 2.0.25), so what lies behind the end tag is nobody's.
struct Tags<'m> {
    information: &'m [u8],
    offset: usize,
}

impl<'m> Tags<'m> {
    fn of(information: &'m [u8]) -> Self {
        Tags {
            information,
            offset: HEADER,
        }
    }

    /// The next tag and its offset; `None` at the end, or where they end too early, which is a complaint.
    fn next(&mut self, info: &mut BootInfo<'_>) -> Option<(usize, &'m AnyTag)> {
        let offset = self.offset;
        let rest = self.information.get(offset..).unwrap_or(&[]);
        let Some((kind, size)) = rest.split_first_chunk().and_then(|(&kind, rest)| {
            let size = *rest.first_chunk()?;
            Some((u32::from_le_bytes(kind), u32::from_le_bytes(size)))
        }) else {
            info.complaints.push(BootComplaint::NoEndTag);
            return None;
        };
        if kind == TagType::End.val() {
            return None;
        }
        let padded = (size as usize).next_multiple_of(HEADER);
        let tag = rest
            .get(..padded)
            .filter(|_| size as usize >= HEADER)
            .and_then(|bytes| AnyTag::ref_from_slice(bytes).ok());
        if tag.is_none() {
            info.complaints
                .push(BootComplaint::Tag { offset, kind, size });
        }
        self.offset += padded;
        Some((offset, tag?))
    }
}

/// How far the lines of a map of so many bytes are apart: as stated, if that can be; else as in the specification's first version or in
/// its second, whichever fits.
fn stride(bytes: usize, stated: usize) -> usize {
    let fits = |&stride: &usize| stride >= MapLines::LEAST_STRIDE && bytes.is_multiple_of(stride);
    [stated, 24, 20].into_iter().find(fits).unwrap_or(stated)
}

/// The bytes in front of the first NUL, or all.
fn up_to_nul(text: &[u8]) -> &[u8] {
    text.split(|&byte| byte == 0).next().unwrap_or(text)
}

/// Whether a framebuffer's tag has all that its kind, byte 21, has to have (section 3.6.12): six bytes of colour fields, or a
/// palette of the size in front of it.
fn framebuffer_is_whole(content: &[u8]) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firmware::physical::Pieces;
    use crate::mm::memory_map::{Line, LineKind};
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    const AT: u64 = 0x10_0000;

    /// Boot information as a loader builds it: tags behind one another, each padded to 8 bytes.
    #[derive(Clone, Default)]
    struct Information(Vec<u8>);

    impl Information {
        fn tag(mut self, kind: u32, content: &[u8]) -> Self {
            self.0.extend(kind.to_le_bytes());
            self.0
                .extend((HEADER as u32 + content.len() as u32).to_le_bytes());
            self.0.extend(content);
            self.0.resize(self.0.len().next_multiple_of(HEADER), 0);
            self
        }

        fn map(self, lines: &[(u64, u64, u32)]) -> Self {
            self.lines(24, lines)
        }

        /// Lines of `stride` bytes.
        fn lines(self, stride: usize, lines: &[(u64, u64, u32)]) -> Self {
            let mut content = [stride as u32, 0].map(u32::to_le_bytes).concat();
            for &(base, length, kind) in lines {
                let start = content.len();
                content.extend(base.to_le_bytes());
                content.extend(length.to_le_bytes());
                content.extend(kind.to_le_bytes());
                content.resize(start + stride, 0xa5);
            }
            self.tag(6, &content)
        }

        /// The whole structure: the total size in front, the end tag behind.
        fn whole(self) -> Vec<u8> {
            let tags = self.tag(0, &[]).0;
            let total = HEADER as u32 + tags.len() as u32;
            [&total.to_le_bytes()[..], &[0; 4], &tags].concat()
        }

        fn memory(self) -> Pieces {
            in_memory(self.whole())
        }
    }

    fn in_memory(information: Vec<u8>) -> Pieces {
        let mut memory = Pieces::default();
        memory.put(AT, information);
        memory
    }

    const LINES: [(u64, u64, u32); 2] = [(0, 0x9_fc00, 1), (0x7fe_0000, 0x2_0000, 3)];

    fn lines() -> [Line; 2] {
        let kinds = [LineKind::Usable, LineKind::AcpiReclaimable];
        [0, 1].map(|at| Line {
            base: LINES[at].0,
            length: LINES[at].1,
            kind: kinds[at],
        })
    }

    /// A framebuffer of 1024 by 768 pixels of 32 bits.
    fn screen() -> Vec<u8> {
        let mut content = 0xfd00_0000u64.to_le_bytes().to_vec();
        content.extend([4096u32, 1024, 768].map(u32::to_le_bytes).concat());
        content.extend([32, 1, 0, 0, 16, 8, 8, 8, 0, 8]);
        content
    }

    fn module(start: u32, end: u32) -> Vec<u8> {
        let mut content = [start, end].map(u32::to_le_bytes).concat();
        content.extend(b"name\0");
        content
    }

    /// All that a loader may say.
    fn everything() -> Information {
        Information::default()
            .tag(1, b"suite=full\0")
            .tag(2, b"GRUB 2.06\0")
            .tag(3, &module(0x20_0000, 0x20_0123))
            .map(&LINES)
            .tag(8, &screen())
            .tag(14, &[1; 20])
            .tag(15, &[2; 36])
            .tag(99, &[])
    }

    #[test]
    fn what_grub_hands_over_is_read() {
        let memory = everything().memory();
        let info = read(&memory, AT).unwrap();
        assert_eq!(
            info.loader,
            Loader::Multiboot2(ArrayString::from("GRUB 2.06").unwrap())
        );
        assert_eq!(&info.command_line, "suite=full");
        assert_eq!(info.map.iter().collect::<Vec<_>>(), lines());
        assert!(
            info.loader_ranges
                .contains(&(PhysAddr(0x20_0000)..PhysAddr(0x20_0123)))
        );
        assert!(matches!(info.framebuffer, Some(Ok(_))));
        // The newer copy of the root pointer first, each with as many bytes as the tag has.
        let copies = info.root_pointers.iter().map(|copy| {
            assert!(info.loader_ranges[0].contains(&copy.address));
            (copy.bytes, memory.array(copy.address))
        });
        assert_eq!(
            copies.collect::<Vec<_>>(),
            [(36, Some([2])), (20, Some([1]))]
        );
        assert_eq!(info.complaints.kept(), []);
    }

    /// As kexec-tools 2.0.25 does it: bytes that are reserved for tags that are then not there.
    #[test]
    fn what_lies_behind_the_end_tag_is_nobodys() {
        let mut bytes = everything().whole();
        bytes.extend([0xff; 40]);
        let total = bytes.len() as u32;
        bytes[..4].copy_from_slice(&total.to_le_bytes());
        let memory = in_memory(bytes);
        let info = read(&memory, AT).unwrap();
        assert_eq!(info.map.iter().len(), LINES.len());
        assert_eq!(
            info.loader_ranges[0],
            PhysAddr(AT)..PhysAddr(AT + u64::from(total))
        );
        assert_eq!(info.complaints.kept(), []);
    }

    #[test]
    fn what_makes_a_run_impossible_is_an_error() {
        let error = |information: Information| read(&information.memory(), AT).err();
        let none = Some(BootError::NoMemoryMap);
        assert_eq!(error(Information::default()), none);
        assert_eq!(error(Information::default().map(&[])), none);
        assert_eq!(error(Information::default().tag(6, &[24, 0, 0])), none);
        let line = |stride| Information::default().lines(stride, &LINES[..1]);
        assert_eq!(error(line(16)), Some(BootError::ShortMapLines(16)));
        assert_eq!(error(line(20)), None);
        let text = |text: &[u8]| Information::default().map(&LINES).tag(1, text);
        assert_eq!(error(text(b"\xff\0")), Some(BootError::CommandLineNotText));
        assert_eq!(
            error(text(&[b'x'; 600])),
            Some(BootError::CommandLineTooLong(600))
        );
        let what = "multiboot2 information";
        for address in [0, AT + 0x1_0000, u64::MAX - 7] {
            let unreachable = BootError::Unreachable { what, address };
            assert_eq!(
                read(&everything().memory(), address).err(),
                Some(unreachable)
            );
        }
        let malformed = Some(BootError::Malformed(what));
        assert_eq!(read(&in_memory(vec![7, 0, 0, 0]), AT).err(), malformed);
        let mut shifted = Pieces::default();
        shifted.put(AT, [vec![0; 4], everything().whole()].concat());
        assert_eq!(read(&shifted, AT + 4).err(), malformed);
    }

    /// What is wrong with a tag costs what the tag is about.
    #[test]
    fn a_broken_tag_costs_what_it_is_about() {
        let check = |information: Information, complaints: &[BootComplaint]| {
            let memory = information.memory();
            let info = read(&memory, AT).unwrap();
            assert_eq!(info.complaints.kept(), complaints);
            assert_eq!(info.map.iter().collect::<Vec<_>>(), lines());
            (
                info.framebuffer,
                info.root_pointers.len(),
                info.loader_ranges.len(),
            )
        };
        let map = || Information::default().map(&LINES);
        let short = |what, size| BootComplaint::ShortTag { what, size };

        let screen = screen();
        for length in 0..screen.len() {
            let size = HEADER as u32 + length as u32;
            let (framebuffer, ..) = check(map().tag(8, &screen[..length]), &[]);
            assert_eq!(framebuffer, Some(Err(FramebufferError::ShortTag(size))));
        }
        // A palette that is longer than its tag.
        let mut palette = screen.clone();
        palette[21..26].copy_from_slice(&[0, 0, 0, 0xff, 0xff]);
        let (framebuffer, ..) = check(map().tag(8, &palette), &[]);
        assert_eq!(framebuffer, Some(Err(FramebufferError::ShortTag(38))));

        for length in 0..8 {
            let tag = map().tag(3, &module(0, 1)[..length]);
            check(tag, &[short("module", HEADER as u32 + length as u32)]);
        }
        check(map().tag(3, &module(0, 1)[..8]), &[]);
        let backwards = BootComplaint::Module {
            start: 0x20_0123,
            end: 0x20_0000,
        };
        let (.., ranges) = check(map().tag(3, &module(0x20_0123, 0x20_0000)), &[backwards]);
        assert_eq!(ranges, 1);
        let many = (0..30).fold(map(), |tags, number| {
            tags.tag(3, &module(number, number + 1))
        });
        let memory = many.memory();
        assert_eq!(read(&memory, AT).unwrap().complaints.kept().len(), 7);

        let (_, pointers, _) = check(map().tag(15, &[0; 19]), &[short("ACPI root pointer", 27)]);
        assert_eq!(pointers, 0);
        let (_, pointers, _) = check(map().tag(15, &[0; 40]).tag(14, &[0; 24]), &[]);
        assert_eq!(pointers, 2);

        check(
            map().tag(2, b"\xff\xfeGRUB\0"),
            &[BootComplaint::LoaderName; 2],
        );
        check(map().tag(2, b"").tag(1, b""), &[]);
        let second = BootComplaint::Repeated;
        check(map().map(&LINES[..1]), &[second("memory map")]);
        check(
            map().tag(1, b"\0").tag(1, b"suite=full\0"),
            &[second("command line")],
        );
    }

    #[test]
    fn lines_of_every_size_are_read_and_a_wrong_size_is_corrected() {
        for stride in 20..48 {
            let memory = Information::default().lines(stride, &LINES).memory();
            let info = read(&memory, AT).unwrap();
            assert_eq!(info.map.iter().collect::<Vec<_>>(), lines(), "{stride}");
            assert_eq!(info.complaints.kept(), []);
        }
        for (is, stated) in [
            (24, 20),
            (24, 0),
            (24, 19),
            (24, 23),
            (24, u32::MAX),
            (20, 24),
            (20, 7),
        ] {
            let mut bytes = Information::default().lines(is, &LINES).whole();
            // Behind the total size, and the tag's type and size.
            bytes[16..20].copy_from_slice(&stated.to_le_bytes());
            let memory = in_memory(bytes);
            let info = read(&memory, AT).unwrap();
            assert_eq!(info.map.iter().collect::<Vec<_>>(), lines(), "{stated}");
            let (bytes, taken) = (2 * is, is);
            let complaint = BootComplaint::MapLines {
                bytes,
                stated,
                taken,
            };
            assert_eq!(info.complaints.kept(), [complaint]);
        }
    }

    #[test]
    fn tags_are_read_up_to_one_whose_size_cannot_be() {
        let good = Information::default().map(&LINES).whole();
        let end = good.len() - 8;
        for (kind, size) in [(1, 0), (1, 7), (1, 17), (6, u32::MAX)] {
            let mut bytes = good.clone();
            bytes[end..].copy_from_slice(&[kind, size].map(u32::to_le_bytes).concat());
            let memory = in_memory(bytes);
            let info = read(&memory, AT).unwrap();
            let offset = end;
            assert_eq!(
                info.complaints.kept(),
                [BootComplaint::Tag { offset, kind, size }]
            );
            assert_eq!(info.map.iter().collect::<Vec<_>>(), lines());
        }
        for left in [0, 4] {
            let mut bytes = good[..end + left].to_vec();
            bytes[..4].copy_from_slice(&((end + left) as u32).to_le_bytes());
            let memory = in_memory(bytes);
            let info = read(&memory, AT).unwrap();
            assert_eq!(info.complaints.kept(), [BootComplaint::NoEndTag]);
        }
    }

    proptest! {
        /// Whatever a loader writes into its tags, reading them ends, and not in a panic.
        #[test]
        fn damaged_tags_never_panic(damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
            let mut bytes = everything().whole();
            for (at, value) in damage {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            let memory = in_memory(bytes);
            if let Ok(info) = read(&memory, AT) {
                prop_assert!(info.map.iter().len() > 0);
            }
        }
    }
}
