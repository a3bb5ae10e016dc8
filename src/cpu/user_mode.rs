//! Ring 3 and back, as bare as the CPU does it: SYSRET and SYSCALL, or IRETQ and an interrupt gate, with or without a load of CR3 on
//! either way, as page-table isolation does it.
//!
//! A [`Trip`] goes to code in a user page that says which code segment it runs in and comes straight back. No register is saved: nothing
//! but RAX, RCX, RDX and R11 changes, and RDI has the trip in ring 3, too. Interrupts stay off; an exception there is the end of the run, on
//! the stack that [`UserMode`] has set. GS keeps its base: its selector is null, which IRETQ leaves alone (Intel SDM volume 2, IRET).
//! SYSCALL and its registers: Intel SDM volume 3, 5.8.8.

use core::arch::global_asm;
use core::mem::offset_of;

use x86::msr::{IA32_EFER, IA32_FMASK, IA32_LSTAR, IA32_STAR, rdmsr, wrmsr};

use super::per_cpu;
use super::segments::{self, CODE, USER_BASE};
use crate::mm::address::VirtAddr;

/// The vector of the gate that code in ring 3 may use, CR3 as it is.
pub const GATE: u8 = 34;
/// The vector of the one that loads CR3.
pub const GATE_WITH_CR3: u8 = 35;

/// RFLAGS in ring 3: the bit that is always set. Interrupts are off.
const FLAGS: u64 = 1 << 1;
/// Flags that SYSCALL clears: TF, IF, DF, NT and AC.
const CLEARED: u64 = 1 << 8 | 1 << 9 | 1 << 10 | 1 << 14 | 1 << 18;
/// EFER.SCE: SYSCALL and SYSRET are there.
const SYSTEM_CALLS: u64 = 1 << 0;

/// Where a trip goes, and what came back.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Trip {
    stack: u64,
    code: u64,
    /// What is loaded into CR3 on the way there.
    pub user_cr3: u64,
    /// What is loaded into CR3 on the way back.
    pub kernel_cr3: u64,
    /// The code segment that the code ran in; 0 before.
    pub segment: u64,
    /// The instruction that it would go on at.
    pub next: u64,
}

impl Trip {
    /// One to the code in a page. Where it loads CR3 this is what it loads.
    #[must_use]
    pub fn to(page: VirtAddr, user_cr3: u64, kernel_cr3: u64) -> Self {
        Trip {
            code: page.0,
            user_cr3,
            kernel_cr3,
            ..Trip::default()
        }
    }
}

/// How a trip enters the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum By {
    /// SYSCALL; it leaves by SYSRET.
    Syscall,
    /// An interrupt gate; it leaves by IRETQ.
    Interrupt,
}

global_asm!(
    ".macro cr3_from offset, switched",
    ".if \\switched",
    "mov rdx, [rdi + \\offset]",
    "mov cr3, rdx",
    ".endif",
    ".endm",
    ".macro user_trips suffix, switched",
    "trip_by_syscall\\suffix:",
    "mov [rdi + {stack}], rsp",
    "mov rcx, [rdi + {code}]",
    "mov r11d, {flags}",
    "cr3_from {user_cr3}, \\switched",
    "sysretq",
    "entry_by_syscall\\suffix:",
    "cr3_from {kernel_cr3}, \\switched",
    "mov rsp, [rdi + {stack}]",
    "mov [rdi + {segment}], rax",
    "mov [rdi + {next}], rcx",
    "ret",
    "trip_by_interrupt\\suffix:",
    "mov [rdi + {stack}], rsp",
    "push {user_data}",
    "push 0",
    "push {flags}",
    "push {user_code}",
    "push qword ptr [rdi + {code}]",
    "cr3_from {user_cr3}, \\switched",
    "iretq",
    "entry_by_interrupt\\suffix:",
    "cr3_from {kernel_cr3}, \\switched",
    "mov rcx, [rsp]",
    "mov rsp, [rdi + {stack}]",
    "mov [rdi + {segment}], rax",
    "mov [rdi + {next}], rcx",
    "ret",
    ".endm",
    ".pushsection .text.user_trips, \"ax\"",
    "user_trips _same, 0",
    "user_trips _with_cr3, 1",
    ".popsection",
    stack = const offset_of!(Trip, stack),
    code = const offset_of!(Trip, code),
    user_cr3 = const offset_of!(Trip, user_cr3),
    kernel_cr3 = const offset_of!(Trip, kernel_cr3),
    segment = const offset_of!(Trip, segment),
    next = const offset_of!(Trip, next),
    flags = const FLAGS,
    user_data = const segments::USER_DATA.bits(),
    user_code = const segments::USER_CODE.bits(),
);

