//! Accesses that may fault: the way a check proves that an address is, or is not, mapped as it should be, and the way to a
//! model-specific register that may not be there.
//!
//! Each probe is one instruction at a known address. When it faults, the exception handler records what the CPU said and
//! goes on at the fixup, so that the caller gets the fault as an error value.

use core::arch::global_asm;
use core::sync::atomic::{AtomicU64, Ordering};

pub use super::page_fault::{PageFault, PageFaultError};
use crate::mm::address::VirtAddr;

// Each returns the value in RAX and 0 in RDX, or, by way of the fixup, 1 in RDX.
global_asm!(
    ".pushsection .text.probe, \"ax\"",
    "probe_read:",
    "probe_read_access:",
    "mov rax, [rdi]",
    "xor edx, edx",
    "ret",
    "probe_write:",
    "probe_write_access:",
    "mov [rdi], rsi",
    "xor edx, edx",
    "ret",
    // A jump: the fetch at the target faults, or the target returns to our caller with RDX as it is.
    "probe_fetch:",
    "xor edx, edx",
    "jmp rdi",
    // Index in EDI, value in RSI: no such register raises #GP.
    "probe_rdmsr:",
    "mov ecx, edi",
    "probe_rdmsr_access:",
    "rdmsr",
    "shl rdx, 32",
    "or rax, rdx",
    "xor edx, edx",
    "ret",
    "probe_wrmsr:",
    "mov ecx, edi",
    "mov rax, rsi",
    "mov rdx, rsi",
    "shr rdx, 32",
    "probe_wrmsr_access:",
    "wrmsr",
    "xor edx, edx",
    "ret",
    "probe_fixup:",
    "mov edx, 1",
    "ret",
    ".popsection",
);

#[repr(C)]
struct Outcome {
    value: u64,
    faulted: u64,
}

unsafe extern "C" {
    fn probe_read(address: u64) -> Outcome;
    fn probe_write(address: u64, value: u64) -> Outcome;
    fn probe_fetch(address: u64) -> Outcome;
    fn probe_rdmsr(index: u32) -> Outcome;
    fn probe_wrmsr(index: u32, value: u64) -> Outcome;
    static probe_read_access: u8;
    static probe_write_access: u8;
    static probe_rdmsr_access: u8;
    static probe_wrmsr_access: u8;
    static probe_fixup: u8;
}

/// Where a fetch probe is about to jump; an address that no instruction can have otherwise.
static FETCH_TARGET: AtomicU64 = AtomicU64::new(u64::MAX);
static FAULT_ADDRESS: AtomicU64 = AtomicU64::new(0);
static FAULT_ERROR: AtomicU64 = AtomicU64::new(0);

/// For the exception handler: if the fault is a probe's, records it and gives the address to go on at.
pub(super) fn expected(rip: u64, address: u64, error_code: u64) -> Option<u64> {
    let probing = rip == &raw const probe_read_access as u64
        || rip == &raw const probe_write_access as u64
        || rip == FETCH_TARGET.load(Ordering::Relaxed);
    probing.then(|| {
        FAULT_ADDRESS.store(address, Ordering::Relaxed);
        FAULT_ERROR.store(error_code, Ordering::Relaxed);
        &raw const probe_fixup as u64
    })
}

/// For the exception handler: if the general-protection fault is a probe's, gives the address to go on at.
pub(super) fn expected_general_protection(rip: u64) -> Option<u64> {
    let probing =
        rip == &raw const probe_rdmsr_access as u64 || rip == &raw const probe_wrmsr_access as u64;
    probing.then_some(&raw const probe_fixup as u64)
}

/// The model-specific register `index`; `None` where the CPU has none, or a hypervisor keeps it to itself.
#[must_use]
pub fn read_msr(index: u32) -> Option<u64> {
    // SAFETY: the registers that anyone reads here change nothing on being read, and a #GP comes back as a value.
    let outcome = unsafe { probe_rdmsr(index) };
    (outcome.faulted == 0).then_some(outcome.value)
}

/// Writes the model-specific register `index`; returns whether the CPU took it.
///
/// # Safety
///
/// The register means what the caller thinks it does on this CPU, and nothing that runs depends on its old value.
pub unsafe fn write_msr(index: u32, value: u64) -> bool {
    // SAFETY: the caller's promise; a #GP comes back as a value.
    let outcome = unsafe { probe_wrmsr(index, value) };
    outcome.faulted == 0
}

fn result(outcome: Outcome) -> Result<u64, PageFault> {
    if outcome.faulted == 0 {
        return Ok(outcome.value);
    }
    Err(PageFault {
        address: VirtAddr(FAULT_ADDRESS.load(Ordering::Relaxed)),
        error: PageFaultError::from_bits_retain(FAULT_ERROR.load(Ordering::Relaxed)),
    })
}

/// Reads the word at `address`, or returns the fault.
///
/// # Errors
///
/// The page fault that the read met. `address` has to be canonical: another would raise #GP, which panics.
pub fn read(address: VirtAddr) -> Result<u64, PageFault> {
    // SAFETY: a load changes nothing, and a page fault in it comes back as an error.
    result(unsafe { probe_read(address.0) })
}

/// Writes the word at `address`, or returns the fault.
///
/// # Errors
///
/// The page fault that the write met.
///
/// # Safety
///
/// If the page is writable, the caller owns the word.
pub unsafe fn write(address: VirtAddr, value: u64) -> Result<(), PageFault> {
    // SAFETY: the caller's promise; a page fault comes back as an error.
    result(unsafe { probe_write(address.0, value) }).map(|_| ())
}

/// Executes what lies at `address`, or returns the fault.
///
/// # Errors
///
/// The page fault that the fetch met.
///
/// # Safety
///
/// If the page is executable, a RET lies at `address`.
pub unsafe fn fetch(address: VirtAddr) -> Result<(), PageFault> {
    FETCH_TARGET.store(address.0, Ordering::Relaxed);
    // SAFETY: the caller's promise; a page fault comes back as an error.
    let outcome = unsafe { probe_fetch(address.0) };
    FETCH_TARGET.store(u64::MAX, Ordering::Relaxed);
    result(outcome).map(|_| ())
}
