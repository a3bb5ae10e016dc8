//! The way to a 16550's registers: I/O ports, or memory.

use uart_16550::backend::Backend;
use volatile::VolatilePtr;
use x86::io::{inb, outb};

use super::place::Width;
use crate::mm::address::VirtAddr;
use crate::mmio;

/// Registers as the CPU reaches them. The creator of a value guarantees that they exist and have no other user.
#[derive(Debug)]
pub enum Access {
    /// At this I/O port and the seven behind it.
    Ports(u16),
    /// Mapped here, each of this width.
    Memory(VirtAddr, Width),
}

/// A register of memory. It is read and written in its own width, as some answer to no other one.
fn at<T>(base: VirtAddr, width: Width, register: u8) -> VolatilePtr<'static, T> {
    // SAFETY: the creator of the `Access` guarantees that the registers are mapped, aligned and have no other user.
    unsafe { mmio::at(base, u64::from(register) * width.bytes()) }
}

impl Backend for Access {
    #[inline]
    unsafe fn read(&mut self, register: u8) -> u8 {
        match *self {
            // SAFETY: the port is a register's.
            Access::Ports(base) => unsafe { inb(base + u16::from(register)) },
            Access::Memory(base, Width::Bits8) => at::<u8>(base, Width::Bits8, register).read(),
            Access::Memory(base, Width::Bits16) => {
                at::<u16>(base, Width::Bits16, register).read() as u8
            }
            Access::Memory(base, Width::Bits32) => {
                at::<u32>(base, Width::Bits32, register).read() as u8
            }
        }
    }

    #[inline]
    unsafe fn write(&mut self, register: u8, value: u8) {
        match *self {
            // SAFETY: the port is a register's.
            Access::Ports(base) => unsafe { outb(base + u16::from(register), value) },
            Access::Memory(base, Width::Bits8) => {
                at::<u8>(base, Width::Bits8, register).write(value);
            }
            Access::Memory(base, Width::Bits16) => {
                at::<u16>(base, Width::Bits16, register).write(u16::from(value));
            }
            Access::Memory(base, Width::Bits32) => {
                at::<u32>(base, Width::Bits32, register).write(u32::from(value));
            }
        }
    }
}
