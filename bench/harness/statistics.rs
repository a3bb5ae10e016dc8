//! What a set of samples comes to.

/// Order statistics of a case's samples, in ticks, the bracket's cost taken off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Summary {
    /// Number of samples.
    pub samples: u32,
    /// The smallest.
    pub min: u64,
    /// The middle one; of an even number the lower of the two, so that it is a value that was measured.
    pub median: u64,
    /// The value that 99 % of the samples do not exceed (nearest rank).
    pub p99: u64,
    /// The largest.
    pub max: u64,
}

/// Sorts the samples and sums them up; `None` of no samples.
pub fn summarise(samples: &mut [u64]) -> Option<Summary> {
    samples.sort_unstable();
    let last = samples.len().checked_sub(1)?;
    // Nearest rank: ceil(0.99 n), counted from 1.
    let p99 = (samples.len() * 99).div_ceil(100) - 1;
    Some(Summary {
        samples: samples.len() as u32,
        min: samples[0],
        median: samples[last / 2],
        p99: samples[p99],
        max: samples[last],
    })
}
