//! Reading the time-stamp counter, and the brackets by which it shows what it counts.

use core::arch::asm;

/// Reads the counter, after every earlier instruction has completed and before any later one starts.
///
/// LFENCE on both sides rather than RDTSCP or CPUID: some hypervisors end the machine on the one where it is not reported,
/// and every one exits on the other.
#[inline(always)]
#[must_use]
pub fn read() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: every CPU with long mode has RDTSC and LFENCE; neither touches memory.
    unsafe {
        asm!("lfence", "rdtsc", "lfence", out("eax") low, out("edx") high, options(nostack, preserves_flags));
    }
    u64::from(high) << 32 | u64::from(low)
}

/// One bracket around some instructions, as one block, so that the compiler puts nothing between the two reads. They may use R10 and R11,
/// and leave the stack alone.
macro_rules! ticks_of {
    ($($instructions:literal),*) => {{
        let ticks: u64;
        // SAFETY: reads of the clock, and instructions that change nothing but the registers that are named.
        unsafe {
            asm!(
                "lfence", "rdtsc", "lfence",
                "mov r8, rax",
                "mov r9, rdx",
                $($instructions,)*
                "lfence", "rdtsc", "lfence",
                "shl rdx, 32", "or rax, rdx",
                "shl r9, 32", "or r8, r9",
                "sub rax, r8",
                out("rax") ticks, out("rcx") _, out("rdx") _,
                out("r8") _, out("r9") _, out("r10") _, out("r11") _,
                options(nomem, nostack),
            );
        }
        ticks
    }};
}

/// Times that [`row_of_nops`] executes 1,000 NOPs.
pub const ROW: u64 = 16;

/// Ticks of one bracket around [`ROW`] times 1,000 NOPs: a clock that moves in steps shows their time more finely than one block's.
#[must_use]
#[inline(never)]
pub fn row_of_nops() -> u64 {
    const { assert!(ROW == 16) };
    ticks_of!(
        "mov r10d, 16",
        "2:",
        ".rept 1000",
        "nop",
        ".endr",
        "dec r10d",
        "jnz 2b"
    )
}

/// Ticks of brackets that show who executes the instructions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Brackets {
    /// Around nothing.
    pub empty: u64,
    /// Around one NOP.
    pub one_nop: u64,
    /// Around 1,000 NOPs, which a CPU executes several of a cycle.
    pub nops: u64,
    /// Around 1,000 additions, each to the result of the one before: a CPU executes one a cycle.
    pub additions: u64,
    /// Around a CPUID of leaf 0, which every hypervisor traps.
    pub cpuid: u64,
}

impl Brackets {
    /// Whether the clock counts instructions, as far as one reading of each shows it.
    #[must_use]
    pub const fn counts_instructions(&self) -> bool {
        self.one_nop == self.empty + 1 && self.nops == self.empty + 1000
    }

    /// Takes each once.
    #[must_use]
    #[inline(never)]
    pub fn take() -> Self {
        Brackets {
            empty: ticks_of!(),
            one_nop: ticks_of!("nop"),
            nops: ticks_of!(".rept 1000", "nop", ".endr"),
            additions: ticks_of!(".rept 1000", "add r10, r10", ".endr"),
            cpuid: ticks_of!(
                // The compiler keeps RBX to itself.
                "mov r11, rbx",
                "xor eax, eax",
                "cpuid",
                "mov rbx, r11"
            ),
        }
    }
}
