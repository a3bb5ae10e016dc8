//! What each CPU has of its own, found through GS: its number, its stacks, its descriptor tables, and what it is to do.

use core::arch::asm;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering::Relaxed};

use spin::Once;
use x86::Ring;
use x86::msr::{IA32_GS_BASE, wrmsr};
use x86::segmentation::{SegmentSelector, load_gs};

use super::segments::{self, Segments};
use super::stacks::{self, Stack};
use crate::mm::address::VirtAddr;
use crate::mm::shootdown::{CpuId, MAX_CPUS};
use crate::smp::job::Job;

/// One CPU's own. It has cache lines of its own.
#[repr(C, align(64))]
pub struct PerCpu {
    /// The CPU's number. First, so that it is GS:0.
    number: AtomicU64,
    /// Where this lies: GS:8.
    this: AtomicPtr<PerCpu>,
    /// The number that its local APIC answers to.
    pub(crate) apic_id: AtomicU32,
    /// Interrupts of other CPUs that it has answered.
    pub(crate) answered: AtomicU64,
    /// 1 from just before it waits in HLT until an interrupt ends that.
    pub(crate) halted: AtomicU64,
    /// Interrupts that found it in HLT.
    pub(crate) woken: AtomicU64,
    /// Words for what it is given to do, which means them as it likes.
    pub(crate) notes: [AtomicU64; NOTES],
    /// What it is to do; null if nothing.
    pub(crate) job: AtomicPtr<Job>,
    stacks: Once<[Stack; 4]>,
    segments: UnsafeCell<Segments>,
}

// SAFETY: the descriptor tables are written by `load` alone, which each CPU calls once for its own; all else is atomic.
unsafe impl Sync for PerCpu {}

/// Words that a job may use.
pub const NOTES: usize = 4;

static BOOT: PerCpu = PerCpu::new();
/// By number. A number that no CPU has leads to the boot CPU's, as [`load`] has it before anything else: 8 KiB of zeros take no room in
/// the image.
static CPUS: [AtomicPtr<PerCpu>; MAX_CPUS] =
    [const { AtomicPtr::new(core::ptr::null_mut()) }; MAX_CPUS];

impl PerCpu {
    /// A CPU's own, before it runs.
    pub(crate) const fn new() -> Self {
        PerCpu {
            number: AtomicU64::new(0),
            this: AtomicPtr::new(core::ptr::null_mut()),
            apic_id: AtomicU32::new(0),
            answered: AtomicU64::new(0),
            halted: AtomicU64::new(0),
            woken: AtomicU64::new(0),
            notes: [const { AtomicU64::new(0) }; NOTES],
            job: AtomicPtr::new(core::ptr::null_mut()),
            stacks: Once::new(),
            segments: UnsafeCell::new(Segments::EMPTY),
        }
    }

    /// What the CPU with this number has.
    #[inline(always)]
    #[must_use]
    pub fn of(cpu: CpuId) -> &'static PerCpu {
        let place = &CPUS[cpu.number() % MAX_CPUS];
        // SAFETY: each place leads to something that stays, since the boot CPU's `load`, which is the first to call this.
        unsafe { &*place.load(Relaxed) }
    }

    /// Makes room for CPUs beside the boot CPU, which are to have the numbers from 1 on.
    pub(crate) fn make_room(others: &'static [PerCpu]) {
        for (place, per_cpu) in CPUS[1..].iter().zip(others) {
            place.store((&raw const *per_cpu).cast_mut(), Relaxed);
        }
    }

    /// Words of its own, for the job that it has: they mean what the job likes.
    #[inline(always)]
    #[must_use]
    pub const fn notes(&self) -> &[AtomicU64; NOTES] {
        &self.notes
    }

    /// How many interrupts of other CPUs it has answered so far.
    #[inline(always)]
    #[must_use]
    pub const fn answered(&self) -> &AtomicU64 {
        &self.answered
    }

    /// 1 while it waits in HLT, or is one instruction before it.
    #[must_use]
    pub const fn halted(&self) -> &AtomicU64 {
        &self.halted
    }

    /// How many interrupts have found it in HLT so far.
    #[must_use]
    pub const fn woken(&self) -> &AtomicU64 {
        &self.woken
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
    if cpu == CpuId::BOOT {
        for place in &CPUS {
            place.store((&raw const BOOT).cast_mut(), Relaxed);
        }
    }
    let per_cpu = PerCpu::of(cpu);
    per_cpu.number.store(cpu.number() as u64, Relaxed);
    per_cpu
        .this
        .store((&raw const *per_cpu).cast_mut(), Relaxed);
    // A null selector: IRETQ to ring 3 empties one of ring 0, and with it the base.
    // SAFETY: nothing has used GS before.
    unsafe { load_gs(SegmentSelector::new(0, Ring::Ring0)) };
    // SAFETY: the register exists on every CPU with long mode; nothing has used GS before.
    unsafe { wrmsr(IA32_GS_BASE, &raw const *per_cpu as u64) };
    // SAFETY: the tables are this CPU's.
    unsafe { segments::load(per_cpu.segments.get(), &per_cpu.stacks()) };
}

/// Sets the stack of this CPU for what comes from ring 3, and returns the one before.
///
/// # Safety
///
/// Nobody uses what lies below `stack`, as long as it is set and ring 3 runs.
pub unsafe fn set_entry_stack(stack: VirtAddr) -> VirtAddr {
    // SAFETY: the tables are this CPU's; the rest is the caller's promise.
    unsafe { segments::set_entry_stack(this().segments.get(), stack) }
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
    CpuId::from_low_bits(number as usize)
}

/// What this CPU has.
#[inline(always)]
#[must_use]
pub fn this() -> &'static PerCpu {
    let this: *const PerCpu;
    // SAFETY: GS:8 is where it lies, which never changes once GS points to it.
    unsafe {
        asm!("mov {}, gs:[8]", out(reg) this, options(nostack, preserves_flags, readonly, pure));
    }
    // SAFETY: it is a static, and its fields are atomics.
    unsafe { &*this }
}
