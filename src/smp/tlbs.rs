//! The TLBs of all CPUs: the machine's side of the shootdown seam.

use core::hint::spin_loop;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use spin::Once;

use crate::cpu::apic::LocalApic;
use crate::cpu::invalidate::LocalTlb;
use crate::cpu::per_cpu::{self, PerCpu};
use crate::mm::shootdown::{CpuId, CpuMask, Cpus, GlobalSlot, Mailboxes, Shootdown};
use crate::smp::start_up::ApicId;

/// The TLBs of all CPUs as the machine flushes them: by today's protocol.
pub type MachineTlb = Shootdown<AllCpus, &'static Mailboxes>;

/// Requests by today's protocol.
pub static MAILBOXES: Mailboxes = Mailboxes::new();
/// Requests by the book's.
pub static GLOBAL_SLOT: GlobalSlot = GlobalSlot::new();

/// CPUs that are online, this one included; 0 while there is but one.
static ONLINE: AtomicU64 = AtomicU64::new(0);
/// How they are interrupted; set before any other CPU runs.
static APIC: Once<LocalApic> = Once::new();

/// All CPUs, as one of them sees them.
#[derive(Clone, Copy, Debug)]
pub struct AllCpus {
    local: LocalTlb,
}

impl AllCpus {
    /// The CPUs of a machine on which each flushes its own TLB like this.
    #[must_use]
    pub const fn new(local: LocalTlb) -> Self {
        AllCpus { local }
    }
}

impl Cpus for AllCpus {
    type Local = LocalTlb;

    #[inline(always)]
    fn local(&self) -> &LocalTlb {
        &self.local
    }

    #[inline(always)]
    fn current(&self) -> CpuId {
        per_cpu::current()
    }

    #[inline(always)]
    fn others(&self) -> CpuMask {
        match ONLINE.load(Relaxed) {
            0 => CpuMask::EMPTY,
            online => CpuMask::from_bits(online).without(CpuMask::of(per_cpu::current())),
        }
    }

    #[inline]
    fn interrupt(&self, cpu: CpuId) {
        interrupt(cpu);
    }

    #[inline(always)]
    fn pause(&self) {
        spin_loop();
    }
}

/// Sends an NMI to a CPU.
#[inline]
pub(super) fn interrupt(cpu: CpuId) {
    if let Some(apic) = APIC.get() {
        apic.send_nmi(ApicId(PerCpu::of(cpu).apic_id.load(Relaxed)));
    }
}

/// Says how CPUs are interrupted. The first call counts.
pub(super) fn interrupt_by(apic: LocalApic) {
    APIC.call_once(|| apic);
}

/// Says which CPUs are online beside the boot CPU.
pub(super) fn set_online(others: CpuMask) {
    let online = match others {
        CpuMask::EMPTY => CpuMask::EMPTY,
        others => others.with(CpuId::BOOT),
    };
    ONLINE.store(online.bits(), Relaxed);
}
