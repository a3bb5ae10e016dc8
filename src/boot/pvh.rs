//! The PVH door: `hvm_start_info` of the Xen public headers (`arch-x86/hvm/start_info.h`), as QEMU, Firecracker and Cloud
//! Hypervisor fill it in.
//!
//! ```text
//!  0  magic, version, flags, number of modules     32 bits each
//! 16  addresses of the module list, the command line and the ACPI root pointer
//! 40  address of the memory map, number of its lines (version 1 and later)
//! ```

use super::info::{
    BootComplaint, BootError, BootInfo, COMMAND_LINE_BYTES, Loader, MAP_LINES, MapLines,
};
use crate::firmware::acpi::RootPointer;
use crate::firmware::physical::ReadPhysical;
use crate::mm::address::PhysAddr;

/// The first word of the structure, which the entry code hands on as the door's magic.
pub const MAGIC: u32 = 0x336e_c578;

/// Bytes of the structure in version 0, which ends before the memory map, and in version 1.
const BYTES: [usize; 2] = [40, 56];
/// Bytes of a line of the memory map, and of a module.
const LINE: usize = 24;
const MODULE: usize = 32;
/// Most modules that are believed.
const MODULES: u32 = 1024;

/// Reads the structure at physical address `address`.
///
/// # Errors
///
/// What makes a run impossible; what does not is a complaint.
pub fn read<M: ReadPhysical>(memory: &M, address: u64) -> Result<BootInfo<'_>, BootError> {
    let bytes = |what, address: u64, length| {
        (address != 0)
            .then(|| memory.bytes(PhysAddr(address), length))
            .flatten()
            .ok_or(BootError::Unreachable { what, address })
    };
    let start = bytes("PVH start info", address, BYTES[0])?;
    let [magic, version, _flags, modules] = words(start);
    if magic != MAGIC {
        return Err(BootError::Magic(magic));
    }
    if version == 0 {
        return Err(BootError::NoMemoryMap);
    }
    let start = bytes("PVH start info", address, BYTES[1])?;
    let [module_list, command_line, root_pointer, map] = addresses(&start[16..]);
    let [lines] = words(&start[48..]);

    let mut info = BootInfo::new(Loader::Pvh);
    info.keep(address, address + BYTES[1] as u64);
    if command_line != 0 {
        let text = text(memory, command_line)?;
        info.set_command_line(text)?;
        info.keep(command_line, command_line + text.len() as u64 + 1);
    }
    if root_pointer != 0 {
        let root_pointer = RootPointer::at(PhysAddr(root_pointer));
        info.root_pointers.push(root_pointer);
    }
    let lines = lines as usize;
    match lines {
        0 => return Err(BootError::NoMemoryMap),
        1..=MAP_LINES => {}
        _ => return Err(BootError::TooManyLines(lines)),
    }
    info.map = MapLines::new(bytes("PVH memory map", map, lines * LINE)?, LINE)?;
    info.keep(map, map + (lines * LINE) as u64);
    if modules != 0 {
        let list = bytes("PVH module list", module_list, modules as usize * MODULE);
        match list {
            Ok(list) if modules <= MODULES => {
                info.keep(module_list, module_list + list.len() as u64);
                for module in list.chunks_exact(MODULE) {
                    let [start, bytes] = addresses(module);
                    match start.checked_add(bytes) {
                        Some(end) => info.keep(start, end),
                        None => info.complaints.push(BootComplaint::Module {
                            start,
                            end: start.wrapping_add(bytes),
                        }),
                    }
                }
            }
            _ => info.complaints.push(BootComplaint::ModuleList {
                address: module_list,
                modules,
            }),
        }
    }
    Ok(info)
}

/// The first words of 32 bits; 0 for what is not there.
fn words<const N: usize>(bytes: &[u8]) -> [u32; N] {
    let mut words = bytes.as_chunks().0.iter().copied().map(u32::from_le_bytes);
    [(); N].map(|()| words.next().unwrap_or(0))
}

