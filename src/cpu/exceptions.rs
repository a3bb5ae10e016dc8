//! The 32 exceptions of the architecture (Intel SDM volume 3, chapter 7).
//!
//! A page fault for want of a root entry that the reference table has is resolves ([`address_space`]), and so are those for want of
//! a page that is mapped when it is touched ([`demand`]) and those that the table gives no reason for any more ([`spurious`]). A fault that
//! [`probe`] provokes on purpose is recorded, and execution goes on at the probe's fixup. An NMI that no CPU has sent is a watchdog's or a
//! management controller's: it is counted, and the run goes on. A machine check panics with what the banks hold. Every
//! other exception is a bug or broken hardware, and panics with what the CPU said. Of the interrupt vectors four have a gate: those of
//! [`vector`](crate::smp::vector) and of [`user_mode`].

use core::arch::{asm, global_asm};
use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use spin::Mutex;
use x86::Ring;
use x86::bits64::segmentation::Descriptor64;
use x86::dtables::{DescriptorTablePointer, lidt};
use x86::io::inb;
use x86::irq::{
    BREAKPOINT_VECTOR, DOUBLE_FAULT_VECTOR, GENERAL_PROTECTION_FAULT_VECTOR, MACHINE_CHECK_VECTOR,
    NONMASKABLE_INTERRUPT_VECTOR, PAGE_FAULT_VECTOR,
};
use x86::segmentation::{BuildDescriptor, DescriptorBuilder, GateDescriptorBuilder};

use super::access::ThisCpu;
use super::exception_frame::ExceptionFrame;
use super::machine_check::{self, Report};
use super::per_cpu;
use super::segments::{CODE, InterruptStack};
use super::{address_space, demand, probe, spurious, user_mode, watchdog};
use crate::mm::address::VirtAddr;
use crate::mm::shootdown::CpuId;
use crate::smp::vector::{CALL, SPURIOUS, called};
use crate::smp::{doorbell, stop};

/// Gates with a stub: 32 for the exceptions of the architecture, and two for interrupts.
const STUBS: usize = 34;
/// All gates: two more for what comes from ring 3.
const GATES: usize = STUBS + 2;
const _: () = assert!(CALL == 32 && SPURIOUS == 33);

// The CPU aligns RSP to 16 bytes and pushes 5 words; with error code, vector and 15 registers that is 22 words, so RSP is
// 16-byte aligned again at the call, as the ABI wants it.
global_asm!(
    ".macro exception_stub vector, has_error",
    "exception_stub_\\vector:",
    ".if \\has_error == 0",
    "push 0",
    ".endif",
    "push \\vector",
    "jmp exception_common",
    ".endm",
    ".altmacro",
    ".set vector, 0",
    ".rept 34",
    // #DF, #TS, #NP, #SS, #GP, #PF, #AC, #CP, #VC and #SX push an error code.
    "  .if vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30",
    "    exception_stub %vector, 1",
    "  .else",
    "    exception_stub %vector, 0",
    "  .endif",
    "  .set vector, vector + 1",
    ".endr",
    "exception_common:",
    "push rax; push rcx; push rdx; push rbx; push rbp; push rsi; push rdi; push r8",
    "push r9; push r10; push r11; push r12; push r13; push r14; push r15",
    "cld",
    "mov rdi, rsp",
    "call {handle}",
    "pop r15; pop r14; pop r13; pop r12; pop r11; pop r10; pop r9",
    "pop r8; pop rdi; pop rsi; pop rbp; pop rbx; pop rdx; pop rcx; pop rax",
    "add rsp, 16",
    "iretq",
    ".pushsection .rodata.exception_stubs, \"a\"",
    ".balign 8",
    "exception_stubs:",
    ".macro stub_address vector",
    ".quad exception_stub_\\vector",
    ".endm",
    ".set vector, 0",
    ".rept 34",
    "  stub_address %vector",
    "  .set vector, vector + 1",
    ".endr",
    ".popsection",
    ".noaltmacro",
    handle = sym handle,
);

