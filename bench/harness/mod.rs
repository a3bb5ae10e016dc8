//! How a case is proven, sampled and summed up. Knows no case.
//!
//! A run goes through its cases in passes. On hardware's clock each pass takes one round, in random order, so that whatever
//! drifts while the suite runs (temperature, clock rate, neighbours) strikes all cases alike and none is compared with another's
//! moment. On a clock that counts instructions nothing outside a case changes its figures, and on an emulator's they mean
//! nothing: there one pass takes every round of a case in a row. The cases need the machine for themselves, and so are made
//! anew in each pass.

pub mod case;
pub mod ledger;
pub mod mutation;
mod overhead;
mod pace;
mod progress;
pub mod random;
#[cfg_attr(not(target_os = "none"), path = "reset_in_process.rs")]
pub mod reset;
mod result;
mod round;
pub mod run;
mod sample;
mod undisturbed;
