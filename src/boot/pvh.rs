//! The PVH door: `hvm_start_info` of the Xen public headers (`arch-x86/hvm/start_info.h`), as QEMU, Firecracker and Cloud
//! Hypervisor fill it in.

use core::{slice, str};

use super::info::{BootError, BootInfo, COMMAND_LINE_BYTES, IDENTITY_END, Loader, MAP_LINES};
use crate::mm::memory_map::LineKind;

/// The first word of the structure, which the entry code hands on as the door's magic.
pub const MAGIC: u32 = 0x336e_c578;

/// The structure, version 1: version 0 ends before the memory map.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct StartInfo {
    magic: u32,
    version: u32,
    flags: u32,
    module_count: u32,
    module_list: u64,
    command_line: u64,
    rsdp: u64,
    map: u64,
    map_lines: u32,
    reserved: u32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct MapLine {
    base: u64,
    length: u64,
    kind: u32,
    reserved: u32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct Module {
    start: u64,
    bytes: u64,
    command_line: u64,
    reserved: u64,
}

/// The bytes from `address` on as `count` values, if all of them can be reached.
///
/// # Safety
///
/// As for [`read`].
unsafe fn list<'a, T: Copy>(
    what: &'static str,
    address: u64,
    count: usize,
) -> Result<&'a [T], BootError> {
    let bytes = size_of::<T>()
        .checked_mul(count)
        .ok_or(BootError::Malformed(what))? as u64;
    let unreachable = BootError::Unreachable { what, address };
    let end = address.checked_add(bytes).ok_or(unreachable)?;
    if address == 0 || !address.is_multiple_of(align_of::<T>() as u64) || !readable(end) {
        return Err(unreachable);
    }
    // SAFETY: not null, aligned and readable; the loader left values of this shape there, and any bits are one.
    Ok(unsafe { slice::from_raw_parts(address as *const T, count) })
}

/// Whether the boot stretch maps what ends at `end`. Tests on the host build the structures anywhere.
fn readable(end: u64) -> bool {
    cfg!(not(target_os = "none")) || end <= IDENTITY_END
}

/// Reads the structure at physical address `address`.
///
/// # Errors
///
/// What is wrong with it.
///
/// # Safety
///
/// As for [`read`](super::read()).
pub unsafe fn read(address: u64) -> Result<BootInfo, BootError> {
    // SAFETY: the caller's promise.
    let start = unsafe { list::<StartInfo>("PVH start info", address, 1)? }[0];
    if start.magic != MAGIC {
        return Err(BootError::Magic(start.magic));
    }
    if start.version == 0 {
        return Err(BootError::NoMemoryMap);
    }
    let mut info = BootInfo::new(Loader::Pvh);
    info.keep(address, size_of::<StartInfo>() as u64)?;
    if start.command_line != 0 {
        // SAFETY: the caller's promise.
        let text = unsafe { text(start.command_line)? };
        info.set_command_line(text)?;
        info.keep(start.command_line, text.len() as u64 + 1)?;
    }
    if start.rsdp != 0 {
        info.rsdp = Some(crate::mm::address::PhysAddr(start.rsdp));
    }
    let lines = start.map_lines as usize;
    match lines {
        0 => return Err(BootError::NoMemoryMap),
        1..=MAP_LINES => {}
        _ => return Err(BootError::TooManyLines(lines)),
    }
    // SAFETY: the caller's promise.
    for line in unsafe { list::<MapLine>("PVH memory map", start.map, lines)? } {
        info.add_line(line.base, line.length, LineKind::from_e820(line.kind))?;
    }
    info.keep(start.map, (lines * size_of::<MapLine>()) as u64)?;
    let modules = start.module_count as usize;
    if modules != 0 {
        // SAFETY: the caller's promise.
        let list = unsafe { list::<Module>("PVH module list", start.module_list, modules)? };
        info.keep(start.module_list, size_of_val(list) as u64)?;
        for module in list {
            info.keep(module.start, module.bytes)?;
        }
    }
    Ok(info)
}

