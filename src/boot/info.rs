//! The one form in which everything above the loader knows what the loader said.

use core::fmt;
use core::iter::FusedIterator;
use core::ops::Range;

use arrayvec::{ArrayString, ArrayVec};

use super::framebuffer::{Framebuffer, FramebufferError};
use crate::firmware::acpi::RootPointer;
use crate::firmware::complaints::Complaints;
use crate::mm::address::PhysAddr;
use crate::mm::memory_map::{Line, LineKind};

/// Bytes of command line that are kept; a longer one is an error, as half an option would be a wrong one.
pub const COMMAND_LINE_BYTES: usize = 512;
/// Structures of the loader's that are kept out of free memory: boot information, command line, modules.
pub const LOADER_RANGES: usize = 24;
/// Most lines of a memory map that are believed: firmware gives 10 to a few hundred. What is beyond could only be left out, and with
/// it what is not to be touched.
pub const MAP_LINES: usize = 1 << 16;

/// End of the identity mapping that the readers look through, in bytes.
pub const IDENTITY_END: u64 = 1 << 32;

/// Who started the image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Loader {
    /// A multiboot2 loader, by its own name.
    Multiboot2(ArrayString<48>),
    /// A virtual machine monitor, by the PVH entry.
    Pvh,
}

impl fmt::Display for Loader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Loader::Multiboot2(name) if name.is_empty() => write!(f, "multiboot2"),
            Loader::Multiboot2(name) => write!(f, "multiboot2: {name}"),
            Loader::Pvh => write!(f, "pvh"),
        }
    }
}

/// What the loader said. All but the memory map is copied out of its own memory.
#[derive(Clone, Debug)]
pub struct BootInfo<'m> {
    /// Who says it.
    pub loader: Loader,
    /// The command line, without leading or trailing spaces.
    pub command_line: ArrayString<COMMAND_LINE_BYTES>,
    /// The memory map as it came: unsorted, perhaps overlapping.
    pub map: MapLines<'m>,
    /// Where the ACPI root pointer lies, or copies of it, the best first.
    pub root_pointers: ArrayVec<RootPointer, 2>,
    /// The framebuffer, if the loader set one up, or why it is of no use.
    pub framebuffer: Option<Result<Framebuffer, FramebufferError>>,
    /// Physical memory of the loader's structures, end exclusive.
    pub loader_ranges: ArrayVec<Range<PhysAddr>, LOADER_RANGES>,
    /// What is wrong with it, and costs no more than what it concerns.
    pub complaints: Complaints<BootComplaint>,
}

impl BootInfo<'_> {
    /// Whether any of these bytes is RAM, used or not, rather than a device's registers.
    #[must_use]
    #[inline(never)]
    pub fn has_ram(&self, bytes: &Range<PhysAddr>) -> bool {
        let mut ram = self.map.iter().filter(|line| line.kind.is_ram());
        ram.any(|line| {
            let end = line.base.saturating_add(line.length);
            line.base < bytes.end.0 && bytes.start.0 < end
        })
    }
}

/// The lines of a memory map, read where the loader left them, so that there can be any number of them. Multiboot2 and PVH write
/// them alike: base and length of 64 bits, a kind of 32, and what a later version may add.
#[derive(Clone, Copy, Debug)]
pub struct MapLines<'m> {
    bytes: &'m [u8],
    /// Bytes from one line to the next.
    stride: usize,
}

impl<'m> MapLines<'m> {
    /// Bytes of a line, less what may follow.
    pub(super) const LEAST_STRIDE: usize = 20;

    /// No lines.
    pub(super) const EMPTY: Self = MapLines {
        bytes: &[],
        stride: Self::LEAST_STRIDE,
    };

    /// Lines of `stride` bytes; what is no whole line at the end is none.
    ///
    /// # Errors
    ///
    /// Lines that are too short, none, or too many.
    pub(super) fn new(bytes: &'m [u8], stride: usize) -> Result<Self, BootError> {
        if stride < Self::LEAST_STRIDE {
            return Err(BootError::ShortMapLines(stride));
        }
        match bytes.len() / stride {
            0 => Err(BootError::NoMemoryMap),
            1..=MAP_LINES => Ok(MapLines { bytes, stride }),
            lines => Err(BootError::TooManyLines(lines)),
        }
    }

    /// Each line.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Line> + FusedIterator + Clone + use<'m> {
        self.bytes.chunks_exact(self.stride).map(|line| {
            let word = |at: usize| {
                line[at..]
                    .first_chunk()
                    .map_or(0, |&word| u64::from_le_bytes(word))
            };
            let kind = line[16..]
                .first_chunk()
                .map_or(0, |&word| u32::from_le_bytes(word));
            Line {
                base: word(0),
                length: word(8),
                kind: LineKind::from_e820(kind),
            }
        })
    }
}

/// Why the boot information cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BootError {
    /// The magic value is that of neither boot protocol.
    Magic(u32),
    /// A structure lies where the boot stretch cannot read.
    Unreachable {
        /// Which structure.
        what: &'static str,
        /// Its physical address.
        address: u64,
    },
    /// The boot information is not what its specification says.
    Malformed(&'static str),
    /// The command line is longer than [`COMMAND_LINE_BYTES`].
    CommandLineTooLong(usize),
    /// The command line is not UTF-8.
    CommandLineNotText,
    /// The lines of the memory map have this many bytes, fewer than a line has.
    ShortMapLines(usize),
    /// The memory map has more than [`MAP_LINES`] lines.
    TooManyLines(usize),
    /// There is no memory map at all.
    NoMemoryMap,
}