unsafe extern "C" {
    fn trip_by_syscall_same(trip: *mut Trip);
    fn trip_by_syscall_with_cr3(trip: *mut Trip);
    fn trip_by_interrupt_same(trip: *mut Trip);
    fn trip_by_interrupt_with_cr3(trip: *mut Trip);
    static entry_by_syscall_same: u8;
    static entry_by_syscall_with_cr3: u8;
    static entry_by_interrupt_same: u8;
    static entry_by_interrupt_with_cr3: u8;
}

/// The gates' vectors, and where they lead to.
pub(super) fn gates() -> [(u8, u64); 2] {
    [
        (GATE, &raw const entry_by_interrupt_same as u64),
        (GATE_WITH_CR3, &raw const entry_by_interrupt_with_cr3 as u64),
    ]
}

/// The code that a trip goes to, as a word: it puts CS into RAX, and enters the kernel. What would follow is an invalid opcode.
#[must_use]
pub const fn code(by: By, with_cr3: bool) -> u64 {
    let entry = match (by, with_cr3) {
        (By::Syscall, _) => [0x0f, 0x05],
        (By::Interrupt, false) => [0xcd, GATE],
        (By::Interrupt, true) => [0xcd, GATE_WITH_CR3],
    };
    u64::from_le_bytes([0x8c, 0xc8, entry[0], entry[1], 0x0f, 0x0b, 0x0f, 0x0b])
}

/// Bytes of the code until it enters the kernel.
pub const CODE_BYTES: u64 = 4;

/// This CPU, ready for trips: SYSCALL is on, and there is a stack for what comes from ring 3.
#[must_use = "the registers stay as they are for trips unless it is ended"]
#[derive(Debug)]
pub struct UserMode {
    by: By,
    with_cr3: bool,
    before: [(u32, u64); 4],
    stack_before: VirtAddr,
}

impl UserMode {
    /// Makes this CPU ready for trips of one kind.
    ///
    /// # Safety
    ///
    /// What lies below `stack`, which is a multiple of 16, is a stack that nobody uses until [`end`](Self::end), in every root that is in
    /// CR3 meanwhile. The CPU is in no trip.
    pub unsafe fn new(by: By, with_cr3: bool, stack: VirtAddr) -> Self {
        let entry = match with_cr3 {
            false => &raw const entry_by_syscall_same,
            true => &raw const entry_by_syscall_with_cr3,
        };
        // SYSRET adds 8 and 16 to its base, SYSCALL 0 and 8.
        let star = u64::from(USER_BASE.bits()) << 48 | u64::from(CODE.bits()) << 32;
        let registers = [IA32_EFER, IA32_STAR, IA32_LSTAR, IA32_FMASK];
        // SAFETY: every CPU with long mode has these registers.
        let before = registers.map(|register| (register, unsafe { rdmsr(register) }));
        let values = [before[0].1 | SYSTEM_CALLS, star, entry as u64, CLEARED];
        for ((register, _), value) in before.into_iter().zip(values) {
            // SAFETY: nothing else uses SYSCALL.
            unsafe { wrmsr(register, value) };
        }
        UserMode {
            by,
            with_cr3,
            before,
            // SAFETY: the caller's promise.
            stack_before: unsafe { per_cpu::set_entry_stack(stack) },
        }
    }

    /// Goes to ring 3 and back.
    ///
    /// # Safety
    ///
    /// The trip leads to [`code`] for this kind, in a page that ring 3 may execute: of the root in CR3, or of that in
    /// [`Trip::user_cr3`] where the kind loads CR3. Both roots have the kernel half of the reference table, and what their PCIDs have in
    /// the TLB, if it is to stay, is true.
    #[inline]
    pub unsafe fn go(&self, trip: &mut Trip) {
        let go = match (self.by, self.with_cr3) {
            (By::Syscall, false) => trip_by_syscall_same,
            (By::Syscall, true) => trip_by_syscall_with_cr3,
            (By::Interrupt, false) => trip_by_interrupt_same,
            (By::Interrupt, true) => trip_by_interrupt_with_cr3,
        };
        // SAFETY: the caller's promise; the stack pointer is as before when it returns.
        unsafe { go(trip) };
    }

    /// Puts everything back: the registers of SYSCALL, the stack, and the segment registers that ring 3 has emptied.
    pub fn end(self) {
        for (register, value) in self.before {
            // SAFETY: it held this before.
            unsafe { wrmsr(register, value) };
        }
        // SAFETY: as it was before; no trip is under way.
        let _ = unsafe { per_cpu::set_entry_stack(self.stack_before) };
        // SAFETY: the CPU has its tables.
        unsafe { segments::load_data() };
    }
}
