//! The console.
pub mod serial;