/// The NUL-ended text at `address`.
///
/// # Safety
///
/// As for [`read`].
unsafe fn text<'a>(address: u64) -> Result<&'a str, BootError> {
    let mut bytes = 0;
    loop {
        // SAFETY: the caller's promise; byte by byte, so that nothing behind the NUL is read.
        let byte = unsafe { list::<u8>("command line", address + bytes as u64, 1)? }[0];
        if byte == 0 {
            break;
        }
        bytes += 1;
        if bytes > COMMAND_LINE_BYTES * 8 {
            return Err(BootError::CommandLineTooLong(bytes));
        }
    }
    // SAFETY: each of the bytes has just been read.
    let text = unsafe { list::<u8>("command line", address, bytes)? };
    str::from_utf8(text).map_err(|_| BootError::CommandLineNotText)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mm::address::PhysAddr;
    use crate::mm::memory_map::Line;
    use std::vec::Vec;

    const LINES: [MapLine; 2] = [
        MapLine {
            base: 0,
            length: 0x9_fc00,
            kind: 1,
            reserved: 0,
        },
        MapLine {
            base: 0xf_0000,
            length: 0x1_0000,
            kind: 2,
            reserved: 0,
        },
    ];

    fn start_info(lines: &[MapLine], command_line: &[u8]) -> StartInfo {
        StartInfo {
            magic: MAGIC,
            version: 1,
            flags: 0,
            module_count: 0,
            module_list: 0,
            command_line: command_line.as_ptr() as u64,
            rsdp: 0xf_52c0,
            map: lines.as_ptr() as u64,
            map_lines: lines.len() as u32,
            reserved: 0,
        }
    }

    fn read_start(start: &StartInfo) -> Result<BootInfo, BootError> {
        // SAFETY: the structures live in the test's own memory.
        unsafe { read(&raw const *start as u64) }
    }

    #[test]
    fn what_qemu_hands_over_is_read() {
        let text = b" suite=full exit=halt\0behind";
        let module = Module {
            start: 0x20_0000,
            bytes: 0x123,
            command_line: 0,
            reserved: 0,
        };
        let start = StartInfo {
            module_count: 1,
            module_list: &raw const module as u64,
            ..start_info(&LINES, text)
        };
        let info = read_start(&start).unwrap();
        assert_eq!(info.loader, Loader::Pvh);
        assert_eq!(&info.command_line, "suite=full exit=halt");
        assert_eq!(info.rsdp, Some(PhysAddr(0xf_52c0)));
        let expected = [
            (0, 0x9_fc00, LineKind::Usable),
            (0xf_0000, 0x1_0000, LineKind::Reserved),
        ]
        .map(|(base, length, kind)| Line { base, length, kind });
        assert_eq!(info.map[..], expected);
        assert!(
            info.loader_ranges
                .contains(&(PhysAddr(0x20_0000)..PhysAddr(0x20_0123)))
        );
        let own = PhysAddr(&raw const start as u64);
        assert!(
            info.loader_ranges.iter().any(|range| range.start == own),
            "start info not kept"
        );
    }

    #[test]
    fn each_malformed_structure_has_its_error() {
        let good = start_info(&LINES, b"\0");
        let long: Vec<u8> = (0..10_000).map(|_| b'x').chain([0]).collect();
        let cases = [
            (StartInfo { magic: 7, ..good }, BootError::Magic(7)),
            (StartInfo { version: 0, ..good }, BootError::NoMemoryMap),
            (
                StartInfo {
                    map_lines: 0,
                    ..good
                },
                BootError::NoMemoryMap,
            ),
            (
                StartInfo {
                    map_lines: 1 << 30,
                    ..good
                },
                BootError::TooManyLines(1 << 30),
            ),
            (
                StartInfo { map: 0, ..good },
                BootError::Unreachable {
                    what: "PVH memory map",
                    address: 0,
                },
            ),
            (
                StartInfo {
                    map: u64::MAX - 7,
                    ..good
                },
                BootError::Unreachable {
                    what: "PVH memory map",
                    address: u64::MAX - 7,
                },
            ),
            (
                StartInfo {
                    module_count: 1,
                    ..good
                },
                BootError::Unreachable {
                    what: "PVH module list",
                    address: 0,
                },
            ),
            (
                StartInfo {
                    command_line: long.as_ptr() as u64,
                    ..good
                },
                BootError::CommandLineTooLong(COMMAND_LINE_BYTES * 8 + 1),
            ),
            (
                StartInfo {
                    command_line: c"\xff".as_ptr() as u64,
                    ..good
                },
                BootError::CommandLineNotText,
            ),
        ];
        for (start, error) in cases {
            assert_eq!(read_start(&start).unwrap_err(), error);
        }
    }
}
