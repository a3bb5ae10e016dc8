//! The limit of a run: a device that interrupts once, late, by an NMI that an I/O APIC delivers to the boot CPU. It reaches a CPU that
//! hangs with interrupts off, or halts, and disturbs no figure until it strikes.
//!
//! ```text
//! hpet    a comparator of the HPET
//! alarm   the alarm of the real-time clock, for machines without one
//! ```
//!
//! Other timers of a PC are of no use: the PIT strikes 18 times a second at least, and the local APIC's timer sends no NMI.
//!
//! 82093AA datasheet, 3.2.4 (redirection table). The local APIC lets NMIs in whatever its own table says, and even while it is switched
//! off by software (Intel SDM volume 3, 12.4.7.2).

#[cfg(target_os = "none")]
pub mod alarm;
pub mod hpet;

use core::fmt;
use core::sync::atomic::{AtomicU8, AtomicU32, Ordering::Relaxed};

use raw_cpuid::CpuId;
use spin::Mutex;

use super::interrupt_sources::IoApicRegisters;

/// Why a device cannot limit a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoWatchdog {
    /// The registers are none of an HPET.
    NoHpet,
    /// The main counter of the HPET stands still.
    StandsStill,
    /// No comparator can use any line of the I/O APICs that are known.
    NoRoute,
    /// No I/O APIC has the line of the real-time clock.
    NoLine,
    /// No real-time clock answers, or it stands still.
    NoClock,
    /// The boot CPU's number is beyond what an I/O APIC can address.
    BeyondXapic(u32),
}

impl fmt::Display for NoWatchdog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoWatchdog::NoHpet => write!(f, "what ACPI calls an HPET is none"),
            NoWatchdog::StandsStill => write!(f, "the HPET's counter stands still"),
            NoWatchdog::NoRoute => write!(f, "no I/O APIC has a line for a comparator of the HPET"),
            NoWatchdog::NoLine => write!(f, "no I/O APIC has the real-time clock's line"),
            NoWatchdog::NoClock => write!(f, "no real-time clock runs"),
            NoWatchdog::BeyondXapic(id) => {
                write!(
                    f,
                    "the boot CPU's APIC id is {id}, which an I/O APIC cannot address"
                )
            }
        }
    }
}

/// An entry of an I/O APIC, and the CPU that it sends an NMI to.
#[derive(Clone, Copy, Debug)]
struct Route {
    io_apic: IoApicRegisters,
    entry: u32,
    cpu: u8,
}

impl Route {
    /// The way from this interrupt line to the boot CPU, on which this is executed; `None` if no I/O APIC has the line.
    fn of(line: u32, io_apics: &[(u32, IoApicRegisters)]) -> Result<Option<Self>, NoWatchdog> {
        let cpu = CpuId::new()
            .get_feature_info()
            .map_or(0, |info| u32::from(info.initial_local_apic_id()));
        if cpu > 0xfe {
            return Err(NoWatchdog::BeyondXapic(cpu));
        }
        let mut routes = io_apics.iter().filter_map(|&(first, io_apic)| {
            let entry = line.checked_sub(first)?;
            let cpu = cpu as u8;
            (entry < io_apic.lines()).then_some(Route {
                io_apic,
                entry,
                cpu,
            })
        });
        Ok(routes.next())
    }

    fn deliver_nmi(&self) {
        self.io_apic.deliver_nmi(self.entry, self.cpu);
    }
}

/// Which device is armed: none, the HPET, the clock.
static ARMED: AtomicU8 = AtomicU8::new(NOTHING);
const NOTHING: u8 = 0;
const HPET: u8 = 1;
#[cfg(target_os = "none")]
const ALARM: u8 = 2;
/// How its interrupt gets to the boot CPU.
static ROUTE: Mutex<Option<Route>> = Mutex::new(None);
/// The limit, for words.
static SECONDS: AtomicU32 = AtomicU32::new(0);

/// The device will strike.
fn armed(device: u8, route: Route, seconds: u32) {
    route.deliver_nmi();
    *ROUTE.lock() = Some(route);
    SECONDS.store(seconds, Relaxed);
    ARMED.store(device, Relaxed);
}

/// The I/O APICs were masked: lets the watchdog's line through again.
pub fn keep() {
    if ARMED.load(Relaxed) != NOTHING
        && let Some(route) = *ROUTE.lock()
    {
        route.deliver_nmi();
    }
}

/// Whether an NMI of the boot CPU is the watchdog's, whose time is over: the limit in seconds, once. For the handler.
pub fn struck() -> Option<u32> {
    let is_over = match ARMED.load(Relaxed) {
        HPET => hpet::is_over(),
        #[cfg(target_os = "none")]
        ALARM => alarm::is_over(),
        _ => false,
    };
    is_over.then(|| {
        disarm();
        SECONDS.load(Relaxed)
    })
}

/// Disarms it.
pub fn disarm() {
    match ARMED.swap(NOTHING, Relaxed) {
        HPET => hpet::disarm(),
        #[cfg(target_os = "none")]
        ALARM => alarm::disarm(),
        _ => {}
    }
}
