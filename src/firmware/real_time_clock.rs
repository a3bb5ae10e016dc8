//! The date and time of the CMOS real-time clock: an MC146818 or what stands in for one (Motorola, "MC146818A", 1984; the IBM PC
//! AT's registers, kept since).
//!
//! The clock has no zone: some systems set it to UTC, others to local time.

use core::fmt;

/// A date and time as the clock has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DateTime {
    /// With its century.
    pub year: u16,
    /// From 1.
    pub month: u8,
    /// From 1.
    pub day: u8,
    /// From 0 to 23.
    pub hour: u8,
    /// From 0.
    pub minute: u8,
    /// From 0.
    pub second: u8,
}

impl fmt::Display for DateTime {
    /// As ISO 8601 writes it: `2026-11-30T13:39:53`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            year,
            month,
            day,
            hour,
            minute,
            second,
        } = self;
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
        )
    }
}

/// The clock's registers, one reading of them.
#[cfg(any(test, target_os = "none"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Registers {
    second: u8,
    minute: u8,
    hour: u8,
    day: u8,
    month: u8,
    year: u8,
    /// Register B: bit 1 is the 24-hour mode, bit 2 is binary instead of BCD.
    mode: u8,
}

#[cfg(any(test, target_os = "none"))]
impl Registers {
    /// The date and time; none where a register is out of range, as without a clock.
    fn decoded(self) -> Option<DateTime> {
        const PM: u8 = 0x80;
        let binary = self.mode & 0b100 != 0;
        let number = |register: u8| match (binary, register >> 4, register & 0xf) {
            (true, ..) => Some(register),
            (false, tens @ 0..=9, ones @ 0..=9) => Some(tens * 10 + ones),
            _ => None,
        };
        let hour = match self.mode & 0b10 != 0 {
            true => number(self.hour)?,
            false => match number(self.hour & !PM)? {
                hour @ 1..=12 => hour % 12 + if self.hour & PM != 0 { 12 } else { 0 },
                _ => return None,
            },
        };
        let date = DateTime {
            // The century's register moves from machine to machine; no machine that runs this image was set before 2000.
            year: 2000 + u16::from(number(self.year).filter(|year| *year < 100)?),
            month: number(self.month).filter(|month| (1..=12).contains(month))?,
            day: number(self.day).filter(|day| (1..=31).contains(day))?,
            hour: Some(hour).filter(|hour| *hour < 24)?,
            minute: number(self.minute).filter(|minute| *minute < 60)?,
            second: number(self.second).filter(|second| *second < 60)?,
        };
        Some(date)
    }
}

/// Seconds of a day.
#[cfg(any(test, target_os = "none"))]
pub const DAY: u32 = 24 * 60 * 60;

/// A time of the day as the registers have it in this mode: second, minute, hour.
#[cfg(any(test, target_os = "none"))]
fn encoded(second_of_day: u32, mode: u8) -> [u8; 3] {
    const PM: u8 = 0x80;
    let number = |number: u32| match mode & 0b100 != 0 {
        true => number as u8,
        false => (number / 10 * 16 + number % 10) as u8,
    };
    let hour = second_of_day / 3600 % 24;
    let hour = match mode & 0b10 != 0 {
        true => number(hour),
        false => number((hour + 11) % 12 + 1) | if hour >= 12 { PM } else { 0 },
    };
    [
        number(second_of_day % 60),
        number(second_of_day / 60 % 60),
        hour,
    ]
}

/// What the registers of the alarm held, and register B, a byte each from the lowest on.
#[cfg(target_os = "none")]
#[derive(Clone, Copy, Debug)]
pub struct Alarm(pub u64);

/// The alarm's registers: second, minute, hour; and registers B and C, in which these bits are of the alarm and of other interrupts.
#[cfg(target_os = "none")]
const ALARM: [u8; 3] = [1, 3, 5];
#[cfg(target_os = "none")]
const B: u8 = 0xb;
#[cfg(target_os = "none")]
const OF_ALARM: u8 = 0x20;
#[cfg(target_os = "none")]
const OTHERS: u8 = 0x50;

/// Sets the alarm for `seconds` seconds from now, up to a day, and returns the setting before; `None` without a clock that runs.
#[cfg(target_os = "none")]
pub fn set_alarm(seconds: u32) -> Option<Alarm> {
    /// Register A: the divider of a clock that runs. Register B: the clock is held for setting it.
    const DIVIDER: u8 = 0x70;
    const RUNS: u8 = 0x20;
    const HELD: u8 = 0x80;
    let now = read()?;
    let mode = register(B);
    if register(0xa) & DIVIDER != RUNS || mode & HELD != 0 {
        return None;
    }
    let now = (u32::from(now.hour) * 60 + u32::from(now.minute)) * 60 + u32::from(now.second);
    let before = [ALARM[0], ALARM[1], ALARM[2], B].map(register);
    for (place, value) in ALARM.into_iter().zip(encoded((now + seconds) % DAY, mode)) {
        set_register(place, value);
    }
    // What is pending is over.
    let _ = has_struck();
    set_register(B, mode & !OTHERS | OF_ALARM);
    Some(Alarm(u32::from_le_bytes(before).into()))
}

