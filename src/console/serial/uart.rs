//! The driver of a 16550: whether one is there, how it is set up, and sending with a bound on every wait.
//!
//! Registers and their bits are those of the crate `uart_16550`. Its own way to set a port up and to send waits for the
//! transmitter for as long as that takes, and takes the scratch register for the sign of a port, which some lack; so both are done
//! here. Loopback and modem lines are never asked: real cables fail such tests.

use uart_16550::backend::Backend;
use uart_16550::spec::CLK_FREQUENCY_HZ;
use uart_16550::spec::calc_divisor;
use uart_16550::spec::registers::{FCR, IER, ISR, LCR, LSR, MCR, WordLength, offsets};

/// Most ticks that one wait for the transmitter may take: 0.9 s at 5 GHz, 2.1 s at 2 GHz. A byte takes 1 ms at 9600 baud, and
/// a reader who holds the line up for a moment loses nothing.
pub const PATIENCE: u64 = 1 << 32;

/// Most ticks that what the firmware has sent last may take to leave: sixteen bytes at 9600 baud, with a margin of two at 5 GHz.
const DRAIN: u64 = 1 << 27;

/// Bytes that a transmitter's FIFO holds.
const FIFO: usize = 16;

/// What a register of nothing reads as.
const NOBODY: u8 = 0xff;

/// Why a port is given up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lost {
    /// The transmitter did not get empty within [`PATIENCE`].
    Stuck,
    /// Its registers read as all ones.
    Gone,
    /// Its registers, which lie in memory, could not be mapped.
    NotMapped,
}

/// No parity and 1 stop bit, too.
fn eight_bits() -> LCR {
    LCR::empty().set_word_length(WordLength::EightBits)
}

/// A 16550.
#[derive(Debug)]
pub struct Uart<B> {
    registers: B,
    /// The clock that waits go by.
    ticks: fn() -> u64,
    /// Bytes that the transmitter takes at a time.
    room: usize,
}

impl<B: Backend> Uart<B> {
    /// The port behind these registers, set up for 8 data bits, no parity, 1 stop bit and no flow control at `baud` bits a second,
    /// or at the rate that it has; `None` if nothing is there. `ticks` is a clock for [`PATIENCE`].
    ///
    /// # Safety
    ///
    /// Nobody else uses the registers, and writing them does no harm even if they are no 16550's.
    #[must_use]
    pub unsafe fn new(registers: B, baud: Option<u32>, ticks: fn() -> u64) -> Option<Self> {
        let mut uart = Uart {
            registers,
            ticks,
            room: 1,
        };
        uart.is_present().then(|| {
            uart.set_up(baud);
            uart
        })
    }

    /// The way to the registers.
    pub const fn registers(&mut self) -> &mut B {
        &mut self.registers
    }

    fn read(&mut self, register: usize) -> u8 {
        // SAFETY: the offsets of the crate are below 8.
        unsafe { self.registers.read(register as u8) }
    }

    fn write(&mut self, register: usize, value: u8) {
        // SAFETY: as for `read`.
        unsafe { self.registers.write(register as u8, value) }
    }

    /// Whether the registers keep what a 16550's keep: the scratch register, or, where it is missing, the lower half of the
    /// interrupt enable register. No interrupt is taken, as RFLAGS.IF is clear and stays so.
    fn is_present(&mut self) -> bool {
        if self.read(offsets::LSR) == NOBODY {
            return false;
        }
        let has_scratch = [0x5a, 0xa5].into_iter().all(|pattern| {
            self.write(offsets::SPR, pattern);
            self.read(offsets::SPR) == pattern
        });
        has_scratch || self.enables_interrupts()
    }

    fn enables_interrupts(&mut self) -> bool {
        const LOW: u8 = 0xf;
        self.write(offsets::LCR, eight_bits().bits());
        let enable = self.read(offsets::IER);
        let keeps = [0, LOW].into_iter().all(|pattern| {
            self.write(offsets::IER, pattern);
            self.read(offsets::IER) & LOW == pattern
        });
        self.write(offsets::IER, enable);
        keeps
    }

