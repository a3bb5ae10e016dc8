//! Failures that the command line asks for, to see what becomes of them: `provoke=`.

use pagemark::boot::command_line::Provoke;
use pagemark::console::log;
use pagemark::machine::Machine;
use pagemark::mm::shootdown::CpuId;

/// Fails as the command line asks. Comes back only if the failure does not come about.
pub fn fail(machine: &mut Machine, provoke: Provoke) {
    match provoke {
        Provoke::Panic => panic!("provoked by the command line"),
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
        #[cfg(target_os = "none")]
        Provoke::GuardPage => {
            overflow(0);
        }
        #[cfg(target_os = "none")]
        Provoke::OtherCpuGuardPage => on_another_cpu(machine, &|_| {
            overflow(0);
        }),
        // The stacks of a process are the kernel's.
        #[cfg(not(target_os = "none"))]
        Provoke::GuardPage | Provoke::OtherCpuGuardPage => {}
        // They came before, the one only if there was another CPU.
        Provoke::BringUpHang | Provoke::StartingCpuPanic => {}
    }
}

/// Has the last CPU fail, while this one waits for it and the others write to the log. Without another CPU nothing happens.
fn on_another_cpu(machine: &mut Machine, fail: &(impl Fn(CpuId) + Sync)) {
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
#[cfg(target_os = "none")]
#[inline(never)]
#[expect(unconditional_recursion, reason = "that is what it is for")]
fn overflow(depth: u64) -> u64 {
    let frame = core::hint::black_box([depth; 64]);
    overflow(depth + 1) + frame[0]
}