unsafe extern "C" {
    static exception_stubs: [u64; STUBS];
}

static mut IDT: [Descriptor64; GATES] = [Descriptor64::NULL; GATES];

/// Fills the IDT, which all CPUs share.
///
/// # Safety
///
/// Called once, on the boot CPU, before any CPU has loaded the IDT.
pub unsafe fn fill() {
    let mut idt = [Descriptor64::NULL; GATES];
    for (vector, gate) in idt.iter_mut().enumerate().take(STUBS) {
        // SAFETY: the assembly above defines the table and never writes it.
        let stub = unsafe { exception_stubs[vector] };
        let mut builder =
            <DescriptorBuilder as GateDescriptorBuilder<u64>>::interrupt_descriptor(CODE, stub)
                .present();
        builder = match vector as u8 {
            NONMASKABLE_INTERRUPT_VECTOR => builder.ist(InterruptStack::Nmi as u8),
            DOUBLE_FAULT_VECTOR => builder.ist(InterruptStack::DoubleFault as u8),
            MACHINE_CHECK_VECTOR => builder.ist(InterruptStack::MachineCheck as u8),
            _ => builder,
        };
        *gate = builder.finish();
    }
    for (vector, entry) in user_mode::gates() {
        let builder =
            <DescriptorBuilder as GateDescriptorBuilder<u64>>::interrupt_descriptor(CODE, entry);
        idt[usize::from(vector)] = builder.present().dpl(Ring::Ring3).finish();
    }
    // SAFETY: one CPU runs, and only here is the static written.
    unsafe { IDT = idt };
}

/// Loads the IDT of this CPU: from here on every exception is reported.
///
/// # Safety
///
/// Called on each CPU after [`fill`] and [`segments::load`](super::segments::load).
pub unsafe fn load() {
    let table = DescriptorTablePointer {
        limit: size_of::<[Descriptor64; GATES]>() as u16 - 1,
        base: &raw const IDT,
    };
    // SAFETY: each gate leads to a stub that keeps the ABI, through the code segment that this CPU has loaded.
    unsafe { lidt(&table) };
}

/// The instruction that the last unexpected exception interrupted; 0 if there was none.
static INTERRUPTED: AtomicU64 = AtomicU64::new(0);

/// The instruction that the last unexpected exception interrupted.
#[must_use]
pub fn interrupted() -> Option<u64> {
    Some(INTERRUPTED.load(Ordering::Relaxed)).filter(|&address| address != 0)
}

/// NMIs that no CPU has sent.
static NMIS: AtomicU64 = AtomicU64::new(0);
/// What port 61H said at the last of them.
static NMI_STATUS: AtomicU8 = AtomicU8::new(0);

fn count_nmi() {
    /// System control port B: bit 7 is a system error (SERR#), bit 6 an I/O channel check.
    const STATUS: u16 = 0x61;
    // SAFETY: reading the port changes nothing.
    NMI_STATUS.store(unsafe { inb(STATUS) }, Ordering::Relaxed);
    NMIS.fetch_add(1, Ordering::Relaxed);
}

/// How many NMIs came that no CPU has sent, and what port 61H said at the last of them. Once CPUs interrupt each other by NMIs, another's
/// cannot be distinguished from theirs.
#[must_use]
pub fn nmis() -> (u64, u8) {
    (
        NMIS.load(Ordering::Relaxed),
        NMI_STATUS.load(Ordering::Relaxed),
    )
}

/// What [`inside`] is to call.
static WORK: Mutex<Option<fn()>> = Mutex::new(None);

/// Calls `work` from inside an exception's handler, where an interrupt's handler would run, so that it can be seen that what it
/// does is done there, too: page faults among it.
pub fn inside(work: fn()) {
    *WORK.lock() = Some(work);
    // SAFETY: the handler of the breakpoint comes back with all registers as they were.
    unsafe { asm!("int3") };
}

