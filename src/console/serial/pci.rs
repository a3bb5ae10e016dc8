//! 16550s on PCI: cards, and the serial port that a management controller puts there (Intel AMT's serial over LAN).
//!
//! PCI Local Bus Specification 3.0, 6.1 (configuration header), 6.2.5.1 (base addresses) and appendix D: class 07H, sub-class 00H,
//! interface 02H.

use super::place::{Place, Registers, Width};
use crate::mm::address::PhysAddr;

/// Class, sub-class and interface of a 16550.
const SERIAL_16550: u32 = 0x07_00_02;
/// What a function that is not there reads as.
const ABSENT: u32 = u32::MAX;

const ID: u8 = 0x00;
const COMMAND: u8 = 0x04;
const CLASS: u8 = 0x08;
const HEADER: u8 = 0x0c;
const BASE: u8 = 0x10;

const COMMAND_PORTS: u32 = 1;
const COMMAND_MEMORY: u32 = 2;
const MANY_FUNCTIONS: u32 = 0x80_0000;

/// A function of a device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Function {
    /// 0 to 255.
    pub bus: u8,
    /// 0 to 31.
    pub device: u8,
    /// 0 to 7.
    pub function: u8,
}

/// The configuration space.
pub trait Configuration {
    /// The aligned word at `offset`; all ones where nothing is.
    fn read(&mut self, function: Function, offset: u8) -> u32;

    /// Writes it.
    fn write(&mut self, function: Function, offset: u8, value: u32);
}

/// The first 16550 that `is_one` accepts, with its addresses switched on. `is_one` sees each place at which a port's registers
/// can be: in memory they are one byte or four bytes wide, which the header does not say.
pub fn find<T>(
    configuration: &mut impl Configuration,
    mut is_one: impl FnMut(Place) -> Option<T>,
) -> Option<T> {
    for bus in 0..=u8::MAX {
        for device in 0..32 {
            let first = Function {
                bus,
                device,
                function: 0,
            };
            if configuration.read(first, ID) == ABSENT {
                continue;
            }
            let many = configuration.read(first, HEADER) & MANY_FUNCTIONS != 0;
            for function in 0..if many { 8 } else { 1 } {
                let function = Function { function, ..first };
                if configuration.read(function, CLASS) >> 8 != SERIAL_16550 {
                    continue;
                }
                let places = places(configuration, function);
                if let Some(port) = places.into_iter().flatten().find_map(&mut is_one) {
                    return Some(port);
                }
            }
        }
    }
    None
}

/// Where the registers of this function can be, by its first base address.
fn places(configuration: &mut impl Configuration, function: Function) -> [Option<Place>; 2] {
    let base = configuration.read(function, BASE);
    if base & 1 != 0 {
        let place = u16::try_from(base & !0b11).ok().map(Place::ports);
        let place = place.filter(Place::is_possible);
        if place.is_some() {
            decode(configuration, function, COMMAND_PORTS);
        }
        return [place, None];
    }
    let high = match base >> 1 & 0b11 {
        0b10 => configuration.read(function, BASE + 4),
        _ => 0,
    };
    let address = PhysAddr(u64::from(high) << 32 | u64::from(base & !0xf));
    let place = |width| {
        let place = Place {
            registers: Registers::Memory { address, width },
            // The clock of a port in memory is the card's own, so its rate cannot be set without knowing it.
            baud: None,
        };
        Some(place).filter(Place::is_possible)
    };
    let places = [place(Width::Bits8), place(Width::Bits32)];
    if places[0].is_some() {
        decode(configuration, function, COMMAND_MEMORY);
    }
    places
}

/// Has the function answer at its addresses.
fn decode(configuration: &mut impl Configuration, function: Function, bits: u32) {
    let command = configuration.read(function, COMMAND);
    // The upper half is the status, in which a one that is written clears a bit.
    configuration.write(function, COMMAND, command & 0xffff | bits);
}

#[cfg(test)]
mod tests {
    use super::super::place::USUAL_BAUD;
    use super::*;
    use std::collections::BTreeMap;
    use std::vec;
    use std::vec::Vec;

    /// Functions by bus, device and function, and their first six words.
    #[derive(Default)]
    struct Model(BTreeMap<(u8, u8, u8), [u32; 6]>);

    impl Configuration for Model {
        fn read(&mut self, at: Function, offset: u8) -> u32 {
            let function = self.0.get(&(at.bus, at.device, at.function));
            function.map_or(ABSENT, |words| words[usize::from(offset / 4)])
        }

        fn write(&mut self, at: Function, offset: u8, value: u32) {
            let function = self.0.get_mut(&(at.bus, at.device, at.function)).unwrap();
            function[usize::from(offset / 4)] = value;
        }
    }

    const UART: u32 = SERIAL_16550 << 8 | 1;
    const BRIDGE: u32 = 0x06_04_00 << 8;

    fn all(model: &mut Model) -> Vec<Registers> {
        let mut seen = vec![];
        let found = find(model, |place| {
            seen.push(place.registers);
            None::<()>
        });
        assert_eq!(found, None);
        seen
    }

    #[test]
    fn ports_on_every_bus_and_function_are_found() {
        let mut model = Model::default();
        model.0.insert((0, 0, 0), [1, 0, BRIDGE, 0, 0xe001, 0]);
        model
            .0
            .insert((0, 22, 0), [1, 0, 0x07_80_00 << 8, MANY_FUNCTIONS, 0, 0]);
        model
            .0
            .insert((0, 22, 3), [1, 0x1000_0000, UART, 0, 0xf0a1, 0]);
        model.0.insert((7, 31, 0), [1, 2, UART, 0, 0xf000_0004, 1]);
        // Behind a device of one function its others are echoes of it.
        model.0.insert((9, 0, 0), [1, 0, UART, 0, 0xd001, 0]);
        model.0.insert((9, 0, 5), [1, 0, UART, 0, 0xd101, 0]);
        let memory = |width| Registers::Memory {
            address: PhysAddr(0x1_f000_0000),
            width,
        };
        let expected = [
            Registers::Ports(0xf0a0),
            memory(Width::Bits8),
            memory(Width::Bits32),
            Registers::Ports(0xd000),
        ];
        assert_eq!(all(&mut model), expected);
        // They answer at their addresses, and no bit of the status was cleared.
        assert_eq!(model.0[&(0, 22, 3)][1], COMMAND_PORTS);
        assert_eq!(model.0[&(7, 31, 0)][1], COMMAND_MEMORY);
    }

    #[test]
    fn addresses_that_nobody_gave_are_none() {
        let mut model = Model::default();
        for (device, base) in [1, 0, 0xffff_ffff, 0x1_0001].into_iter().enumerate() {
            let words = [1, 0, UART, 0, base, 0];
            model.0.insert((0, device as u8, 0), words);
        }
        assert_eq!(all(&mut model), []);
    }

    #[test]
    fn a_machine_without_pci_has_none() {
        assert_eq!(all(&mut Model::default()), []);
    }

    #[test]
    fn the_rate_of_ports_is_set() {
        let mut model = Model::default();
        model.0.insert((0, 1, 0), [1, 0, UART, 0, 0xe001, 0]);
        let found = find(&mut model, Some).unwrap();
        assert_eq!(found.baud, Some(USUAL_BAUD));
    }
}
