//! What the FADT and the HPET table say of timers, and of how the machine is reset (ACPI specification 6.5, 5.2.9; IA-PC HPET
//! Specification 1.0a, 3.2.4).

use acpi::address::{AddressSpace, GenericAddress};
use acpi::fadt::Fadt;

use super::bytes::{u8_at, u64_at};
use super::complaint::{Location, TableFault};
use crate::mm::address::PhysAddr;

/// Bytes of a FADT of ACPI 1.0, the shortest there is.
const SHORTEST_FADT: usize = 116;

/// What the FADT says.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Fixed {
    pub(super) pm_timer: Option<u16>,
    pub(super) reset: Option<(u16, u8)>,
}

/// Reads a FADT, whose checksum is good.
pub(super) fn fadt(table: &[u8], mut complain: impl FnMut(TableFault)) -> Fixed {
    if table.len() < SHORTEST_FADT {
        complain(TableFault::Short(table.len()));
    }
    // Older revisions are shorter: what they lack is 0, which says of each field that there is nothing.
    let mut bytes = [0; size_of::<Fadt>()];
    let length = table.len().min(bytes.len());
    bytes[..length].copy_from_slice(&table[..length]);
    // SAFETY: as many bytes as the packed structure has, all of them set, and any bits are a value of its numbers.
    let fadt: Fadt = unsafe { core::mem::transmute(bytes) };

    let mut fixed = Fixed::default();
    match fadt.pm_timer_block() {
        Ok(None) => {}
        Ok(Some(timer)) => {
            fixed.pm_timer = io_port(&timer, 4);
            if fixed.pm_timer.is_none() {
                complain(TableFault::PmTimer(location(&timer)));
            }
        }
        Err(_) => complain(TableFault::PmTimer(Location {
            space: None,
            address: 0,
        })),
    }
    let flags = fadt.flags;
    if flags.supports_system_reset_via_fadt()
        && let Ok(register) = fadt.reset_register()
    {
        // A register elsewhere is not used: the keyboard controller resets, too.
        fixed.reset = io_port(&register, 1).map(|port| (port, fadt.reset_value));
    }
    fixed
}

/// The registers' address in an HPET table, whose checksum is good. The crate's own reader panics on an address that is none of
/// memory.
pub(super) fn hpet(table: &[u8]) -> Result<PhysAddr, TableFault> {
    const SPACE: usize = 40;
    const ADDRESS: usize = 44;
    let (Some(space), Some(address)) = (u8_at(table, SPACE), u64_at(table, ADDRESS)) else {
        return Err(TableFault::Short(table.len()));
    };
    if space == 0 && address != 0 && address.is_multiple_of(8) {
        Ok(PhysAddr(address))
    } else {
        let space = Some(space);
        Err(TableFault::Hpet(Location { space, address }))
    }
}

/// The first of `bytes` I/O ports, if the registers are some.
fn io_port(register: &GenericAddress, bytes: u64) -> Option<u16> {
    let is_port = register.address_space == AddressSpace::SystemIo
        && register.address != 0
        && register.address <= (1 << 16) - bytes;
    is_port.then_some(register.address as u16)
}

fn location(register: &GenericAddress) -> Location {
    let space = match register.address_space {
        AddressSpace::SystemMemory => Some(0),
        AddressSpace::SystemIo => Some(1),
        AddressSpace::PciConfigSpace => Some(2),
        _ => None,
    };
    Location {
        space,
        address: register.address,
    }
}
