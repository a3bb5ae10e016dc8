//! `serial=`: which serial port the log goes to.

use core::fmt;

use super::value::{Accepted, Value};
use crate::console::serial::place::{COM_PORTS, Place, Registers, USUAL_BAUD, Width};
use crate::mm::address::PhysAddr;

/// A choice of serial port.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Serial {
    /// The first that answers.
    #[default]
    Any,
    /// None, even if there is one.
    None,
    /// The first on PCI.
    Pci,
    /// This one.
    At(Place),
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Serial::Any => write!(f, "any"),
            Serial::None => write!(f, "none"),
            Serial::Pci => write!(f, "PCI"),
            Serial::At(place) => place.fmt(f),
        }
    }
}

impl Value for Serial {
    const ACCEPTED: Accepted = Accepted::Text(
        "none, com1 to com4, port:ADDRESS or pci, with ,BAUD behind a port, or mmio:ADDRESS,BITS with the width of a register: 8, 16 or 32",
    );

    fn parse(text: &str) -> Option<Self> {
        match text {
            "none" => return Some(Serial::None),
            "pci" => return Some(Serial::Pci),
            _ => {}
        }
        let mut parts = text.split(',');
        let what = parts.next()?;
        let place = if let Some(address) = what.strip_prefix("mmio:") {
            let width = match parts.next() {
                Some(bits) => Width::of_bits(number(bits)?)?,
                None => Width::Bits8,
            };
            Place {
                registers: Registers::Memory {
                    address: PhysAddr(number(address)?),
                    width,
                },
                // Its clock may be any, so that only the firmware knows how a rate is set.
                baud: match parts.next() {
                    Some(text) => Some(baud(text)?),
                    None => None,
                },
            }
        } else {
            let base = match what.strip_prefix("port:") {
                Some(address) => u16::try_from(number(address)?).ok()?,
                None => {
                    let name = what.strip_prefix("com")?;
                    let place = ["1", "2", "3", "4"]
                        .iter()
                        .position(|&known| known == name)?;
                    COM_PORTS[place]
                }
            };
            Place {
                registers: Registers::Ports(base),
                baud: Some(match parts.next() {
                    Some(text) => baud(text)?,
                    None => USUAL_BAUD,
                }),
            }
        };
        (parts.next().is_none() && place.is_possible()).then_some(Serial::At(place))
    }
}

/// Decimal, or hexadecimal behind `0x`.
fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// A rate that a divisor of the usual clock comes near.
fn baud(text: &str) -> Option<u32> {
    let baud = u32::try_from(number(text)?).ok()?;
    (50..=USUAL_BAUD).contains(&baud).then_some(baud)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(address: u64, width: Width, baud: Option<u32>) -> Serial {
        let address = PhysAddr(address);
        Serial::At(Place {
            registers: Registers::Memory { address, width },
            baud,
        })
    }

    fn port(base: u16, baud: u32) -> Serial {
        Serial::At(Place {
            registers: Registers::Ports(base),
            baud: Some(baud),
        })
    }

    #[test]
    fn every_form_is_understood() {
        for (text, serial) in [
            ("none", Serial::None),
            ("pci", Serial::Pci),
            ("com2", port(0x2f8, 115_200)),
            ("com4,9600", port(0x2e8, 9600)),
            ("port:0x3e8,9600", port(0x3e8, 9600)),
            ("port:1000", port(1000, 115_200)),
            (
                "mmio:0xfe030000,32",
                memory(0xfe03_0000, Width::Bits32, None),
            ),
            ("mmio:0xfe030000", memory(0xfe03_0000, Width::Bits8, None)),
            (
                "mmio:0xfe030000,16,57600",
                memory(0xfe03_0000, Width::Bits16, Some(57_600)),
            ),
        ] {
            assert_eq!(Serial::parse(text), Some(serial), "{text}");
        }
    }

    #[test]
    fn nothing_else_is() {
        for text in [
            "",
            "com0",
            "com5",
            "com",
            "COM1",
            "port:",
            "port:0",
            "port:0xfffc",
            "port:0x10000",
            "com1,",
            "com1,0",
            "com1,115201",
            "com1,9600,8",
            "mmio:0,32",
            "mmio:0x1002,32",
            "mmio:0x1000,7",
            "mmio:0x1000,32,",
            "none,9600",
            "ttyS0",
        ] {
            assert_eq!(Serial::parse(text), None, "{text}");
        }
    }
}