impl fmt::Display for BootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            BootError::Magic(value) => {
                write!(f, "boot information: unknown magic value {value:#x}")
            }
            BootError::Unreachable { what, address } => {
                write!(
                    f,
                    "boot information: the {what} lies at {address:#x}, out of reach"
                )
            }
            BootError::Malformed(what) => write!(f, "boot information: malformed {what}"),
            BootError::CommandLineTooLong(bytes) => {
                write!(
                    f,
                    "command line: {bytes} bytes, at most {COMMAND_LINE_BYTES} are read"
                )
            }
            BootError::CommandLineNotText => write!(f, "command line: not UTF-8"),
            BootError::ShortMapLines(bytes) => {
                write!(f, "memory map: lines of {bytes} bytes are too short")
            }
            BootError::TooManyLines(lines) => {
                write!(f, "memory map: {lines} lines, at most {MAP_LINES} are read")
            }
            BootError::NoMemoryMap => write!(f, "memory map: the loader gave none"),
        }
    }
}

impl core::error::Error for BootError {}

/// Something that is wrong with the boot information, and what it costs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BootComplaint {
    /// A tag of the multiboot2 information is too short for its kind; it is passed over.
    ShortTag {
        /// What the tag is about.
        what: &'static str,
        /// Its size in bytes.
        size: u32,
    },
    /// A tag's size cannot be: the tags from here on are not read.
    Tag {
        /// Offset of the tag in the information.
        offset: usize,
        /// Its kind.
        kind: u32,
        /// Its size in bytes.
        size: u32,
    },
    /// The information ends without an end tag.
    NoEndTag,
    /// A second tag of a kind that there is one of; the first one counts.
    Repeated(&'static str),
    /// The memory map is no multiple of the stated line size; it is read with another one.
    MapLines {
        /// Bytes of all lines.
        bytes: usize,
        /// What the tag says that a line has.
        stated: u32,
        /// What it is taken to have.
        taken: usize,
    },
    /// The loader's name is not UTF-8; what is no text is left out of it.
    LoaderName,
    /// A module ends before it begins, or beyond all addresses; it is passed over.
    Module {
        /// Its first byte.
        start: u64,
        /// The byte behind its last.
        end: u64,
    },
    /// The list of modules lies where it cannot be read; they are passed over.
    ModuleList {
        /// Where it is said to be.
        address: u64,
        /// How many modules it is said to have.
        modules: u32,
    },
    /// There is no room to keep this memory of the loader's; nothing of it is used by the image.
    NotKept {
        /// Its first byte.
        start: u64,
        /// The byte behind its last.
        end: u64,
    },
}

impl fmt::Display for BootComplaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "boot information: ")?;
        match *self {
            BootComplaint::ShortTag { what, size } => {
                write!(f, "a {what} tag of {size} bytes is too short; not used")
            }
            BootComplaint::Tag { offset, kind, size } => write!(
                f,
                "the tag of type {kind} at offset {offset:#x} has a size of {size}; it and what follows is not read"
            ),
            BootComplaint::NoEndTag => write!(f, "no end tag"),
            BootComplaint::Repeated(what) => write!(f, "a second {what} tag; the first one counts"),
            BootComplaint::MapLines {
                bytes,
                stated,
                taken,
            } => write!(
                f,
                "a memory map of {bytes} bytes has no lines of {stated}; read as lines of {taken}"
            ),
            BootComplaint::LoaderName => write!(f, "the loader's name is not UTF-8"),
            BootComplaint::Module { start, end } => {
                write!(f, "a module from {start:#x} to {end:#x}; passed over")
            }
            BootComplaint::ModuleList { address, modules } => {
                write!(f, "a list of {modules} modules at {address:#x}; not read")
            }
            BootComplaint::NotKept { start, end } => write!(
                f,
                "more than {LOADER_RANGES} modules; the one from {start:#x} to {end:#x} is not kept"
            ),
        }
    }
}

impl BootInfo<'_> {
    pub(super) fn new(loader: Loader) -> Self {
        BootInfo {
            loader,
            command_line: ArrayString::new(),
            map: MapLines::EMPTY,
            root_pointers: ArrayVec::new(),
            framebuffer: None,
            loader_ranges: ArrayVec::new(),
            complaints: Complaints::default(),
        }
    }

    pub(super) fn set_command_line(&mut self, text: &[u8]) -> Result<(), BootError> {
        let text = str::from_utf8(text).map_err(|_| BootError::CommandLineNotText)?;
        let text = text.trim();
        self.command_line =
            ArrayString::from(text).map_err(|_| BootError::CommandLineTooLong(text.len()))?;
        Ok(())
    }

    /// Keeps the bytes from `start` up to `end` out of free memory.
    pub(super) fn keep(&mut self, start: u64, end: u64) {
        if start > end {
            self.complaints.push(BootComplaint::Module { start, end });
        } else if start < end {
            let range = PhysAddr(start)..PhysAddr(end);
            if self.loader_ranges.try_push(range).is_err() {
                self.complaints.push(BootComplaint::NotKept { start, end });
            }
        }
    }
}
