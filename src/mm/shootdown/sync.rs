//! The words that CPUs share. Under `--cfg loom` they are `loom`'s, whose tests run CPUs in many orders.

#[cfg(not(all(test, loom)))]
pub use core::sync::atomic::AtomicU64;
#[cfg(all(test, loom))]
pub use loom::sync::atomic::AtomicU64;

/// Stands between a locked instruction and a load: the load sees nothing older than what the instruction was ordered after.
/// On x86 the instruction does that by itself (Intel SDM volume 3, 10.2.3.9), so that it concerns the compiler alone; `loom`
/// knows of no such thing but the fence.
#[inline]
pub fn load_after_locked_instruction() {
    #[cfg(not(all(test, loom)))]
    core::sync::atomic::compiler_fence(core::sync::atomic::Ordering::SeqCst);
    #[cfg(all(test, loom))]
    loom::sync::atomic::fence(core::sync::atomic::Ordering::SeqCst);
}

/// A function that is `const`, but not under `loom`, whose words cannot be made in constants.
macro_rules! const_unless_loom {
    ($(#[$about:meta])* $visibility:vis fn $($function:tt)+) => {
        #[cfg(not(all(test, loom)))]
        $(#[$about])* $visibility const fn $($function)+
        #[cfg(all(test, loom))]
        $(#[$about])* $visibility fn $($function)+
    };
}
pub(super) use const_unless_loom;
