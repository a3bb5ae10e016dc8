//! The image: the entry code's call, and what the bare machine adds to the application.

use pagemark::boot::command_line::Provoke;
use pagemark::console::log;
use pagemark::machine::{self, Machine};
use pagemark::mm::shootdown::CpuId;
use pagemark_record::{Clock, Record};

use crate::application;
use crate::environment::Found;

/// The entry code's call into Rust.
///
/// # Safety
///
/// Called by the entry code, once, with what the loader handed over.
#[unsafe(no_mangle)]
unsafe extern "C" fn image_entry(magic: u32, info: u32) -> ! {
    // SAFETY: the caller's promise.
    unsafe { machine::start(magic, info, application::run) }
}

/// Writes the `machine` record.
pub fn tell_machine(machine: &Machine, found: &Found) {
    let features = &machine.features;
    let (hertz, source) = found.rate();
    // Logs of counted instructions are equal from run to run, so they carry no date.
    let counted = found.clock() == Clock::Icount;
    let date = match counted {
        true => None,
        false => pagemark::firmware::real_time_clock::read(),
    };
    let date = date.map(|date| {
        let mut text = arrayvec::ArrayString::<32>::new();
        // It has 19 characters.
        let _ = core::fmt::Write::write_fmt(&mut text, format_args!("{date}"));
        text
    });
    log::record(&Record::Machine(pagemark_record::Machine {
        cpu: features.name().into(),
        family: u32::from(features.family),
        model: u32::from(features.model),
        stepping: u32::from(features.stepping),
        hypervisor: features.hypervisor().map(Into::into),
        clock: found.clock(),
        tsc_hz: hertz,
        tsc_source: source.into(),
        invariant_tsc: features.invariant_tsc,
        ticks_per_1000_nops: found.ticks_per_1000_nops(),
        ram_bytes: machine.ram_bytes,
        cpus: machine.firmware.processors.enabled.max(1),
        layout: machine.layout.name.into(),
        loader: format_args!("{}", machine.loader).into(),
        features: features.names().as_str().into(),
        identity: None,
        date: date.as_deref().map(pagemark_record::Text::from),
    }));
}

/// Fails as the command line asks. Comes back only if the failure does not come about.
pub fn fail_on_purpose(machine: &mut Machine, provoke: Provoke) {
    match provoke {
        Provoke::Panic => panic!("provoked by the command line"),
        Provoke::GuardPage => {
            overflow(0);
        }
        // SAFETY: address 0 is not mapped; the page fault ends the run.
        Provoke::Null => unsafe {
            core::arch::asm!("mov {0}, [{0}]", inout(reg) 0u64 => _, options(nostack, readonly));
        },
        Provoke::Hang => loop {
            core::hint::spin_loop();
        },
        Provoke::OtherCpuPanic => on_another_cpu(machine, &|cpu| {
            panic!("provoked on CPU {cpu} by the command line")
        }),
        Provoke::OtherCpuGuardPage => on_another_cpu(machine, &|_| {
            overflow(0);
        }),
        // They came before, the one only if there was another CPU.
        Provoke::BringUpHang | Provoke::StartingCpuPanic => {}
    }
}

/// Has the last CPU fail, while this one waits for it and the others write to the log. Without another CPU nothing happens.
fn on_another_cpu(machine: &mut Machine, fail: &(dyn Fn(CpuId) + Sync)) {
    let all = machine.processors.others().clone();
    let Some(last) = (&all).into_iter().last() else {
        return;
    };
    machine.processors.online(&all, |online| {
        let job = |cpu| {
            if cpu == last {
                fail(cpu);
            }
            loop {
                log::line(format_args!("CPU {cpu} is at work"));
            }
        };
        online.run_on_all(&job, || ());
    });
}

/// Fills the stack, frame by frame.
#[inline(never)]
#[expect(unconditional_recursion, reason = "that is what it is for")]
fn overflow(depth: u64) -> u64 {
    let frame = core::hint::black_box([depth; 64]);
    overflow(depth + 1) + frame[0]
}
