//! How proofs look at memory: accesses that must succeed, and accesses that must fault in just one way.

use core::sync::atomic::Ordering;

use pagemark::cpu::probe::{self, PageFault, PageFaultError};
use pagemark::machine::Machine;
use pagemark::mm::address::{Pfn, VirtAddr};
use pagemark::mm::hardware::PhysicalMemory;

use crate::harness::case::Failure;

/// The word at `address`.
///
/// # Errors
///
/// It faults.
pub fn read(address: VirtAddr) -> Result<u64, Failure> {
    probe::read(address).map_err(|fault| Failure::new(format_args!("read: {fault}")))
}

/// The first word of a frame that nobody writes to meanwhile, high memory or not.
pub fn read_frame(machine: &Machine, frame: Pfn) -> u64 {
    // SAFETY: the frame is RAM, and is shared as atomics for a moment.
    unsafe {
        machine
            .kernel
            .memory()
            .with_words(frame, |words| words[0].load(Ordering::Relaxed))
    }
}

/// Writes the word at `address`.
///
/// # Errors
///
/// It faults.
///
/// # Safety
///
/// The caller owns the word.
pub unsafe fn write(address: VirtAddr, value: u64) -> Result<(), Failure> {
    // SAFETY: the caller's promise.
    unsafe { probe::write(address, value) }
        .map_err(|fault| Failure::new(format_args!("write: {fault}")))
}

/// Expects a read of `address` to fault, at that very address, with this error code.
///
/// # Errors
///
/// It does not fault, or in another way.
pub fn expect_fault(address: VirtAddr, error: PageFaultError) -> Result<(), Failure> {
    expect("a read", address, error, probe::read(address).map(|_| ()))
}

/// Expects a write to `address` to fault as one to a page that is read-only.
///
/// # Errors
///
/// It does not fault, or in another way.
///
/// # Safety
///
/// If the page can be written to after all, the caller owns the word.
pub unsafe fn expect_write_fault(address: VirtAddr) -> Result<(), Failure> {
    let error = PageFaultError::PRESENT | PageFaultError::WRITE;
    // SAFETY: the caller's promise.
    expect("a write", address, error, unsafe {
        probe::write(address, 0)
    })
}

/// Expects a page that can be read and not written to.
///
/// # Errors
///
/// It cannot be read, or a write does not fault as it should.
///
/// # Safety
///
/// As for [`expect_write_fault`].
pub unsafe fn expect_read_only(address: VirtAddr) -> Result<(), Failure> {
    read(address)?;
    // SAFETY: the caller's promise.
    unsafe { expect_write_fault(address) }
}

/// Expects a fetch from `address` to fault as one from a page that is not executable.
///
/// # Errors
///
/// It does not fault, or in another way.
///
/// # Safety
///
/// If the page can be executed after all, a RET lies there.
pub unsafe fn expect_fetch_fault(address: VirtAddr) -> Result<(), Failure> {
    let error = PageFaultError::PRESENT | PageFaultError::FETCH;
    // SAFETY: the caller's promise.
    expect("a fetch", address, error, unsafe { probe::fetch(address) })
}

fn expect(
    access: &str,
    address: VirtAddr,
    error: PageFaultError,
    outcome: Result<(), PageFault>,
) -> Result<(), Failure> {
    let expected = PageFault { address, error };
    match outcome {
        Err(fault) if fault == expected => Ok(()),
        Err(fault) => Err(Failure::new(format_args!(
            "{access}: {fault}, expected {expected}"
        ))),
        Ok(()) => Err(Failure::new(format_args!(
            "{access} succeeds, expected {expected}"
        ))),
    }
}
