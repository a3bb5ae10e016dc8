//! How a sample is taken and summed up, and how a case is told. Knows no case.

pub mod bracket;
pub mod case;
pub mod random;
pub mod run;
pub mod statistics;
