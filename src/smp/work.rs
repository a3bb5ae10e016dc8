//! What started CPUs do: each waits in HLT until it is given something to do, does it, and waits again.
//!
//! Waiting in HLT with interrupts off ends by an NMI alone, and one that comes between the last look at what there is to do and
//! the HLT must not be slept through. So the look and the HLT are one short piece of code, and an NMI that strikes within it goes
//! on at its start.

use core::arch::global_asm;
use core::ptr;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use super::job::Job;
use super::tlbs::{self, AllCpus};
use crate::cpu::exception_frame::ExceptionFrame;
use crate::cpu::invalidate::flush_everything;
use crate::cpu::per_cpu::{self, PerCpu};
use crate::cpu::spin::{Bound, MEASUREMENT};
use crate::mm::shootdown::{CpuId, CpuMask, Protocol};

// Waits until the word at RDI is not 0. The word at RSI is set before each HLT. Unless EDX is 0, interrupts by vector are let in, in HLT
// alone: STI lets them in after the next instruction.
global_asm!(
    ".pushsection .text.wait_in_hlt, \"ax\"",
    "wait_in_hlt:",
    "cli",
    "cmp qword ptr [rdi], 0",
    "jne wait_in_hlt_end",
    "mov qword ptr [rsi], 1",
    "test edx, edx",
    "jz 2f",
    "sti",
    "2:",
    "hlt",
    "wait_in_hlt_woken:",
    "jmp wait_in_hlt",
    "wait_in_hlt_end:",
    "ret",
    ".popsection",
);

unsafe extern "C" {
    fn wait_in_hlt(word: *const u64, halted: *mut u64, by_vector: u32);
    static wait_in_hlt_woken: u8;
    static wait_in_hlt_end: u8;
}

/// For the handlers of interrupts: one that struck while its CPU waited goes on at the look. Where the HLT was over, it was this
/// interrupt that ended it.
pub(super) fn restart_wait(frame: &mut ExceptionFrame) {
    let start = wait_in_hlt as *const () as u64;
    if (start..&raw const wait_in_hlt_end as u64).contains(&frame.rip) {
        let this = per_cpu::this();
        if frame.rip == &raw const wait_in_hlt_woken as u64 {
            this.woken.fetch_add(1, Relaxed);
        }
        this.halted.store(0, Relaxed);
        frame.rip = start;
    }
}

/// Waits in HLT until a word is not 0, which an NMI makes this CPU look at and, with `by_vector`, an interrupt by vector.
pub(super) fn wait_for(word: &AtomicU64, by_vector: bool) {
    let halted = per_cpu::this().halted.as_ptr();
    // SAFETY: both words are there until it returns, and are shared as atomics.
    unsafe { wait_in_hlt(word.as_ptr(), halted, u32::from(by_vector)) };
}

/// Does what it is given, for ever.
pub(super) fn serve(cpus: &AllCpus, this: CpuId) -> ! {
    let per_cpu = PerCpu::of(this);
    let mailboxes = tlbs::mailboxes();
    loop {
        mailboxes.enter_idle(cpus);
        // SAFETY: a pointer is a word, which is 0 where it is null, and nobody writes to it but as an atomic.
        wait_for(
            unsafe { AtomicU64::from_ptr(per_cpu.job.as_ptr().cast()) },
            false,
        );
        mailboxes.leave_idle(cpus);
        let job = per_cpu.job.load(Acquire);
        // SAFETY: the CPU that gave the job keeps it until the pointer is null again.
        let job = unsafe { &*job };
        // SAFETY: so it does with what the job works on.
        unsafe { job.run(this) };
        per_cpu.job.store(ptr::null_mut(), Release);
    }
}

/// The CPUs that were started, beside the boot CPU.
#[derive(Debug)]
pub struct Processors {
    others: CpuMask,
    missing: usize,
}

impl Processors {
    /// The boot CPU alone, without this many that the run was to have.
    #[must_use]
    pub const fn alone(missing: usize) -> Self {
        Processors::new(CpuMask::EMPTY, missing)
    }

    /// CPUs that wait in [`serve`], without this many that the run was to have.
    pub(super) const fn new(others: CpuMask, missing: usize) -> Self {
        Processors { others, missing }
    }

    /// CPUs that the machine has and that the run was to have, and goes without: they do not start, or cannot be reached.
    #[must_use]
    pub const fn missing(&self) -> usize {
        self.missing
    }

    /// How many there are, the boot CPU included.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.others.count() + 1
    }

    /// All but the boot CPU.
    #[must_use]
    pub const fn others(&self) -> &CpuMask {
        &self.others
    }

    /// The first `count` of them, the boot CPU left out.
    #[must_use]
    pub fn first(&self, count: usize) -> CpuMask {
        self.others.into_iter().take(count).collect()
    }

    /// Brings these CPUs online while `work` runs: they take part in shootdowns and can be given something to do. Called on the
    /// boot CPU, while no other is online.
    pub fn online<R>(&mut self, cpus: &CpuMask, work: impl FnOnce(&Online) -> R) -> R {
        let online = Online {
            cpus: cpus.and(&self.others),
        };
        tlbs::set_online(&online.cpus);
        // Their TLBs may hold translations from before; from here on shootdowns reach them.
        online.run_on_all(&|_| flush_everything(), || ());
        let result = work(&online);
        tlbs::set_online(&CpuMask::EMPTY);
        result
    }
}

/// CPUs that are online.
#[derive(Debug)]
pub struct Online {
    cpus: CpuMask,
}

impl Online {
    /// Those that are, the boot CPU left out.
    #[must_use]
    pub const fn cpus(&self) -> &CpuMask {
        &self.cpus
    }

    /// Has each of them call `job`, does `meanwhile` on this CPU, and returns when all are through and wait in HLT again. Called
    /// on the boot CPU; not within itself.
    pub fn run_on_all<J: Fn(CpuId) + Sync, R>(&self, job: &J, meanwhile: impl FnOnce() -> R) -> R {
        let mut job = Job::of(job);
        hand_out(&self.cpus, &raw mut job);
        let result = meanwhile();
        wait_for_jobs(&self.cpus);
        result
    }
}

/// Gives each of these CPUs the job, and wakes it.
fn hand_out(on: &CpuMask, job: *mut Job) {
    for cpu in on {
        let before = PerCpu::of(cpu).job.swap(job, AcqRel);
        debug_assert!(before.is_null(), "CPU {cpu} is at work");
        tlbs::interrupt(cpu);
    }
}

/// Returns when each of these CPUs has finished its job and emptied its mailbox.
///
/// # Panics
///
/// When one has not within [`MEASUREMENT`]: its job borrows from the caller, so that there is no going on without it.
fn wait_for_jobs(on: &CpuMask) {
    let mailboxes = tlbs::mailboxes();
    for cpu in on {
        let per_cpu = PerCpu::of(cpu);
        let mut bound = Bound::new(MEASUREMENT);
        while !per_cpu.job.load(Acquire).is_null() || !mailboxes.is_idle(cpu) {
            assert!(bound.spin(), "CPU {cpu} does not finish its job");
        }
    }
}
