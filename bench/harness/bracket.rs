//! The bracket: one fixed block of machine code that every sample of every case runs through.
//!
//! It reads the clock, calls the operation, and reads the clock again, fenced so that neither the operation nor anything
//! around it moves across a read. The two halves of each reading are put together after the second read only, and the block
//! is the same bytes at the same address for all cases, so the compiler has no part in what is measured. Its own cost, that
//! of an empty operation, is measured with it and taken off.
//!
//! LFENCE;RDTSC;LFENCE: Intel SDM volume 2, RDTSC; AMD APM volume 3, with LFENCE dispatch-serialising. MFENCE before the
//! closing read waits for the stores of the operation (page-table entries) to be visible. CPUID would leave the guest, and
//! RDTSCP is fatal where a hypervisor does not report it.

use core::arch::asm;

/// An operation as the bracket calls it: the System V ABI's one argument, and nothing inlined.
pub type Operation = unsafe extern "C" fn(*mut ());

/// Ticks from the opening to the closing read around one call of `operation` with `state`.
///
/// # Safety
///
/// `operation` may be called with `state`.
#[inline(never)]
pub unsafe fn ticks(operation: Operation, state: *mut ()) -> u64 {
    let ticks: u64;
    // SAFETY: the caller vouches for the call; the stack is aligned at an `asm!` block that may push, and all that a C
    // function may change is declared.
    unsafe {
        asm!(
            "mfence",
            "lfence",
            "rdtsc",
            "lfence",
            "mov r12, rax",
            "mov r13, rdx",
            "call r14",
            "mfence",
            "lfence",
            "rdtsc",
            "lfence",
            "shl rdx, 32",
            "or rax, rdx",
            "shl r13, 32",
            "or r12, r13",
            "sub rax, r12",
            in("rdi") state,
            in("r14") operation,
            out("r12") _,
            out("r13") _,
            lateout("rax") ticks,
            clobber_abi("C"),
        );
    }
    ticks
}

/// Ticks of the bracket around nothing.
pub fn empty() -> u64 {
    extern "C" fn nothing(_state: *mut ()) {}
    // SAFETY: `nothing` takes any pointer.
    unsafe { ticks(nothing, core::ptr::null_mut()) }
}
