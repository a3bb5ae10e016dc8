//! A small kernel that times one operation and prints the log that `pagemark` reads. QEMU boots it by PVH:
//! `pagemark run --icount --image target/x86_64-unknown-none/release/example-image`.
#![no_std]
#![no_main]

use core::arch::x86_64::{__cpuid, _rdtsc};
use core::fmt::{Result, Write};
use pagemark_record::{CaseResult, Clock, ExitCode, LogWriter, Machine, Record, SCHEMA, Start, Verdict};
use x86::io::{inb, outb};

core::arch::global_asm!(include_str!("entry.s"));

/// The first serial port, as the firmware left it.
struct Serial;

impl Write for Serial {
    fn write_str(&mut self, text: &str) -> Result {
        for byte in text.bytes() {
            // SAFETY: COM1's registers are nobody else's.
            unsafe {
                while inb(0x3fd) & 0x20 == 0 {}
                outb(0x3f8, byte);
            }
        }
        Ok(())
    }
}

fn log(log: &mut LogWriter<Serial>) -> Result {
    let start = Start { schema: SCHEMA, revision: "v1".into(), suite: "quick".into(), command_line: "".into(), text_offset: 0 };
    log.record(&Record::Start(start))?;
    let clock = Clock::Icount;
    let cpu = "the CPU that QEMU has".into();
    let machine = Machine {
        cpu, family: 0, model: 0, stepping: 0, hypervisor: None, clock, tsc_hz: None, tsc_source: "icount".into(), invariant_tsc: true,
        ticks_per_1000_nops: 1000, ram_bytes: 0, cpus: 1, layout: "flat".into(), loader: "pvh".into(), features: "".into(),
        identity: None, date: None,
    };
    log.record(&Record::Machine(machine))?;
    // SAFETY: every CPU of 64 bits has RDTSC and CPUID.
    let ticks = unsafe { let before = _rdtsc(); __cpuid(0); _rdtsc() - before };
    log.record(&Record::Result(CaseResult::of_equal("cpu/cpuid".into(), clock.unit(), ticks.into(), 1, "".into())))?;
    log.end(Verdict::Pass)
}

#[unsafe(no_mangle)]
extern "C" fn run() -> ! {
    let written = log(&mut LogWriter::new(Serial));
    let verdict = if written.is_ok() { Verdict::Pass } else { Verdict::Fail };
    // SAFETY: QEMU's isa-debug-exit ends the run.
    unsafe { outb(0xf4, ExitCode::from(verdict) as u8) };
    loop {}
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}
