//! The rate that KVM's clock gives the time-stamp counter (Linux, Documentation/virt/kvm/x86, msr.rst).

use core::sync::atomic::{AtomicI8, AtomicU8, AtomicU32, AtomicU64, Ordering, fence};

use pagemark::cpu::access::{CpuAccess, ThisCpu};
use pagemark::cpu::stated_rate::{by_kvm_clock, kvm_clock_register};
use pagemark::machine::Machine;
use pagemark::mm::address::VirtAddr;

/// The structure that the hypervisor fills while the clock is on.
#[repr(C, align(32))]
struct Shared {
    /// Odd while it is being written, 0 before it was.
    version: AtomicU32,
    _padding: AtomicU32,
    _tsc: AtomicU64,
    _nanoseconds: AtomicU64,
    multiplier: AtomicU32,
    shift: AtomicI8,
    _flags: AtomicU8,
    _end: [AtomicU8; 2],
}

static SHARED: Shared = Shared {
    version: AtomicU32::new(0),
    _padding: AtomicU32::new(0),
    _tsc: AtomicU64::new(0),
    _nanoseconds: AtomicU64::new(0),
    multiplier: AtomicU32::new(0),
    shift: AtomicI8::new(0),
    _flags: AtomicU8::new(0),
    _end: [const { AtomicU8::new(0) }; 2],
};

/// Looks that a whole structure is waited for: the hypervisor writes it before the CPU goes on.
const LOOKS: u32 = 1000;

/// Switches the clock on, reads the rate, and switches it off again; `None` under another hypervisor, or none.
pub(super) fn rate(machine: &Machine) -> Option<u64> {
    let register = kvm_clock_register(&ThisCpu, machine.features.under.as_ref()?)?;
    let address = VirtAddr(&raw const SHARED as u64);
    let physical = machine.kernel.table.translate(address)?.address.0;
    // SAFETY: the structure is there for good and lies within a page, and is made of atomics, as the hypervisor writes it at any time.
    if !unsafe { ThisCpu.write_msr(register, physical | 1) } {
        return None;
    }
    let rate = read();
    // SAFETY: nobody else uses the clock.
    unsafe { ThisCpu.write_msr(register, 0) };
    rate
}

fn read() -> Option<u64> {
    for _ in 0..LOOKS {
        let before = SHARED.version.load(Ordering::Acquire);
        let multiplier = SHARED.multiplier.load(Ordering::Relaxed);
        let shift = SHARED.shift.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        let whole = before != 0 && before.is_multiple_of(2);
        if whole && SHARED.version.load(Ordering::Relaxed) == before {
            return by_kvm_clock(multiplier, shift);
        }
        core::hint::spin_loop();
    }
    None
}
