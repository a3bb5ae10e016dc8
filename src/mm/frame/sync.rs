//! What is shared between CPUs: words and a lock. Under `--cfg loom` they are `loom`'s, whose tests run CPUs
//! in many orders.

#[cfg(not(all(test, loom)))]
pub use core::sync::atomic::AtomicU64;
#[cfg(all(test, loom))]
pub use loom::sync::atomic::AtomicU64;

#[cfg(not(all(test, loom)))]
pub use spin::{Mutex, MutexGuard};
#[cfg(all(test, loom))]
pub use stand_in::{Mutex, MutexGuard};

/// `loom`'s lock with the interface of `spin`'s.
#[cfg(all(test, loom))]
mod stand_in {
    pub use loom::sync::MutexGuard;

    pub struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub fn new(value: T) -> Self {
            Mutex(loom::sync::Mutex::new(value))
        }

        pub fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap()
        }

        pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
            self.0.try_lock().ok()
        }

        pub fn into_inner(self) -> T {
            self.0.into_inner().unwrap()
        }
    }
}
