//! The frequency of the time-stamp counter, by every source that this machine has.

use pagemark::console::log;
use pagemark::cpu::access::ThisCpu;
use pagemark::cpu::reference_timers::{Hpet, Pit, PmTimer, ReferenceTimer};
use pagemark::cpu::stated_rate::StatedRates;
use pagemark::cpu::tsc;
use pagemark::machine::Machine;
use pagemark::mm::vmalloc::Caching;
use pagemark_record::{Notice, Record};
use pagemark_verdict::{Class, Clocks, Counted, Frequencies, Source, Timer, count};

use super::kvm_clock;

/// Parts of a second that are counted: 10 ms, and 1 ms where an instruction takes as much of that as a nanosecond does.
const PARTS: u64 = 100;
const PARTS_ICOUNT: u64 = 1000;

/// Asks every source. Of a clock whose ticks mean nothing only what costs nothing.
pub(super) fn measure(machine: &mut Machine, class: Class) -> Frequencies {
    let mut frequencies = Frequencies::default();
    let stated = StatedRates::read(&ThisCpu, &machine.features);
    frequencies.note(Source::Cpuid15, stated.cpuid_15h);
    frequencies.note(Source::Cpuid15ByModel, stated.cpuid_15h_by_model);
    frequencies.note(Source::Cpuid16, stated.cpuid_16h);
    frequencies.note(Source::Hypervisor, stated.hypervisor);
    frequencies.note(Source::KvmClock, kvm_clock::rate(machine));
    if class == Class::EmulatingKvm {
        // Each read of a timer takes tens of thousands of interpreted instructions.
        return frequencies;
    }
    let parts = match class {
        Class::TcgIcount { .. } => PARTS_ICOUNT,
        _ => PARTS,
    };
    frequencies.note_counted(Source::Hpet, against_hpet(machine, parts));
    if let Some(port) = machine.firmware.pm_timer {
        let rate = against(Source::PmTimer, &PmTimer::new(port), parts);
        frequencies.note_counted(Source::PmTimer, rate);
    }
    let pit = Pit::start();
    frequencies.note_counted(Source::Pit, against(Source::Pit, &pit, parts));
    pit.stop();
    frequencies
}

fn against_hpet(machine: &mut Machine, parts: u64) -> Option<Counted> {
    let physical = machine.firmware.hpet?;
    let (vmalloc, kernel) = (&mut machine.vmalloc, &mut machine.kernel);
    let area = match vmalloc.ioremap(physical, Hpet::BYTES, Caching::Uncached, kernel) {
        Ok(area) => area,
        Err(error) => {
            notice(Source::Hpet, format_args!("{error}"));
            return None;
        }
    };
    // SAFETY: the registers are mapped until the area is freed below, and nobody else uses the timer.
    let hertz = match unsafe { Hpet::start(area.address()) } {
        Some(hpet) => {
            let hertz = against(Source::Hpet, &hpet, parts);
            hpet.stop();
            hertz
        }
        None => {
            notice(
                Source::Hpet,
                format_args!("its registers are none of an HPET"),
            );
            None
        }
    };
    // What cannot be unmapped stays, and the list of areas at the end shows it.
    let _ = vmalloc.iounmap(area, kernel);
    hertz
}

/// Counts the TSC against a timer, or says why that cannot be done.
fn against(source: Source, timer: &impl ReferenceTimer, parts: u64) -> Option<Counted> {
    let how = Timer {
        hertz: timer.hertz(),
        mask: timer.mask(),
    };
    match count(&mut Beside(timer), how, parts) {
        Ok(counted) => Some(counted),
        Err(error) => {
            notice(source, format_args!("{error}"));
            None
        }
    }
}

fn notice(source: Source, text: core::fmt::Arguments<'_>) {
    log::record(&Record::Notice(Notice {
        text: format_args!("timer: {}: {text}", source.name()).into(),
    }));
}

/// The TSC beside a timer.
struct Beside<'t, T>(&'t T);

impl<T: ReferenceTimer> Clocks for Beside<'_, T> {
    fn tsc(&mut self) -> u64 {
        tsc::read()
    }

    fn timer(&mut self) -> u64 {
        self.0.read()
    }
}
