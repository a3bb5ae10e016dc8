//! Registers of devices in memory, and pixels: each access is one access, in its own width, in program order.

use core::ptr::NonNull;

use volatile::VolatilePtr;

use crate::mm::address::VirtAddr;

/// The value of type `T` that lies `offset` bytes behind `base`.
///
/// # Safety
///
/// A device's memory is mapped there for as long as the pointer is used, aligned for `T`; reading or writing it, as the caller then
/// does, harms nothing that is Rust's.
#[inline(always)]
pub unsafe fn at<T>(base: VirtAddr, offset: u64) -> VolatilePtr<'static, T> {
    let address = (base.0 + offset) as *mut T;
    // SAFETY: nothing is mapped at address 0.
    let address = unsafe { NonNull::new_unchecked(address) };
    // SAFETY: the caller's promise.
    unsafe { VolatilePtr::new(address) }
}
