//! What a PC's BIOS leaves below 1 MiB: the extended BIOS data area, and the ACPI root pointer where no loader hands it over.
//!
//! ACPI specification 6.5, 5.2.5.1 (finding the root pointer on IA-PC systems). The BIOS data area's word at 40EH is the segment of
//! the extended one.

use core::ops::Range;

use super::physical::ReadPhysical;
use crate::mm::address::PhysAddr;

/// Where the BIOS data area has the segment of the extended one.
const EXTENDED_DATA_SEGMENT: PhysAddr = PhysAddr(0x40e);
/// The lowest address at which an extended BIOS data area is believed, as in Linux (`arch/x86/kernel/ebda.c`): it lies at the end
/// of the conventional memory.
const EXTENDED_DATA_FROM: u64 = 0x2_0000;
/// Where adapters begin.
const CONVENTIONAL_END: u64 = 0xa_0000;
/// Bytes of the extended BIOS data area in which a root pointer may lie.
const SEARCHED: u64 = 1 << 10;
/// The BIOS's read-only memory in which a root pointer may lie.
const READ_ONLY: Range<u64> = 0xe_0000..0x10_0000;
/// Root pointers lie at multiples of this many bytes.
const STEP: u64 = 16;
/// Bytes of a root pointer of revision 0, over which its checksum goes in every revision.
const ROOT_POINTER: usize = 20;

/// The extended BIOS data area that the BIOS data area names, up to where adapters begin: what follows it there is the firmware's,
/// too. `None` if there is no such area, or its place cannot be.
#[must_use]
pub fn extended_data_area(memory: &impl ReadPhysical) -> Option<Range<PhysAddr>> {
    let segment = u16::from_le_bytes(memory.array(EXTENDED_DATA_SEGMENT)?);
    let start = u64::from(segment) << 4;
    if !(EXTENDED_DATA_FROM..CONVENTIONAL_END).contains(&start) {
        return None;
    }
    Some(PhysAddr(start)..PhysAddr(CONVENTIONAL_END))
}

/// Searches for the ACPI root pointer as on a PC with a BIOS.
#[must_use]
pub fn find_root_pointer(memory: &impl ReadPhysical) -> Option<PhysAddr> {
    let extended = extended_data_area(memory)
        .map(|area| area.start.0..area.end.0.min(area.start.0 + SEARCHED));
    extended
        .into_iter()
        .chain([READ_ONLY])
        .flat_map(|area| area.step_by(STEP as usize))
        .map(PhysAddr)
        .find(|&at| is_root_pointer(memory, at))
}

fn is_root_pointer(memory: &impl ReadPhysical, at: PhysAddr) -> bool {
    memory.array(at) == Some(*b"RSD PTR ")
        && memory
            .bytes(at, ROOT_POINTER)
            .is_some_and(|bytes| bytes.iter().fold(0u8, |sum, &byte| sum.wrapping_add(byte)) == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firmware::physical::Pieces;
    use std::vec;
    use std::vec::Vec;

    /// A root pointer of revision 0 whose checksum is right.
    fn root_pointer() -> Vec<u8> {
        let mut bytes = b"RSD PTR \0MADEUP\0\0\0\xfe\x07".to_vec();
        bytes[8] = bytes.iter().fold(0u8, |sum, &byte| sum.wrapping_sub(byte));
        bytes
    }

    fn machine(extended_segment: u16, root_pointers: &[u64]) -> Pieces {
        let mut low = vec![0u8; 0x10_0000];
        low[0x40e..0x410].copy_from_slice(&extended_segment.to_le_bytes());
        for &at in root_pointers {
            let pointer = root_pointer();
            low[at as usize..at as usize + pointer.len()].copy_from_slice(&pointer);
        }
        let mut memory = Pieces::default();
        memory.put(0, low);
        memory
    }

    #[test]
    fn a_root_pointer_is_found_where_it_may_lie_and_nowhere_else() {
        for (segment, at, found) in [
            (0x9fc0, 0x9_fc00, true),
            (0x9fc0, 0x9_fff0 - 0x10, true),
            (0x9d00, 0x9_d3f0, true),
            (0x2000, 0x2_0000, true),
            // Beyond the first KiB, off the steps, in an area that nothing names.
            (0x9d00, 0x9_d400, false),
            (0x9fc0, 0x9_fc08, false),
            (0, 0x9_fc00, false),
            (0x40, 0x400, false),
            (0, 0xe_0000, true),
            (0, 0xf_52c0, true),
            (0, 0xf_ffe0, true),
            (0, 0xf_52c8, false),
            (0, 0xd_fff0, false),
        ] {
            let found = found.then_some(PhysAddr(at));
            assert_eq!(
                find_root_pointer(&machine(segment, &[at])),
                found,
                "{at:#x}"
            );
        }
    }

    #[test]
    fn the_first_with_a_good_checksum_counts() {
        let both = machine(0x9fc0, &[0x9_fc00, 0xf_0000]);
        assert_eq!(find_root_pointer(&both), Some(PhysAddr(0x9_fc00)));
        let mut low = both.bytes(PhysAddr(0), 0x10_0000).unwrap().to_vec();
        low[0x9_fc0f] ^= 1;
        let mut memory = Pieces::default();
        memory.put(0, low);
        assert_eq!(find_root_pointer(&memory), Some(PhysAddr(0xf_0000)));
    }

    #[test]
    fn a_machine_without_a_bios_has_neither() {
        assert_eq!(find_root_pointer(&Pieces::default()), None);
        assert_eq!(extended_data_area(&Pieces::default()), None);
    }
}
