//! The serial port: a 16550 at 115,200 baud, 8 data bits, no parity, 1 stop bit, no flow control.
//!
//! Whether a cable is there is not asked: loopback tests and modem lines fail on real cables. Every byte is polled out, so
//! nothing is printed inside a timed region.

use core::fmt;

use uart_16550::backend::PioBackend;
use uart_16550::{BaudRate, Config, Uart16550};

/// I/O port of COM1.
pub const COM1: u16 = 0x3f8;

/// A serial port, or none: then what is written is lost, and the machine runs on.
#[derive(Debug)]
pub struct SerialPort {
    uart: Option<Uart16550<PioBackend>>,
}

impl SerialPort {
    /// Initialises the port whose registers start at I/O port `base`.
    ///
    /// # Safety
    ///
    /// Nothing else uses the ports `base` to `base + 7`.
    #[must_use]
    pub unsafe fn new(base: u16) -> Self {
        // SAFETY: the caller's promise.
        let uart = unsafe { Uart16550::new_port(base) };
        SerialPort {
            uart: uart.ok().and_then(|mut uart| {
                let config = Config {
                    baud_rate: BaudRate::Baud115200,
                    ..Config::DEFAULT
                };
                uart.init(config).ok().map(|()| uart)
            }),
        }
    }
}

impl fmt::Write for SerialPort {
    /// Writes the text with CR before each LF, as terminals want it.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let Some(uart) = &mut self.uart else {
            return Ok(());
        };
        for line in text.split_inclusive('\n') {
            match line.strip_suffix('\n') {
                Some(line) => {
                    uart.send_bytes_exact(line.as_bytes());
                    uart.send_bytes_exact(b"\r\n");
                }
                None => uart.send_bytes_exact(line.as_bytes()),
            }
        }
        Ok(())
    }
}
