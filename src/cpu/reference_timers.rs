//! Timers whose rate is known, to count the time-stamp counter against: HPET, ACPI's power-management timer, the PIT.
//!
//! Each is a counter that runs by itself and wraps. A machine may lack any of them; what is read then stands still.

use x86::io::{inb, inl, outb};

use crate::cpu::hpet;
use crate::mm::address::VirtAddr;
use crate::mmio;

/// A counter that runs at a known rate.
pub trait ReferenceTimer {
    /// Counts a second; 0 where the timer says nonsense.
    fn hertz(&self) -> u64;

    /// The bits that count: it wraps behind them.
    fn mask(&self) -> u64;

    /// What it stands at, counted upwards.
    fn read(&self) -> u64;
}

/// ACPI specification 4.8.3.3: a free-running counter of 24 bits or more at 3.579545 MHz.
#[derive(Debug)]
pub struct PmTimer {
    port: u16,
}

impl PmTimer {
    /// The timer whose port the FADT names.
    #[must_use]
    pub const fn new(port: u16) -> Self {
        PmTimer { port }
    }
}

impl ReferenceTimer for PmTimer {
    fn hertz(&self) -> u64 {
        3_579_545
    }

    fn mask(&self) -> u64 {
        0xff_ffff
    }

    fn read(&self) -> u64 {
        // SAFETY: the FADT names the port as the power-management timer's, and reading it changes nothing.
        u64::from(unsafe { inl(self.port) })
    }
}

/// Channel 2 of the Intel 8254, which drives the speaker and interrupts nobody: 16 bits at 1.193182 MHz, downwards.
#[derive(Debug)]
pub struct Pit {
    /// What port 61H said before: its bits 1 and 0 are the speaker and the channel's gate.
    gate: u8,
}

const PIT_COMMAND: u16 = 0x43;
const PIT_CHANNEL_2: u16 = 0x42;
const PIT_GATE: u16 = 0x61;

impl Pit {
    /// Starts the channel.
    #[must_use]
    #[expect(
        clippy::multiple_unsafe_ops_per_block,
        reason = "one sequence of port accesses"
    )]
    pub fn start() -> Self {
        // SAFETY: nobody else uses the channel; the speaker stays off.
        unsafe {
            let gate = inb(PIT_GATE);
            outb(PIT_GATE, gate & !0b10 | 1);
            // Channel 2, low byte then high byte, mode 2 (runs round and round), binary, from 65,536.
            outb(PIT_COMMAND, 0b1011_0100);
            outb(PIT_CHANNEL_2, 0);
            outb(PIT_CHANNEL_2, 0);
            Pit { gate }
        }
    }

    /// Stops it.
    pub fn stop(self) {
        // SAFETY: as it was before `start`.
        unsafe { outb(PIT_GATE, self.gate) };
    }
}

impl ReferenceTimer for Pit {
    fn hertz(&self) -> u64 {
        1_193_182
    }

    fn mask(&self) -> u64 {
        0xffff
    }

    #[expect(
        clippy::multiple_unsafe_ops_per_block,
        reason = "one sequence of port accesses"
    )]
    fn read(&self) -> u64 {
        // SAFETY: the latch command holds the count of channel 2 until both bytes have been read.
        let left = unsafe {
            outb(PIT_COMMAND, 0b1000_0000);
            u16::from_le_bytes([inb(PIT_CHANNEL_2), inb(PIT_CHANNEL_2)])
        };
        u64::from(left.wrapping_neg())
    }
}

/// IA-PC HPET Specification 2.3: a counter whose period is in its first register.
#[derive(Debug)]
pub struct Hpet {
    registers: VirtAddr,
    period_femtoseconds: u64,
    /// The configuration as it was before.
    configuration: u64,
}

impl Hpet {
    /// Bytes of the registers.
    pub const BYTES: u64 = hpet::BYTES;

    /// Starts the timer whose registers are mapped at `registers`; `None` where nothing like it is there.
    ///
    /// # Safety
    ///
    /// [`Self::BYTES`] bytes of the device are mapped there, uncached, for as long as the value is used, and nobody else uses
    /// them.
    #[must_use]
    pub unsafe fn start(registers: VirtAddr) -> Option<Self> {
        let mut timer = Hpet {
            registers,
            period_femtoseconds: 0,
            configuration: 0,
        };
        timer.period_femtoseconds = timer.register(hpet::CAPABILITIES) >> 32;
        if !hpet::PERIODS.contains(&timer.period_femtoseconds) {
            return None;
        }
        timer.configuration = timer.register(hpet::CONFIGURATION);
        timer.set_configuration(timer.configuration | hpet::RUNS);
        Some(timer)
    }

    /// Stops it, unless it ran before.
    pub fn stop(self) {
        self.set_configuration(self.configuration);
    }

    fn register(&self, offset: u64) -> u64 {
        // SAFETY: the registers are mapped (the promise to `start`), and reading one changes nothing.
        unsafe { mmio::at(self.registers, offset) }.read()
    }

    fn set_configuration(&self, value: u64) {
        // SAFETY: the registers are mapped and ours (the promise to `start`).
        unsafe { mmio::at(self.registers, hpet::CONFIGURATION) }.write(value);
    }
}

impl ReferenceTimer for Hpet {
    fn hertz(&self) -> u64 {
        1_000_000_000_000_000 / self.period_femtoseconds
    }

    fn mask(&self) -> u64 {
        u64::from(u32::MAX)
    }

    /// The lower half, which every HPET has.
    fn read(&self) -> u64 {
        self.register(hpet::MAIN_COUNTER) & self.mask()
    }
}