    fn set_up(&mut self, baud: Option<u32>) {
        let line = eight_bits();
        self.write(offsets::LCR, line.bits());
        self.write(offsets::IER, IER::empty().bits());
        let divisor = baud.and_then(|baud| calc_divisor(CLK_FREQUENCY_HZ, baud, None).ok());
        // What is on its way comes out at the old rate; if it does not, there is no more to be done.
        let _ = self.wait_for(LSR::TRANSMITTER_EMPTY, DRAIN);
        if let Some(divisor) = divisor {
            let [low, high] = divisor.to_le_bytes();
            self.write(offsets::LCR, (line | LCR::DLAB).bits());
            self.write(offsets::DLL, low);
            self.write(offsets::DLM, high);
            self.write(offsets::LCR, line.bits());
        }
        let clear = FCR::FIFO_ENABLE | FCR::RX_FIFO_RESET | FCR::TX_FIFO_RESET;
        self.write(offsets::FCR, clear.bits());
        // A 16450 has no FIFO, and a 16550 without its A a broken one.
        let fifo = ISR::from_bits_retain(self.read(offsets::ISR)).fifo_enabled();
        if fifo {
            self.room = FIFO;
        } else {
            self.write(offsets::FCR, 0);
        }
        self.write(
            offsets::MCR,
            (MCR::DTR | MCR::RTS | MCR::OUT_2_INT_ENABLE).bits(),
        );
    }

