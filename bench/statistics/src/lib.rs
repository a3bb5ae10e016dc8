//! Order statistics: what a set of samples comes to, without any assumption about how they are distributed.
//!
//! Nothing here allocates, and nothing but [`mod@interval`] computes with anything but comparisons, so that the image and the host
//! tool come to the same figures.
#![no_std]
#![forbid(unsafe_code)]

mod crossover;
mod interval;
mod summary;

pub use crossover::{Advice, Cost, Crossing, Measured, advice, crossing};
pub use interval::{CONFIDENCE, Interval, interval};
pub use summary::{Summary, summarise};