/// Whether the alarm has struck since it was last asked.
#[cfg(target_os = "none")]
pub fn has_struck() -> bool {
    register(0xc) & OF_ALARM != 0
}

/// Sets what was set before.
#[cfg(target_os = "none")]
pub fn restore_alarm(Alarm(before): Alarm) {
    for (place, value) in [B, ALARM[0], ALARM[1], ALARM[2]].into_iter().zip({
        let [second, minute, hour, mode] = (before as u32).to_le_bytes();
        [mode, second, minute, hour]
    }) {
        set_register(place, value);
    }
}

/// What the clock says; none where there is no clock, or it does not come to rest.
#[cfg(target_os = "none")]
pub fn read() -> Option<DateTime> {
    /// An update takes 2 ms; a port read about 1 µs. Without a clock the bit is set for ever.
    const TRIES: u32 = 20_000;
    const UPDATING: u8 = 0x80;
    let still = || {
        for _ in 0..TRIES {
            if register(0xa) & UPDATING == 0 {
                return true;
            }
            core::hint::spin_loop();
        }
        false
    };
    let once = || {
        still().then(|| Registers {
            second: register(0),
            minute: register(2),
            hour: register(4),
            day: register(7),
            month: register(8),
            year: register(9),
            mode: register(0xb),
        })
    };
    // Two equal readings: no update fell between the registers of either.
    let mut last = once()?;
    for _ in 0..4 {
        let now = once()?;
        if now == last {
            return now.decoded();
        }
        last = now;
    }
    None
}

#[cfg(target_os = "none")]
fn register(number: u8) -> u8 {
    use x86::io::{inb, outb};

    // SAFETY: selecting a register below 0EH changes nothing of the clock. Bit 7 of the selector, clear here, leaves NMIs enabled, as
    // they are.
    unsafe { outb(0x70, number) };
    // SAFETY: neither does reading it.
    unsafe { inb(0x71) }
}

#[cfg(target_os = "none")]
fn set_register(number: u8, value: u8) {
    use x86::io::outb;

    // SAFETY: as in `register`.
    unsafe { outb(0x70, number) };
    // SAFETY: the registers of the alarm and its interrupt are the watchdog's.
    unsafe { outb(0x71, value) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    const BCD: Registers = Registers {
        second: 0x53,
        minute: 0x39,
        hour: 0x13,
        day: 0x30,
        month: 0x11,
        year: 0x26,
        mode: 0b10,
    };

    fn shown(registers: Registers) -> Option<String> {
        registers.decoded().map(|date| date.to_string())
    }

    #[test]
    fn every_mode_is_understood() {
        let time = Some("2026-11-30T13:39:53".to_string());
        let binary = Registers {
            second: 53,
            minute: 39,
            hour: 13,
            day: 30,
            month: 11,
            year: 26,
            mode: 0b110,
        };
        let twelve = Registers {
            hour: 0x81,
            mode: 0,
            ..BCD
        };
        for registers in [BCD, binary, twelve] {
            assert_eq!(shown(registers), time);
        }
        let midnight = Registers {
            hour: 0x12,
            mode: 0,
            ..BCD
        };
        assert_eq!(midnight.decoded().map(|date| date.hour), Some(0));
        let noon = Registers {
            hour: 0x92,
            ..midnight
        };
        assert_eq!(noon.decoded().map(|date| date.hour), Some(12));
    }

    #[test]
    fn a_time_of_the_day_is_written_as_it_is_read() {
        for mode in [0, 0b10, 0b100, 0b110] {
            for second in [0, 59, 3599, 3600, 43_199, 43_200, 46_799, DAY - 1] {
                let [second_register, minute, hour] = encoded(second, mode);
                let registers = Registers {
                    second: second_register,
                    minute,
                    hour,
                    day: 1,
                    month: 1,
                    year: 1,
                    mode,
                };
                let date = registers.decoded().unwrap();
                let read = [date.hour, date.minute, date.second].map(u32::from);
                assert_eq!((read[0] * 60 + read[1]) * 60 + read[2], second, "{mode:#b}");
            }
        }
        assert_eq!(encoded(13 * 3600 + 39 * 60 + 53, 0), [0x53, 0x39, 0x81]);
    }

    #[test]
    fn a_port_without_a_clock_is_no_date() {
        let all = |byte| Registers {
            second: byte,
            minute: byte,
            hour: byte,
            day: byte,
            month: byte,
            year: byte,
            mode: byte,
        };
        assert_eq!(all(0xff).decoded(), None);
        assert_eq!(all(0).decoded(), None);
        assert_eq!(Registers { month: 0x1a, ..BCD }.decoded(), None);
    }
}
