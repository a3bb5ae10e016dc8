//! The multiboot2 door (Multiboot2 specification 2.0, section 3.6).
//!
//! The tags are the `multiboot2` crate's where it can read them; it panics on tags that are shorter than their kind, takes
//! information with slack behind its end tag for malformed, and reads lines of one size only. So the walk over the tags is ours, and
//! a size is looked at before the crate sees a tag.

mod tags;
#[cfg(test)]
mod tests;

use arrayvec::ArrayString;
use multiboot2::{FramebufferField, FramebufferTag, FramebufferType, ModuleTag, TagType};

use self::tags::{AnyTag, HEADER, Tags};
use super::framebuffer::{Channel, Framebuffer, FramebufferError};
use super::info::{BootComplaint, BootError, BootInfo, Loader, MapLines};
use crate::firmware::acpi::RootPointer;
use crate::firmware::physical::ReadPhysical;
use crate::mm::address::PhysAddr;

/// What a multiboot2 loader leaves in EAX.
pub const MAGIC: u32 = multiboot2::MAGIC;

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

impl Seen<'_> {
    /// Whether there was a tag of this kind before, of which there is one. A command line is noted as seen.
    fn twice(&mut self, kind: TagType, info: &BootInfo<'_>) -> bool {
        match kind {
            TagType::Cmdline => core::mem::replace(&mut self.command_line, true),
            TagType::Mmap => self.map.is_some(),
            TagType::Framebuffer => info.framebuffer.is_some(),
            TagType::AcpiV1 => self.older_root.is_some(),
            TagType::AcpiV2 => self.newer_root.is_some(),
            _ => false,
        }
    }
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
    if seen.twice(kind, info) {
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
        TagType::BootLoaderName => read_loader_name(info, content),
        // The crate's tag has a text behind the two addresses, and may not be shorter than one without any.
        TagType::Module => {
            let module = tag.cast::<ModuleTag>();
            info.keep(module.start_address().into(), module.end_address().into());
        }
        TagType::Mmap => seen.map = Some(read_map(info, content)?),
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

/// Keeps as much of the loader's name as there is room for.
fn read_loader_name(info: &mut BootInfo<'_>, content: &[u8]) {
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

/// The lines of the memory map in a tag of 8 bytes or more.
fn read_map<'m>(info: &mut BootInfo<'m>, content: &'m [u8]) -> Result<MapLines<'m>, BootError> {
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
    MapLines::new(lines, stride)
}

/// The distance between lines of a map of `bytes` bytes: as stated, if `bytes` is a multiple of it; else that of the specification's
/// first or second version, if it fits.
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
