//! Where the registers of a 16550 lie, and how fast it is to send.

use core::fmt;
use core::ops::Range;

use crate::mm::address::PhysAddr;

/// I/O ports of COM1 to COM4, as PCs have had them since 1981; the BIOS data area may name others.
pub const COM_PORTS: [u16; 4] = [0x3f8, 0x2f8, 0x3e8, 0x2e8];

/// I/O ports below this one are those of the board's own devices: DMA, interrupt controllers, timers, keyboard, clock, reset.
const BOARD_PORTS: u16 = 0x100;
/// The first and the last port of PCI's configuration space, of which one resets the machine.
const PCI_PORTS: [u16; 2] = [0xcf8, 0xcff];

/// The rate of a port for which nobody names another one.
pub const USUAL_BAUD: u32 = 115_200;

/// Width of a memory-mapped register, which is also the distance from one register to the next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Width {
    /// 1 byte.
    Bits8,
    /// 2 bytes.
    Bits16,
    /// 4 bytes.
    Bits32,
}

impl Width {
    /// Bytes of a register.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        match self {
            Width::Bits8 => 1,
            Width::Bits16 => 2,
            Width::Bits32 => 4,
        }
    }

    /// The width of `bits` bits.
    #[must_use]
    pub const fn of_bits(bits: u64) -> Option<Self> {
        match bits {
            8 => Some(Width::Bits8),
            16 => Some(Width::Bits16),
            32 => Some(Width::Bits32),
            _ => None,
        }
    }
}

/// Where the eight registers lie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Registers {
    /// At this I/O port and the seven behind it.
    Ports(u16),
    /// In memory.
    Memory {
        /// Of the first register.
        address: PhysAddr,
        /// Of each.
        width: Width,
    },
}

/// A 16550 that somebody names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Its registers.
    pub registers: Registers,
    /// Bits a second; `None` leaves the rate as the firmware set it.
    pub baud: Option<u32>,
}

impl Place {
    /// Ports from `base` on, at the usual rate.
    #[must_use]
    pub const fn ports(base: u16) -> Self {
        Place {
            registers: Registers::Ports(base),
            baud: Some(USUAL_BAUD),
        }
    }

    /// Bytes from the first register to behind the last.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        match self.registers {
            Registers::Ports(_) => 8,
            Registers::Memory { width, .. } => 8 * width.bytes(),
        }
    }

    /// Its registers, if they lie in memory; only of a place that is possible.
    #[must_use]
    pub const fn memory(&self) -> Option<Range<PhysAddr>> {
        match self.registers {
            Registers::Ports(_) => None,
            Registers::Memory { address, .. } => {
                Some(address..PhysAddr(address.0.saturating_add(self.bytes())))
            }
        }
    }

    /// Whether all registers can have such addresses; address 0 is how tables say that there is none. What is written to try a port
    /// would do harm at [`BOARD_PORTS`].
    #[must_use]
    pub const fn is_possible(&self) -> bool {
        match self.registers {
            Registers::Ports(base) => {
                let is_board_s =
                    base < BOARD_PORTS || base >= PCI_PORTS[0] - 7 && base <= PCI_PORTS[1];
                base <= u16::MAX - 7 && !is_board_s
            }
            Registers::Memory { address, width } => {
                address.0 != 0
                    && address.0.is_multiple_of(width.bytes())
                    && address.0 < (1 << 52) - 64
            }
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.registers {
            Registers::Ports(base) => match COM_PORTS.iter().position(|&port| port == base) {
                Some(number) => write!(f, "COM{}", number + 1)?,
                None => write!(f, "I/O port {base:#x}")?,
            },
            Registers::Memory { address, width } => {
                write!(
                    f,
                    "memory at {:#x}, registers of {} bits",
                    address.0,
                    width.bytes() * 8
                )?;
            }
        }
        match self.baud {
            Some(baud) => write!(f, ", {baud} baud"),
            None => write!(f, ", baud rate as it was"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn places_that_cannot_be_are_known() {
        for (place, possible) in [
            (Registers::Ports(0), false),
            (Registers::Ports(0x3f8), true),
            (Registers::Ports(0xfff8), true),
            (Registers::Ports(0xfff9), false),
            (Registers::Ports(0x20), false),
            (Registers::Ports(0xff), false),
            (Registers::Ports(0x100), true),
            (Registers::Ports(0xcf0), true),
            (Registers::Ports(0xcf1), false),
            (Registers::Ports(0xcff), false),
            (Registers::Ports(0xd00), true),
        ] {
            let place = Place {
                registers: place,
                baud: None,
            };
            assert_eq!(place.is_possible(), possible, "{place}");
        }
        for (address, possible) in [
            (0, false),
            (0xfe03_0000, true),
            (0xfe03_0002, false),
            (1 << 52, false),
        ] {
            let registers = Registers::Memory {
                address: PhysAddr(address),
                width: Width::Bits32,
            };
            let place = Place {
                registers,
                baud: None,
            };
            assert_eq!(place.is_possible(), possible, "{place}");
        }
    }

    #[test]
    fn places_are_named() {
        assert_eq!(Place::ports(0x2f8).to_string(), "COM2, 115200 baud");
        let memory = Place {
            registers: Registers::Memory {
                address: PhysAddr(0xfe03_0000),
                width: Width::Bits32,
            },
            baud: None,
        };
        assert_eq!(
            memory.to_string(),
            "memory at 0xfe030000, registers of 32 bits, baud rate as it was"
        );
    }
}
