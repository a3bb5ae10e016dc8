//! RAM that the MTRRs leave otherwise than write-back.

use pagemark::console::log;
use pagemark::cpu::access::ThisCpu;
use pagemark::cpu::memory_types::MemoryTypes;
use pagemark::machine::Machine;
use pagemark_record::{Notice, Record};
use pagemark_verdict::Class;

/// Pieces that are named.
const NAMED: u32 = 4;

/// Bytes of it, `None` where the CPU has no MTRRs. The first pieces are named where they count: a hypervisor's mean nothing.
pub(super) fn not_write_back(machine: &Machine, class: Class) -> Option<u64> {
    let types = MemoryTypes::read(&ThisCpu, &machine.features)?;
    let ram = machine.ram().iter();
    let ram = ram.map(|frames| frames.start.address()..frames.end.address());
    let (mut bytes, mut pieces) = (0, 0);
    types.not_write_back(ram, |range, kind| {
        bytes += range.end.0 - range.start.0;
        pieces += 1;
        if class == Class::Silicon && pieces <= NAMED {
            log::record(&Record::Notice(Notice {
                text: format_args!("MTRRs: RAM {}..{} is {kind}", range.start, range.end).into(),
            }));
        }
    });
    Some(bytes)
}
