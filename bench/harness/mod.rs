//! How a case is proven, sampled and summed up. Knows no case.
//!
//! A run goes through its cases in passes. On a clock that counts instructions one pass takes every round of a case in a row,
//! as nothing outside a case changes its figures; on every other clock a pass takes one round, so that whatever drifts while
//! the suite runs (temperature, clock rate, neighbours) strikes all cases alike and none is compared with another's moment.
//! The cases themselves need the machine for themselves, and so are made anew in each pass.

mod bracket;
pub mod case;
mod ledger;
pub mod mutation;
pub mod random;
pub mod run;
mod sample;
