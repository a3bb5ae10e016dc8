//! The CPUs of a process: threads, each pinned to a core of its own. The thread that starts the others is the boot CPU.
//!
//! A CPU that is parked sleeps in the kernel. One that is online waits for work in a loop with a PAUSE, as nothing else may run on its
//! core while something is measured: giving it work then takes no system call.

use std::io;
use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering::AcqRel, Ordering::Acquire, Ordering::Release};
use std::thread::{self, Thread};

use super::per_cpu::PerCpu;
use super::tlb;
use crate::cpu::spin::{Bound, MEASUREMENT};
use crate::mm::shootdown::{CpuId, CpuMask};
use crate::smp::job::Job;

/// Set while CPUs are online.
static ONLINE: AtomicBool = AtomicBool::new(false);

/// The cores that this thread may run on, lowest first.
///
/// # Errors
///
/// The kernel does not say.
pub fn allowed() -> io::Result<Vec<usize>> {
    // SAFETY: any bits are a set.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: the set has the size that is given.
    let status = unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set) };
    if status != 0 {
        return Err(io::Error::last_os_error());
    }
    let most = 8 * size_of::<libc::cpu_set_t>();
    // SAFETY: the numbers lie in the set.
    Ok((0..most)
        .filter(|&core| unsafe { libc::CPU_ISSET(core, &set) })
        .collect())
}

/// The core that this thread runs on; `None` where the kernel does not say.
#[must_use]
pub fn current_core() -> Option<usize> {
    // SAFETY: no memory is passed.
    usize::try_from(unsafe { libc::sched_getcpu() }).ok()
}

/// Pins this thread to a core.
///
/// # Errors
///
/// The kernel refuses.
pub fn pin_to(core: usize) -> io::Result<()> {
    // SAFETY: any bits are a set.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: the number lies in it.
    unsafe { libc::CPU_SET(core, &mut set) };
    // SAFETY: the set has the size that is given.
    match unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The CPUs beside the boot CPU.
#[derive(Debug)]
pub struct Processors {
    others: CpuMask,
    threads: Vec<Thread>,
    missing: usize,
}

/// Does what it is given, for ever.
fn serve(cpu: CpuId, core: usize) {
    // Where that is refused the kernel places the thread, and samples see that it migrates.
    let _ = pin_to(core);
    let job = &PerCpu::of(cpu).job;
    loop {
        let given = job.load(Acquire);
        if given.is_null() {
            match ONLINE.load(Acquire) {
                true => std::hint::spin_loop(),
                false => thread::park(),
            }
            continue;
        }
        // SAFETY: the thread that gave the job keeps it until the pointer is null again.
        let given = unsafe { &*given };
        // SAFETY: so it does with what the job works on.
        unsafe { given.run(cpu) };
        job.store(ptr::null_mut(), Release);
    }
}

impl Processors {
    /// The boot CPU alone, without this many that the run was to have.
    #[must_use]
    pub const fn alone(missing: usize) -> Self {
        Processors {
            others: CpuMask::EMPTY,
            threads: Vec::new(),
            missing,
        }
    }

    /// Starts a CPU on each of these cores; called once.
    #[must_use]
    pub fn start(cores: &[usize]) -> Self {
        let mut processors = Processors::alone(0);
        for (number, &core) in (1..).zip(cores) {
            let Some(cpu) = CpuId::new(number) else { break };
            let thread = thread::Builder::new().name(format!("cpu {number}"));
            match thread.spawn(move || serve(cpu, core)) {
                Ok(thread) => {
                    processors.others = processors.others.with(cpu);
                    processors.threads.push(thread.thread().clone());
                }
                Err(_) => processors.missing += 1,
            }
        }
        processors
    }

    /// CPUs that the run was to have, and goes without.
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

    /// Brings these CPUs online while `work` runs. Called on the boot CPU, while no other is online.
    pub fn online<R>(&mut self, cpus: &CpuMask, work: impl FnOnce(&Online) -> R) -> R {
        let online = Online {
            cpus: cpus.and(&self.others),
        };
        ONLINE.store(!online.cpus.is_empty(), Release);
        for cpu in &online.cpus {
            self.threads[cpu.number() - 1].unpark();
        }
        let result = work(&online);
        ONLINE.store(false, Release);
        // Flushes of several CPUs at once may be missing in the log.
        tlb::flush_everything();
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

    /// Has each of them call `job`, does `meanwhile` on this CPU, and returns when all are through. Called on the boot CPU; not within
    /// itself.
    pub fn run_on_all<J: Fn(CpuId) + Sync, R>(&self, job: &J, meanwhile: impl FnOnce() -> R) -> R {
        let mut job = Job::of(job);
        for cpu in &self.cpus {
            let before = PerCpu::of(cpu).job.swap(&raw mut job, AcqRel);
            debug_assert!(before.is_null(), "CPU {cpu} is at work");
        }
        let result = meanwhile();
        for cpu in &self.cpus {
            let mut bound = Bound::new(MEASUREMENT);
            while !PerCpu::of(cpu).job.load(Acquire).is_null() {
                // The job borrows from the caller: there is no going on without it.
                assert!(bound.spin(), "CPU {cpu} does not finish its job");
            }
        }
        result
    }
}