/// The first words of 64 bits; 0 for what is not there.
fn addresses<const N: usize>(bytes: &[u8]) -> [u64; N] {
    let mut words = bytes.as_chunks().0.iter().copied().map(u64::from_le_bytes);
    [(); N].map(|()| words.next().unwrap_or(0))
}

/// The NUL-ended text at `address`, without its end.
fn text<M: ReadPhysical>(memory: &M, address: u64) -> Result<&[u8], BootError> {
    const LONGEST: usize = COMMAND_LINE_BYTES * 8;
    let what = "command line";
    let unreachable = BootError::Unreachable { what, address };
    for length in 0..=LONGEST {
        let at = address.checked_add(length as u64).ok_or(unreachable)?;
        // Byte by byte, so that nothing behind the end is read.
        if memory.array(PhysAddr(at)).ok_or(unreachable)? == [0u8] {
            return memory.bytes(PhysAddr(address), length).ok_or(unreachable);
        }
    }
    Err(BootError::CommandLineTooLong(LONGEST + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firmware::physical::Pieces;
    use crate::mm::memory_map::{Line, LineKind};
    use std::vec;
    use std::vec::Vec;

    const START: u64 = 0x1000;
    const TEXT: u64 = 0x2000;
    const MAP: u64 = 0x3000;
    const MODULE_LIST: u64 = 0x4000;

    /// What QEMU hands over, each part of which a test may change.
    #[derive(Clone)]
    struct Handover {
        words: [u32; 4],
        addresses: [u64; 4],
        lines: u32,
        text: Vec<u8>,
        map: Vec<u8>,
        modules: Vec<u64>,
    }

    impl Handover {
        fn new() -> Self {
            let lines: [(u64, u64, u64); 2] = [(0, 0x9_fc00, 1), (0xf_0000, 0x1_0000, 2)];
            let map = lines
                .iter()
                .flat_map(|&(base, length, kind)| [base, length, kind]);
            Handover {
                words: [MAGIC, 1, 0, 0],
                addresses: [0, TEXT, 0xf_52c0, MAP],
                lines: 2,
                text: b" suite=full exit=halt\0behind".to_vec(),
                map: map.flat_map(u64::to_le_bytes).collect(),
                modules: vec![],
            }
        }

        fn with_modules(modules: &[(u64, u64)]) -> Self {
            let mut handover = Self::new();
            handover.words[3] = modules.len() as u32;
            handover.addresses[0] = MODULE_LIST;
            let words = modules
                .iter()
                .flat_map(|&(start, bytes)| [start, bytes, 0, 0]);
            handover.modules = words.collect();
            handover
        }

        fn memory(&self) -> Pieces {
            let mut start: Vec<u8> = self.words.into_iter().flat_map(u32::to_le_bytes).collect();
            start.extend(self.addresses.into_iter().flat_map(u64::to_le_bytes));
            start.extend([self.lines, 0].into_iter().flat_map(u32::to_le_bytes));
            let mut memory = Pieces::default();
            memory.put(START, start);
            memory.put(TEXT, self.text.clone());
            memory.put(MAP, self.map.clone());
            let modules: Vec<u8> = self
                .modules
                .iter()
                .copied()
                .flat_map(u64::to_le_bytes)
                .collect();
            memory.put(MODULE_LIST, modules);
            memory
        }

        /// Its error, if it has one.
        fn error(&self) -> Option<BootError> {
            read(&self.memory(), START).err()
        }
    }

    #[test]
    fn what_qemu_hands_over_is_read() {
        let memory = Handover::with_modules(&[(0x20_0000, 0x123)]).memory();
        let info = read(&memory, START).unwrap();
        assert_eq!(info.loader, Loader::Pvh);
        assert_eq!(&info.command_line, "suite=full exit=halt");
        assert_eq!(
            info.root_pointers[..],
            [RootPointer::at(PhysAddr(0xf_52c0))]
        );
        let expected = [
            (0, 0x9_fc00, LineKind::Usable),
            (0xf_0000, 0x1_0000, LineKind::Reserved),
        ]
        .map(|(base, length, kind)| Line { base, length, kind });
        assert_eq!(info.map.iter().collect::<Vec<_>>(), expected);
        let kept = [
            (START, START + 56),
            (TEXT, TEXT + 22),
            (MAP, MAP + 48),
            (MODULE_LIST, MODULE_LIST + 32),
            (0x20_0000, 0x20_0123),
        ];
        assert_eq!(
            info.loader_ranges[..],
            kept.map(|(start, end)| PhysAddr(start)..PhysAddr(end))
        );
        assert_eq!(info.complaints.kept(), []);
    }

    #[test]
    fn what_makes_a_run_impossible_is_an_error() {
        let check = |change: &dyn Fn(&mut Handover), error| {
            let mut handover = Handover::new();
            change(&mut handover);
            assert_eq!(handover.error(), Some(error));
        };
        let unreachable = |what, address| BootError::Unreachable { what, address };
        check(&|start| start.words[0] = 7, BootError::Magic(7));
        check(&|start| start.words[1] = 0, BootError::NoMemoryMap);
        check(&|start| start.lines = 0, BootError::NoMemoryMap);
        check(
            &|start| start.lines = 1 << 30,
            BootError::TooManyLines(1 << 30),
        );
        check(&|start| start.lines = 3, unreachable("PVH memory map", MAP));
        check(
            &|start| start.addresses[3] = 0,
            unreachable("PVH memory map", 0),
        );
        let beyond = u64::MAX - 7;
        check(
            &|start| start.addresses[3] = beyond,
            unreachable("PVH memory map", beyond),
        );
        check(
            &|start| start.addresses[1] = beyond,
            unreachable("command line", beyond),
        );
        check(
            &|start| start.text = b"suite=full".to_vec(),
            unreachable("command line", TEXT),
        );
        check(
            &|start| start.text = b"\xff\0".to_vec(),
            BootError::CommandLineNotText,
        );
        let long = |length: usize| [vec![b'x'; length], vec![0]].concat();
        check(
            &|start| start.text = long(10_000),
            BootError::CommandLineTooLong(COMMAND_LINE_BYTES * 8 + 1),
        );
        check(
            &|start| start.text = long(600),
            BootError::CommandLineTooLong(600),
        );
        let nowhere = read(&Pieces::default(), START).unwrap_err();
        assert_eq!(nowhere, unreachable("PVH start info", START));
    }

    #[test]
    fn a_broken_module_costs_the_module() {
        let kept = |handover: &Handover| {
            let memory = handover.memory();
            let info = read(&memory, START).unwrap();
            (
                info.loader_ranges.len() - 3,
                info.complaints.kept().to_vec(),
            )
        };
        let modules = Handover::with_modules(&[(u64::MAX, 2), (0x20_0000, 0x123), (0x30_0000, 0)]);
        let wraps = BootComplaint::Module {
            start: u64::MAX,
            end: 1,
        };
        assert_eq!(kept(&modules), (2, vec![wraps]));
        let mut nowhere = modules.clone();
        nowhere.addresses[0] = 0;
        let list = |address, modules| BootComplaint::ModuleList { address, modules };
        assert_eq!(kept(&nowhere), (0, vec![list(0, 3)]));
        let mut endless = modules;
        endless.words[3] = u32::MAX;
        assert_eq!(kept(&endless), (0, vec![list(MODULE_LIST, u32::MAX)]));
        let many: Vec<_> = (0..30)
            .map(|number| (0x20_0000 + number * 0x1000, 0x1000))
            .collect();
        let (ranges, complaints) = kept(&Handover::with_modules(&many));
        assert_eq!((ranges, complaints.len()), (21, 10));
    }
}
