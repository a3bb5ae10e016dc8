//! The one form in which everything above the loader knows what the loader said.

use core::fmt;
use core::ops::Range;

use arrayvec::{ArrayString, ArrayVec};

use super::framebuffer::{Framebuffer, FramebufferError};
use crate::mm::address::PhysAddr;
use crate::mm::memory_map::{LINES, Line, LineKind};

/// Bytes of command line that are kept; a longer one is an error, as half an option would be a wrong one.
pub const COMMAND_LINE_BYTES: usize = 512;
/// Lines of the loader's memory map that are kept. Firmware gives 10 to 60; more is an error.
pub const MAP_LINES: usize = LINES;
/// Structures of the loader's that have to be kept out of free memory: boot information, command line, modules.
pub const LOADER_RANGES: usize = 24;

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

/// What the loader said, copied out of its own memory.
#[derive(Clone, Debug)]
pub struct BootInfo {
    /// Who says it.
    pub loader: Loader,
    /// The command line, without leading or trailing spaces.
    pub command_line: ArrayString<COMMAND_LINE_BYTES>,
    /// The memory map as it came: unsorted, perhaps overlapping.
    pub map: ArrayVec<Line, MAP_LINES>,
    /// Where the ACPI root pointer lies, or a copy of it.
    pub rsdp: Option<PhysAddr>,
    /// The framebuffer, if the loader set one up, or why it is of no use.
    pub framebuffer: Option<Result<Framebuffer, FramebufferError>>,
    /// Physical memory that the loader still uses for what it told us, end exclusive.
    pub loader_ranges: ArrayVec<Range<PhysAddr>, LOADER_RANGES>,
}

/// Why the boot information cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BootError {
    /// The value that tells the doors apart is neither's.
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
    /// The memory map has more than [`MAP_LINES`] lines.
    TooManyLines(usize),
    /// There is no memory map at all.
    NoMemoryMap,
    /// More modules and structures than [`LOADER_RANGES`].
    TooManyRanges(usize),
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
            BootError::TooManyLines(lines) => {
                write!(f, "memory map: {lines} lines, at most {MAP_LINES} are read")
            }
            BootError::NoMemoryMap => write!(f, "memory map: the loader gave none"),
            BootError::TooManyRanges(ranges) => {
                write!(
                    f,
                    "boot information: {ranges} modules and structures, at most {LOADER_RANGES} are kept"
                )
            }
        }
    }
}

impl core::error::Error for BootError {}

impl BootInfo {
    pub(super) fn new(loader: Loader) -> Self {
        BootInfo {
            loader,
            command_line: ArrayString::new(),
            map: ArrayVec::new(),
            rsdp: None,
            framebuffer: None,
            loader_ranges: ArrayVec::new(),
        }
    }

    pub(super) fn set_command_line(&mut self, text: &str) -> Result<(), BootError> {
        let text = text.trim();
        self.command_line =
            ArrayString::from(text).map_err(|_| BootError::CommandLineTooLong(text.len()))?;
        Ok(())
    }

    pub(super) fn add_line(
        &mut self,
        base: u64,
        length: u64,
        kind: LineKind,
    ) -> Result<(), BootError> {
        self.map
            .try_push(Line { base, length, kind })
            .map_err(|_| BootError::TooManyLines(MAP_LINES + 1))
    }

    /// Keeps `bytes` bytes from `start` out of free memory.
    pub(super) fn keep(&mut self, start: u64, bytes: u64) -> Result<(), BootError> {
        if bytes == 0 {
            return Ok(());
        }
        let end = start
            .checked_add(bytes)
            .ok_or(BootError::Malformed("module range"))?;
        self.loader_ranges
            .try_push(PhysAddr(start)..PhysAddr(end))
            .map_err(|_| BootError::TooManyRanges(LOADER_RANGES + 1))
    }
}
