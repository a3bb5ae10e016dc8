//! The bracket: one fixed block of machine code that every sample of every case runs through.
//!
//! It reads the clock, calls the operation a number of times, and reads the clock again, fenced so that neither the operation
//! nor anything around it moves across a read. The two halves of each reading are put together after the second read only,
//! both readings stay in registers until then, and the block is the same bytes at the same address, a multiple of 64, for all
//! cases, unless it is moved on purpose ([`SWEEP`]). So the compiler has no part in what is measured, and no store of the harness
//! can evict what a case has touched. Its own cost, that of an empty operation, is measured with it and taken off. `linker.ld`
//! puts it ahead of the code that it measures, so that an image whose code lies elsewhere (`--text-offset`) has its bracket where
//! every other has it.
//!
//! LFENCE;RDTSC;LFENCE: Intel SDM volume 2, RDTSC; AMD APM volume 3, with LFENCE dispatch-serialising. MFENCE before the
//! closing read waits for the stores of the operation (page-table entries) to be visible. CPUID would leave the guest, and
//! RDTSCP is fatal where a hypervisor does not report it.

use core::arch::asm;

/// An operation as the bracket calls it: the System V ABI's one argument, and nothing inlined.
pub type Operation = unsafe extern "C" fn(*mut ());

/// A bracket: ticks from the opening to the closing read around `count` calls of `operation` with `state`; `count` is not 0.
///
/// # Safety
///
/// `operation` may be called with `state`, that many times.
pub type Bracket = unsafe fn(operation: Operation, state: *mut (), count: u64) -> u64;

/// The block, `$offset` bytes behind a multiple of 64. The NOPs there are outside of what is measured.
macro_rules! block {
    ($operation:ident, $state:ident, $count:ident, $offset:expr) => {{
        debug_assert_ne!($count, 0);
        let ticks: u64;
        // SAFETY: the caller vouches for the calls; the stack is aligned at an `asm!` block that may push, two pushes keep it
        // so, and all that a C function may change is declared or, as RBX, saved.
        unsafe {
            asm!(
                ".p2align 6",
                ".fill {offset}, 1, 0x90",
                "push rbx",
                "push rbx",
                "mov rbx, rdx",
                "mfence",
                "lfence",
                "rdtsc",
                "lfence",
                "mov r12, rax",
                "mov r13, rdx",
                "2:",
                "mov rdi, r15",
                "call r14",
                "dec rbx",
                "jnz 2b",
                "mfence",
                "lfence",
                "rdtsc",
                "lfence",
                "shl rdx, 32",
                "or rax, rdx",
                "shl r13, 32",
                "or r12, r13",
                "sub rax, r12",
                "pop rbx",
                "pop rbx",
                offset = const $offset,
                in("rdx") $count,
                in("r15") $state,
                in("r14") $operation,
                out("r12") _,
                out("r13") _,
                lateout("rax") ticks,
                clobber_abi("C"),
            );
        }
        ticks
    }};
}

/// The [`Bracket`] at a multiple of 64.
///
/// # Safety
///
/// See [`Bracket`].
#[inline(never)]
#[unsafe(link_section = ".text.bracket")]
pub unsafe fn ticks(operation: Operation, state: *mut (), count: u64) -> u64 {
    block!(operation, state, count, 0)
}

/// It, so many bytes behind a multiple of 64.
#[inline(never)]
#[unsafe(link_section = ".text.bracket")]
unsafe fn moved<const OFFSET: u32>(operation: Operation, state: *mut (), count: u64) -> u64 {
    block!(operation, state, count, OFFSET)
}

/// The [`Bracket`] in steps of 8 bytes through the 64 of a cache line: where a figure depends on it, the code's place in memory is
/// part of that figure.
pub static SWEEP: [Bracket; 8] = [
    ticks,
    moved::<8>,
    moved::<16>,
    moved::<24>,
    moved::<32>,
    moved::<40>,
    moved::<48>,
    moved::<56>,
];

/// Ticks of a bracket around `count` calls of nothing.
pub fn empty(bracket: Bracket, count: u64) -> u64 {
    extern "C" fn nothing(_state: *mut ()) {}
    // SAFETY: `nothing` takes any pointer.
    unsafe { bracket(nothing, core::ptr::null_mut(), count) }
}
