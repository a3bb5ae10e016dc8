//! What each CPU has of its own, found through GS: its number, its stacks, its descriptor tables, and what it is to do.

use core::arch::asm;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering::Relaxed};

use spin::Once;
use x86::msr::{IA32_GS_BASE, wrmsr};

use super::segments::{self, Segments};
use super::stacks::{self, Stack};
use crate::mm::address::VirtAddr;
use crate::mm::shootdown::{CpuId, MAX_CPUS};

/// Something that CPUs are given to do: a function, and what it works on.
pub struct Job {
    pub(crate) call: unsafe fn(*const (), CpuId),
    pub(crate) state: *const (),
}

/// One CPU's own. It has cache lines of its own.
#[repr(C, align(64))]
pub struct PerCpu {
    /// The CPU's number. First, so that it is GS:0.
    number: AtomicU64,
    /// The number that its local APIC answers to.
    pub(crate) apic_id: AtomicU32,
    /// NMIs that it has answered.
    pub(crate) answered: AtomicU64,
    /// What it is to do; null if nothing.
    pub(crate) job: AtomicPtr<Job>,
    stacks: Once<[Stack; 4]>,
    segments: UnsafeCell<Segments>,
}

// SAFETY: the descriptor tables are written by `load` alone, which each CPU calls once for its own; all else is atomic.
unsafe impl Sync for PerCpu {}

static CPUS: [PerCpu; MAX_CPUS] = [const { PerCpu::new() }; MAX_CPUS];

impl PerCpu {
    const fn new() -> Self {
        PerCpu {
            number: AtomicU64::new(0),
            apic_id: AtomicU32::new(0),
            answered: AtomicU64::new(0),
            job: AtomicPtr::new(core::ptr::null_mut()),
            stacks: Once::new(),
            segments: UnsafeCell::new(Segments::EMPTY),
        }
    }

    /// What the CPU with this number has.
    #[must_use]
    pub fn of(cpu: CpuId) -> &'static PerCpu {
        &CPUS[cpu.number()]
    }

    /// Its stacks: the main one, and those of NMI, #DF and #MC.
    #[must_use]
    pub fn stacks(&self) -> [Stack; 4] {
        self.stacks
            .get()
            .map_or_else(stacks::of_boot_cpu, Clone::clone)
    }

    /// The stack whose guard page holds `address`.
    #[must_use]
    pub fn stack_guarded_by(&self, address: VirtAddr) -> Option<Stack> {
        let mut stacks = self.stacks().into_iter();
        stacks.find(|stack| stack.guard_page().contains(&address))
    }

    /// Gives a CPU that is to be started its stacks.
    pub(crate) fn set_stacks(&self, stacks: [Stack; 4]) {
        self.stacks.call_once(|| stacks);
    }
}

/// Makes this CPU the one with this number: its GS, GDT, TSS and segment registers.
///
/// # Safety
///
/// Called once on each CPU, which has the number alone and, unless it is the boot CPU, its stacks; interrupts are off.
pub unsafe fn load(cpu: CpuId) {
    let per_cpu = PerCpu::of(cpu);
    per_cpu.number.store(cpu.number() as u64, Relaxed);
    // SAFETY: the register exists on every CPU with long mode; nothing has used GS before. The tables are this CPU's.
    unsafe {
        wrmsr(IA32_GS_BASE, &raw const *per_cpu as u64);
        segments::load(per_cpu.segments.get(), &per_cpu.stacks());
    }
}

/// This CPU.
#[inline(always)]
#[must_use]
pub fn current() -> CpuId {
    let number: u64;
    // SAFETY: GS:0 is the number, which never changes once GS points to it; until then GS is 0 and the boot stretch maps
    // address 0.
    unsafe {
        asm!("mov {}, gs:[0]", out(reg) number, options(nostack, preserves_flags, readonly, pure));
    }
    CpuId::new(number as usize).unwrap_or(CpuId::BOOT)
}

/// What this CPU has.
#[must_use]
pub fn this() -> &'static PerCpu {
    PerCpu::of(current())
}
