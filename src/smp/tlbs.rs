//! The TLBs of all CPUs: the machine's side of the shootdown seam.

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use spin::Once;

use crate::cpu::apic::LocalApic;
use crate::cpu::invalidate::LocalTlb;
use crate::cpu::per_cpu::{self, PerCpu};
use crate::cpu::spin::Bound;
use crate::mm::shootdown::{
    BITS, CpuId, CpuMask, Cpus, GlobalSlot, Mailboxes, SharedMask, Shootdown, Slot,
};
use crate::smp::start_up::ApicId;

/// The TLBs of all CPUs as the machine flushes them: by today's protocol.
pub type MachineTlb = Shootdown<AllCpus, &'static Mailboxes>;

/// Requests by today's protocol.
static MAILBOXES: Once<Mailboxes> = Once::new();
/// The slot of a CPU that stays alone.
static ALONE: [Slot; 1] = [Slot::new()];
/// Requests by the book's.
pub static GLOBAL_SLOT: GlobalSlot = GlobalSlot::new();

/// CPUs that are online, the boot CPU included; empty while it is the only one.
static ONLINE: SharedMask = SharedMask::new();
/// Words of the sets of CPUs; set before any other CPU runs.
static WORDS: AtomicUsize = AtomicUsize::new(1);
/// How they are interrupted, as [`LocalApic::word`]; set before any other CPU runs.
static APIC: AtomicU64 = AtomicU64::new(0);

/// Makes room for CPUs with as many numbers as there are slots; none if the boot CPU stays alone. The first call counts.
pub fn start(slots: Option<&'static [Slot]>) -> &'static Mailboxes {
    let slots = slots.unwrap_or(&ALONE);
    WORDS.store(slots.len().div_ceil(BITS).max(1), Relaxed);
    MAILBOXES.call_once(|| Mailboxes::new(slots))
}

/// Requests by today's protocol.
///
/// # Panics
///
/// Before [`start`].
#[must_use]
pub fn mailboxes() -> &'static Mailboxes {
    MAILBOXES.get().expect("the memory system is up")
}

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
    fn words(&self) -> usize {
        WORDS.load(Relaxed)
    }

    #[inline(always)]
    fn online(&self, word: usize) -> u64 {
        ONLINE.word(word).load(Relaxed)
    }

    #[inline]
    fn interrupt(&self, cpu: CpuId) {
        interrupt(cpu);
    }

    type Wait = Bound;

    #[inline(always)]
    fn pause(&self, wait: &mut Bound) -> bool {
        wait.spin()
    }
}

/// Sends an NMI to a CPU.
#[inline]
pub(super) fn interrupt(cpu: CpuId) {
    local_apic().send_nmi(apic_id(cpu));
}

/// How CPUs are interrupted.
#[inline]
pub(super) fn local_apic() -> LocalApic {
    LocalApic::of_word(APIC.load(Relaxed))
}

/// The number that a CPU is interrupted by.
#[inline]
pub(super) fn apic_id(cpu: CpuId) -> ApicId {
    ApicId(PerCpu::of(cpu).apic_id.load(Relaxed))
}

/// Says how CPUs are interrupted, before any other one runs.
pub(super) fn interrupt_by(apic: LocalApic) {
    APIC.store(apic.word(), Relaxed);
}

/// Says which CPUs are online beside the boot CPU.
pub(super) fn set_online(others: &CpuMask) {
    if others.is_empty() {
        ONLINE.store(others);
    } else {
        ONLINE.store(&others.clone().with(CpuId::BOOT));
    }
}
