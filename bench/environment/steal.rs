//! KVM's steal time: how long the hypervisor ran something else while this CPU wanted to run (Linux, Documentation/virt/kvm/x86,
//! msr.rst and cpuid.rst).

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use pagemark::cpu::hypervisor::KVM;
use pagemark::cpu::probe::write_msr;
use pagemark::machine::Machine;
use pagemark::mm::address::{PAGE_SIZE, VirtAddr};
use raw_cpuid::cpuid;

const MSR_KVM_STEAL_TIME: u32 = 0x4b56_4d03;
/// EAX of KVM's second leaf.
const KVM_FEATURE_STEAL_TIME: u32 = 1 << 5;

/// The structure that the hypervisor keeps up to date; 64 bytes, 64-byte aligned.
#[repr(C, align(64))]
struct Shared {
    steal: AtomicU64,
    /// Odd while it is being written.
    version: AtomicU32,
    rest: [AtomicU32; 13],
}

static SHARED: Shared = Shared {
    steal: AtomicU64::new(0),
    version: AtomicU32::new(0),
    rest: [const { AtomicU32::new(0) }; 13],
};

/// The hypervisor's steal time, which it has agreed to report.
pub(super) struct StealTime(&'static Shared);

impl StealTime {
    /// Asks for it; `None` under another hypervisor, or none.
    pub(super) fn enable(machine: &Machine) -> Option<Self> {
        let under = machine.features.under.as_ref();
        let kvm = under.filter(|under| &under.name == KVM)?;
        if cpuid!(kvm.base + 1).eax & KVM_FEATURE_STEAL_TIME == 0 {
            return None;
        }
        let address = VirtAddr(&raw const SHARED as u64);
        let translation = machine.kernel.table.translate(address)?;
        let page = translation.address.0 & !(PAGE_SIZE - 1);
        let physical = page + address.0 % PAGE_SIZE;
        // SAFETY: the structure is there for good, and made of atomics, as the hypervisor writes it at any time.
        let taken = unsafe { write_msr(MSR_KVM_STEAL_TIME, physical | 1) };
        taken.then_some(StealTime(&SHARED))
    }

    /// Nanoseconds since it was asked for.
    pub(super) fn nanoseconds(&self) -> u64 {
        loop {
            let before = self.0.version.load(Ordering::Acquire);
            let steal = self.0.steal.load(Ordering::Relaxed);
            fence(Ordering::Acquire);
            if before.is_multiple_of(2) && self.0.version.load(Ordering::Relaxed) == before {
                // The rest of the structure is the hypervisor's.
                let _ = &self.0.rest;
                return steal;
            }
            core::hint::spin_loop();
        }
    }
}
