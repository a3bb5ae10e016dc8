//! How one figure is taken: the machine code around an operation, and the arithmetic on its readings.
//!
//! - [`block`]: reads the clock, calls the operation a number of times, reads the clock again
//! - [`sample`]: which brackets make a sample of a case of each class, and what comes of them
//! - [`resolution`](mod@resolution): the smallest figure that differs from zero
//! - [`spread`]: where the words lie that a case reads, page by page
//! - [`chain`]: an operation of known latency, by which the rest is tested on the CPU that runs the test
//!
//! Nothing here needs ring 0: the image and a test in user space run the same code.
#![cfg_attr(not(test), no_std)]

pub mod block;
pub mod chain;
pub mod resolution;
pub mod sample;
pub mod spread;

pub use block::{Bracket, Operation, SWEEP};
pub use sample::{Brackets, Sample};