    /// Sends the bytes.
    ///
    /// # Errors
    ///
    /// Why the port is of no use any more; what was not sent is lost.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), Lost> {
        for part in bytes.chunks(self.room) {
            self.wait_for(LSR::THR_EMPTY, PATIENCE)?;
            for &byte in part {
                self.write(offsets::DATA, byte);
            }
        }
        Ok(())
    }

    /// Waits until the line status has these bits. The clock is read only if it has not at once.
    #[inline]
    fn wait_for(&mut self, bits: LSR, patience: u64) -> Result<(), Lost> {
        match self.read(offsets::LSR) {
            NOBODY => Err(Lost::Gone),
            status if LSR::from_bits_retain(status).contains(bits) => Ok(()),
            _ => self.wait_long_for(bits, patience),
        }
    }

    #[cold]
    fn wait_long_for(&mut self, bits: LSR, patience: u64) -> Result<(), Lost> {
        let start = (self.ticks)();
        // Looks come slower and slower, up to some microseconds, which is less than a byte takes.
        let mut rest = 1;
        loop {
            let late = (self.ticks)().wrapping_sub(start) >= patience;
            match self.read(offsets::LSR) {
                NOBODY => return Err(Lost::Gone),
                status if LSR::from_bits_retain(status).contains(bits) => return Ok(()),
                _ if late => return Err(Lost::Stuck),
                _ => {}
            }
            core::hint::spin_loop();
            for count in 0..rest {
                core::hint::black_box(count);
            }
            rest = (rest * 2).min(1 << 13);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::vec::Vec;

    std::thread_local! {
        static NOW: Cell<u64> = const { Cell::new(0) };
    }

    /// A clock that a look moves on by a millisecond at 4 GHz.
    fn ticks() -> u64 {
        NOW.set(NOW.get() + 4_000_000);
        NOW.get()
    }

    /// A 16550 as the test wants it.
    #[derive(Default)]
    struct Model {
        absent: bool,
        no_scratch: bool,
        no_fifo: bool,
        /// Bytes that leave for each look at the line status; 0 for a transmitter that is stuck.
        drain: usize,
        registers: [u8; 8],
        divisor: [u8; 2],
        waiting: usize,
        sent: Vec<u8>,
        overrun: bool,
        /// The number of bytes after which the port vanishes.
        dies_after: Option<usize>,
    }

    impl Backend for Model {
        unsafe fn read(&mut self, register: u8) -> u8 {
            let gone = self
                .dies_after
                .is_some_and(|bytes| self.sent.len() >= bytes);
            if self.absent || gone {
                return NOBODY;
            }
            match usize::from(register) {
                offsets::LSR => {
                    self.waiting = self.waiting.saturating_sub(self.drain);
                    if self.waiting == 0 { 0x60 } else { 0 }
                }
                offsets::ISR if self.registers[offsets::FCR] & 1 != 0 && !self.no_fifo => 0xc1,
                offsets::ISR => 1,
                offsets::SPR if self.no_scratch => 0,
                offsets::IER => self.registers[offsets::IER] & 0xf,
                register => self.registers[register],
            }
        }

        unsafe fn write(&mut self, register: u8, value: u8) {
            let register = usize::from(register);
            let latch = self.registers[offsets::LCR] & 0x80 != 0;
            match register {
                offsets::DLL | offsets::DLM if latch => self.divisor[register] = value,
                offsets::DATA => {
                    self.sent.push(value);
                    self.waiting += 1;
                    let fifo = self.registers[offsets::FCR] & 1 != 0 && !self.no_fifo;
                    self.overrun |= self.waiting > if fifo { 16 } else { 1 };
                }
                _ => self.registers[register] = value,
            }
        }
    }

    fn uart(model: Model, baud: Option<u32>) -> Option<Uart<Model>> {
        // SAFETY: the registers are the test's own.
        unsafe { Uart::new(model, baud, ticks) }
    }

    const TEXT: &[u8] = b"a line that is longer than a FIFO holds\r\n";

    #[test]
    fn text_comes_out_whole_with_and_without_fifo_and_scratch_register() {
        for (no_fifo, no_scratch) in [(false, false), (true, false), (false, true), (true, true)] {
            let model = Model {
                no_fifo,
                no_scratch,
                drain: 1,
                ..Model::default()
            };
            let mut uart = uart(model, Some(115_200)).expect("a port");
            uart.send(TEXT).unwrap();
            let model = uart.registers();
            assert_eq!(model.sent, TEXT);
            assert!(!model.overrun);
            assert_eq!(model.divisor, [1, 0]);
            assert_eq!(model.registers[offsets::LCR], 3);
            assert_eq!(model.registers[offsets::IER], 0);
            assert_eq!(model.registers[offsets::FCR], if no_fifo { 0 } else { 7 });
        }
    }

    #[test]
    fn the_rate_is_set_or_left() {
        for (baud, divisor) in [
            (Some(9600), [12, 0]),
            (Some(300), [0x80, 1]),
            (None, [0x55; 2]),
        ] {
            let model = Model {
                drain: 1,
                divisor: [0x55; 2],
                ..Model::default()
            };
            assert_eq!(uart(model, baud).unwrap().registers().divisor, divisor);
        }
    }

    #[test]
    fn nothing_there_is_no_port() {
        assert!(
            uart(
                Model {
                    absent: true,
                    ..Model::default()
                },
                None
            )
            .is_none()
        );
        // Registers that keep nothing are none of a 16550.
        struct Zeros;
        impl Backend for Zeros {
            unsafe fn read(&mut self, _: u8) -> u8 {
                0
            }
            unsafe fn write(&mut self, _: u8, _: u8) {}
        }
        // SAFETY: nothing is there.
        assert!(unsafe { Uart::new(Zeros, None, ticks) }.is_none());
    }

    #[test]
    fn a_stuck_transmitter_is_given_up_in_time() {
        let mut uart = uart(Model::default(), Some(115_200)).expect("a port");
        let start = NOW.get();
        // The first bytes find room.
        assert_eq!(uart.send(TEXT), Err(Lost::Stuck));
        assert_eq!(uart.registers().sent, &TEXT[..FIFO]);
        let waited = NOW.get() - start;
        assert!(
            (PATIENCE..PATIENCE + PATIENCE / 64).contains(&waited),
            "{waited}"
        );
    }

    #[test]
    fn a_port_that_is_stuck_from_the_start_holds_nothing_up() {
        let model = Model {
            waiting: 1,
            ..Model::default()
        };
        let start = NOW.get();
        assert!(uart(model, Some(115_200)).is_some());
        assert!(NOW.get() - start < 2 * DRAIN);
    }

    #[test]
    fn a_port_that_vanishes_is_noticed() {
        let model = Model {
            drain: 1,
            dies_after: Some(16),
            ..Model::default()
        };
        assert_eq!(uart(model, None).unwrap().send(TEXT), Err(Lost::Gone));
    }
}
