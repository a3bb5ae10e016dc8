//! PCI's configuration space by I/O ports: PCI Local Bus Specification 3.0, 3.2.2.3.2 (mechanism #1).

use x86::io::{inl, outl};

use super::pci::{Configuration, Function};

const ADDRESS: u16 = 0xcf8;
const DATA: u16 = 0xcfc;
const ENABLE: u32 = 1 << 31;

/// The two ports. On a machine without PCI they read as all ones.
#[derive(Debug)]
pub struct ConfigurationPorts;

impl ConfigurationPorts {
    fn select(at: Function, offset: u8) {
        let address = ENABLE
            | u32::from(at.bus) << 16
            | u32::from(at.device) << 11
            | u32::from(at.function) << 8
            | u32::from(offset & !0b11);
        // SAFETY: the port only selects; nobody else uses it, as one CPU runs.
        unsafe { outl(ADDRESS, address) };
    }
}

impl Configuration for ConfigurationPorts {
    fn read(&mut self, at: Function, offset: u8) -> u32 {
        Self::select(at, offset);
        // SAFETY: the words that are read have no side effect.
        unsafe { inl(DATA) }
    }

    fn write(&mut self, at: Function, offset: u8, value: u32) {
        Self::select(at, offset);
        // SAFETY: only a serial port's command register is written, which lets it answer at its addresses.
        unsafe { outl(DATA, value) };
    }
}
