//! The serial port that the log goes to.

use core::fmt;

use arrayvec::ArrayVec;
use spin::Mutex;

use super::access::Access;
use super::pci;
use super::place::{COM_PORTS, Place, Registers, Width};
use super::ports::ConfigurationPorts;
use super::uart::{Lost, Uart};
use crate::boot::command_line::Serial;
use crate::boot::info::IDENTITY_END;
use crate::cpu::tsc;
use crate::firmware::acpi::{SerialHint, SerialSpace, SerialTable};
use crate::mm::address::{PhysAddr, VirtAddr};

/// Text that is kept while a port in memory cannot be reached; the memory system writes some hundred bytes in that time.
const HELD: usize = 4096;

static HELD_TEXT: Mutex<ArrayVec<u8, HELD>> = Mutex::new(ArrayVec::new_const());

/// A serial port, or none: then what is written is lost, and the machine runs on.
#[derive(Debug)]
pub struct SerialPort {
    place: Option<Place>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// There never was one.
    None,
    /// It takes text.
    Works(Uart<Access>),
    /// Its registers are not mapped at the moment.
    Unmapped(Uart<Access>),
    /// It was given up.
    Lost(Lost),
}

/// The port that the command line names, else the first that answers of: the firmware's console, COM1 to COM4, the firmware's
/// ports for debuggers, PCI.
///
/// `refused` says why no port can be at a place: RAM is there, say.
///
/// # Safety
///
/// Called in the boot stretch, and nothing else uses serial ports. What `refused` lets pass is no RAM.
#[must_use]
pub unsafe fn find(
    asked: Serial,
    hints: &[SerialHint],
    refused: impl Fn(Place) -> Option<&'static str>,
) -> SerialPort {
    let open = |place: Place| {
        if refused(place).is_some() {
            return None;
        }
        // SAFETY: the caller's promise.
        unsafe { SerialPort::open(place) }
    };
    let found = match asked {
        Serial::None => None,
        Serial::At(place) => open(place),
        Serial::Pci => pci::find(&mut ConfigurationPorts, open),
        Serial::Any => {
            let named = |by| {
                let hints = hints.iter().filter(move |hint| hint.table == by);
                hints.filter_map(place_of)
            };
            let usual = COM_PORTS.into_iter().map(Place::ports);
            let mut places = named(SerialTable::Spcr)
                .chain(usual)
                .chain(named(SerialTable::Dbg2));
            places
                .find_map(open)
                .or_else(|| pci::find(&mut ConfigurationPorts, open))
        }
    };
    found.unwrap_or(SerialPort {
        place: None,
        state: State::None,
    })
}

/// Where the firmware says that a port is, unless it is of a shape that no access has.
#[must_use]
pub fn place_of(hint: &SerialHint) -> Option<Place> {
    let width = Width::of_bits(u64::from(hint.stride) * 8)?;
    let registers = match hint.space {
        SerialSpace::Io => Registers::Ports(u16::try_from(hint.address).ok()?),
        SerialSpace::Memory => Registers::Memory {
            address: PhysAddr(hint.address),
            width,
        },
    };
    // A port in memory has a clock of its own, so only the firmware knows the divisor for the rate that it names.
    let baud = match hint.space {
        SerialSpace::Io => hint.baud,
        SerialSpace::Memory => None,
    };
    Some(Place { registers, baud })
}

impl SerialPort {
    /// The port there, if one answers.
    ///
    /// # Safety
    ///
    /// As for [`find`].
    unsafe fn open(place: Place) -> Option<Self> {
        if !place.is_possible() {
            return None;
        }
        let access = match place.registers {
            Registers::Ports(base) => Access::Ports(base),
            Registers::Memory { address, width } => {
                // What lies higher is not mapped in the boot stretch.
                if address.0 + place.bytes() > IDENTITY_END {
                    return None;
                }
                Access::Memory(VirtAddr(address.0), width)
            }
        };
        // SAFETY: nobody else uses the registers (the caller's promise), and the boot stretch maps them.
        let uart = unsafe { Uart::new(access, place.baud, tsc::read) }?;
        Some(SerialPort {
            place: Some(place),
            state: State::Works(uart),
        })
    }

    /// Where it is.
    #[must_use]
    pub const fn place(&self) -> Option<Place> {
        self.place
    }

    /// Whether it is the one that the firmware means.
    #[must_use]
    pub fn is_named_by(&self, hint: &SerialHint) -> bool {
        place_of(hint).is_some() && place_of(hint) == self.place
    }

    /// Whether what is written reaches it, now or later.
    #[must_use]
    pub const fn works(&self) -> bool {
        matches!(self.state, State::Works(_) | State::Unmapped(_))
    }

    /// Why it was given up, if it was.
    #[must_use]
    pub const fn lost(&self) -> Option<Lost> {
        match self.state {
            State::Lost(why) => Some(why),
            _ => None,
        }
    }

    /// The identity mapping is about to go: a port in memory keeps what is written until [`Self::map`].
    pub fn unmap(&mut self) {
        let state = core::mem::replace(&mut self.state, State::None);
        self.state = match (state, self.memory()) {
            (State::Works(uart), Some(_)) => State::Unmapped(uart),
            (state, _) => state,
        };
    }

    /// Gives it up, as its registers cannot be mapped: what was kept for it is lost, too.
    pub fn give_up_unmapped(&mut self) {
        if let State::Unmapped(_) = self.state {
            self.state = State::Lost(Lost::NotMapped);
            HELD_TEXT.lock().clear();
        }
    }

    /// Physical address of its registers and their bytes, if they lie in memory.
    #[must_use]
    pub fn memory(&self) -> Option<(PhysAddr, u64)> {
        match (self.place?, self.place?.registers) {
            (place, Registers::Memory { address, .. }) => Some((address, place.bytes())),
            (_, Registers::Ports(_)) => None,
        }
    }

    /// Says where its registers are mapped now, and sends what was kept.
    ///
    /// # Safety
    ///
    /// They are mapped there, uncached, and stay.
    pub unsafe fn map(&mut self, registers: VirtAddr) {
        let state = core::mem::replace(&mut self.state, State::None);
        let State::Unmapped(mut uart) = state else {
            self.state = state;
            return;
        };
        let width = match self.place.map(|place| place.registers) {
            Some(Registers::Memory { width, .. }) => width,
            _ => Width::Bits8,
        };
        *uart.registers() = Access::Memory(registers, width);
        self.state = State::Works(uart);
        let mut held = HELD_TEXT.lock();
        self.send(&held);
        held.clear();
    }

    fn send(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Works(uart) => {
                if let Err(why) = uart.send(bytes) {
                    self.state = State::Lost(why);
                }
            }
            State::Unmapped(_) => {
                let mut held = HELD_TEXT.lock();
                let room = held.remaining_capacity().min(bytes.len());
                // What has no room is missing in the log, whose checksum then says so.
                let _ = held.try_extend_from_slice(&bytes[..room]);
            }
            State::None | State::Lost(_) => {}
        }
    }
}

impl fmt::Write for SerialPort {
    /// Writes the text with CR before each LF, as terminals want it.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for line in text.split_inclusive('\n') {
            match line.strip_suffix('\n') {
                Some(line) => {
                    self.send(line.as_bytes());
                    self.send(b"\r\n");
                }
                None => self.send(line.as_bytes()),
            }
        }
        Ok(())
    }
}