/// Resolves a page fault where the kernel can: a missing kernel entry, a page that is mapped on demand, a stale translation. `true` if
/// the access can be repeated.
fn resolves(address: VirtAddr, error: u64) -> bool {
    address_space::propagate(address, error)
        || demand::map(address, error)
        || spurious::retry(address, error)
}

extern "C" fn handle(frame: &mut ExceptionFrame) {
    let vector = frame.vector as u8;
    if vector == NONMASKABLE_INTERRUPT_VECTOR {
        if per_cpu::current() == CpuId::BOOT
            && let Some(seconds) = watchdog::struck()
        {
            INTERRUPTED.store(frame.rip, Ordering::Relaxed);
            panic!(
                "limit={seconds}: the run is not over after {seconds} s; instruction {:#x}",
                frame.rip
            );
        }
        if !doorbell::answer_nmi(frame) {
            count_nmi();
        }
        return;
    }
    if vector == BREAKPOINT_VECTOR {
        // The lock is free again before the call.
        let work = WORK.lock().take();
        if let Some(work) = work {
            return work();
        }
    }
    // SAFETY: reading CR2 at CPL 0 has no effect.
    let cr2 = unsafe { x86::controlregs::cr2() } as u64;
    if vector == PAGE_FAULT_VECTOR && resolves(VirtAddr(cr2), frame.error_code) {
        return;
    }
    if vector == PAGE_FAULT_VECTOR
        && let Some(fixup) = probe::expected(frame.rip, cr2, frame.error_code)
    {
        frame.rip = fixup;
        return;
    }
    if vector == GENERAL_PROTECTION_FAULT_VECTOR
        && let Some(fixup) = probe::expected_general_protection(frame.rip)
    {
        frame.rip = fixup;
        return;
    }
    // Behind the faults, whose way is timed.
    if vector == CALL {
        return called(frame);
    }
    if vector == SPURIOUS {
        return;
    }
    INTERRUPTED.store(frame.rip, Ordering::Relaxed);
    if vector == MACHINE_CHECK_VECTOR {
        /// 0.2 s at 5 GHz: the CPU that knows why is interrupted at the same time.
        const PATIENCE: u64 = 1 << 30;
        if !machine_check::knows_why(&ThisCpu) {
            stop::wait_for_another(PATIENCE);
        }
        panic!("{}; instruction {:#x}", Report(&ThisCpu), frame.rip);
    }
    if vector == PAGE_FAULT_VECTOR {
        panic!(
            "page fault at address {cr2:#x}, error code {:#x} ({}), instruction {:#x}, stack {:#x}",
            frame.error_code,
            probe::PageFaultError::from_bits_retain(frame.error_code),
            frame.rip,
            frame.rsp
        );
    }
    if vector == DOUBLE_FAULT_VECTOR
        && let Some(stack) = per_cpu::this().stack_guarded_by(VirtAddr(cr2))
    {
        panic!(
            "stack overflow: the {} stack ran into its guard page at {cr2:#x}, instruction {:#x}",
            stack.name, frame.rip
        );
    }
    panic!(
        "exception {vector} ({}), error code {:#x}, instruction {:#x}, stack {:#x}, CR2 {cr2:#x}",
        name(vector),
        frame.error_code,
        frame.rip,
        frame.rsp
    );
}

/// The manual's name of an exception.
fn name(vector: u8) -> &'static str {
    const NAMES: [&str; 22] = [
        "#DE divide error",
        "#DB debug",
        "NMI",
        "#BP breakpoint",
        "#OF overflow",
        "#BR bound range exceeded",
        "#UD invalid opcode",
        "#NM device not available",
        "#DF double fault",
        "coprocessor segment overrun",
        "#TS invalid TSS",
        "#NP segment not present",
        "#SS stack-segment fault",
        "#GP general protection",
        "#PF page fault",
        "reserved",
        "#MF floating-point error",
        "#AC alignment check",
        "#MC machine check",
        "#XM SIMD floating-point exception",
        "#VE virtualization exception",
        "#CP control protection exception",
    ];
    NAMES
        .get(usize::from(vector))
        .copied()
        .unwrap_or("reserved")
}
