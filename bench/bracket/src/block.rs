//! The bracket: one fixed block of machine code that every sample of every case runs through.
//!
//! It reads the clock, calls the operation a number of times, and reads the clock again, fenced so that neither the operation
//! nor anything around it moves across a read. The two halves of each reading are put together after the second read only,
//! both readings stay in registers until then, and the block is the same bytes at the same address, a multiple of 64, for all
//! cases of a class, unless it is moved on purpose ([`SWEEP`]). So the compiler has no part in what is measured, and no store of
//! the harness can evict what a case has touched. Its own cost, that of an empty operation, is measured with it and subtracted.
//! `linker.ld` puts it ahead of the code that it measures, so that an image whose code lies elsewhere (`--text-offset`) has its
//! bracket where every other has it.
//!
//! Before each read: LFENCE, so that the operation has completed; MFENCE, so that its stores (page-table entries) are visible;
//! LFENCE, so that the read waits for both. The first one puts the operation and the MFENCE in series. Without it they overlap,
//! and an operation shorter than an MFENCE, some 25 cycles, costs nothing. LFENCE;RDTSC;LFENCE: Intel SDM volume 2, RDTSC; AMD
//! APM volume 3, with LFENCE dispatch-serialising. CPUID would leave the guest, and RDTSCP is fatal where a hypervisor does not
//! report it.
//!
//! There are two blocks. [`independent`] calls the operation again and again: the CPU overlaps the calls as far as it can.
//! [`chained`] makes the argument of each call depend on the result of the one before, through a fixed chain of
//! multiplications that is longer than a call and a return take. So the latency of an operation adds to that chain, cycle by cycle,
//! however short it is, where in a plain loop it hides behind the call.

use core::arch::asm;
use core::mem::MaybeUninit;

/// An operation as the bracket calls it: the System V ABI's one argument, and nothing inlined. What it returns is its result where the
/// next call is to depend on it, and is ignored otherwise.
pub type Operation = unsafe extern "C" fn(*mut ()) -> MaybeUninit<u64>;

/// A bracket: ticks from the opening to the closing read around `count` calls of `operation` with `state`; `count` is not 0.
///
/// # Safety
///
/// `operation` may be called with `state`, that many times.
pub type Bracket = unsafe fn(operation: Operation, state: *mut (), count: u64) -> u64;

/// The brackets at one place.
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    /// Calls that do not depend on each other.
    pub independent: Bracket,
    /// Calls of which each has the result of the one before in its argument.
    pub chained: Bracket,
}

/// The block, `$offset` bytes behind a multiple of 64. The NOPs there are outside of what is measured. `$argument` puts the state,
/// R15, into RDI.
macro_rules! block {
    ($operation:ident, $state:ident, $count:ident, $offset:expr, [$($argument:literal),*]) => {{
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
                "lfence",
                "mfence",
                "lfence",
                "rdtsc",
                "lfence",
                "mov r12, rax",
                "mov r13, rdx",
                "2:",
                $($argument,)*
                "call r14",
                "dec rbx",
                "jnz 2b",
                "lfence",
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

/// The block for calls that do not depend on each other.
macro_rules! independent {
    ($operation:ident, $state:ident, $count:ident, $offset:expr) => {
        block!($operation, $state, $count, $offset, ["mov rdi, r15"])
    };
}

/// The block for calls of which each has the result of the one before in its argument. AND with 0 is no idiom that a CPU resolves
/// without its input, as XOR with itself is: the state depends on RAX, and is the same.
macro_rules! chained {
    ($operation:ident, $state:ident, $count:ident, $offset:expr) => {
        block!(
            $operation,
            $state,
            $count,
            $offset,
            [
                ".rept 8",
                "imul rax, rax, 3",
                ".endr",
                "and rax, 0",
                "lea rdi, [r15 + rax]"
            ]
        )
    };
}

/// Calls that do not depend on each other, at a multiple of 64.
///
/// # Safety
///
/// See [`Bracket`].
#[inline(never)]
#[unsafe(link_section = ".text.bracket")]
pub unsafe fn independent(operation: Operation, state: *mut (), count: u64) -> u64 {
    independent!(operation, state, count, 0)
}

/// Calls of which each has the result of the one before in its argument, at a multiple of 64.
///
/// # Safety
///
/// See [`Bracket`].
#[inline(never)]
#[unsafe(link_section = ".text.bracket")]
pub unsafe fn chained(operation: Operation, state: *mut (), count: u64) -> u64 {
    chained!(operation, state, count, 0)
}

#[inline(never)]
#[unsafe(link_section = ".text.bracket")]
unsafe fn moved_independent<const OFFSET: u32>(
    operation: Operation,
    state: *mut (),
    count: u64,
) -> u64 {
    independent!(operation, state, count, OFFSET)
}

#[inline(never)]
#[unsafe(link_section = ".text.bracket")]
unsafe fn moved_chained<const OFFSET: u32>(
    operation: Operation,
    state: *mut (),
    count: u64,
) -> u64 {
    chained!(operation, state, count, OFFSET)
}

const fn moved<const OFFSET: u32>() -> Pair {
    Pair {
        independent: moved_independent::<OFFSET>,
        chained: moved_chained::<OFFSET>,
    }
}

/// Both brackets at a multiple of 64.
pub const PAIR: Pair = Pair {
    independent,
    chained,
};

/// Both brackets in steps of 8 bytes through the 64 of a cache line, the first at a multiple of 64. Where a figure depends on the
/// step, the code's place in memory is part of that figure.
pub static SWEEP: [Pair; 8] = [
    PAIR,
    moved::<8>(),
    moved::<16>(),
    moved::<24>(),
    moved::<32>(),
    moved::<40>(),
    moved::<48>(),
    moved::<56>(),
];

// The empty operations stand beside the blocks: there no linker takes one of them for another function of the same bytes.

/// What no operation costs, for calls that do not depend on each other: a return.
///
/// # Safety
///
/// None is needed: any pointer will do.
#[inline(never)]
#[unsafe(link_section = ".text.bracket")]
pub unsafe extern "C" fn nothing(_state: *mut ()) -> MaybeUninit<u64> {
    MaybeUninit::uninit()
}

/// What no operation costs, for calls of which each has the result of the one before in its argument: it passes that on.
///
/// # Safety
///
/// None is needed: any pointer will do.
#[inline(never)]
#[unsafe(link_section = ".text.bracket")]
pub unsafe extern "C" fn nothing_linked(state: *mut ()) -> MaybeUninit<u64> {
    MaybeUninit::new(state as u64)
}

/// Nothing at another address. It stands before an operation that is measured, so that the indirect call of each measured bracket comes
/// after one with another target, whether the operation is empty or not.
///
/// # Safety
///
/// None is needed: any pointer will do.
#[inline(never)]
#[unsafe(link_section = ".text.bracket")]
pub unsafe extern "C" fn nothing_else(_state: *mut ()) -> MaybeUninit<u64> {
    // SAFETY: a NOP, which makes this another function to the compiler.
    unsafe { asm!("nop", options(nomem, nostack, preserves_flags)) };
    MaybeUninit::uninit()
}
